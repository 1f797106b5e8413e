/** How calls leave: the real SDK clients against the local controller. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ControllerStateInput } from '../../cluster/local/controller/index.ts';
import { type DryRunAction, Ec2Failure, loadEc2Client, loadElbClient } from '../../src/resources/index.ts';
import { A, B, OVERLAY, ROUTES, type Running, startController, VIP } from '../controller/support.ts';

const GROUP = 'arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/nas/73e2d6bc24d8a067';
/** TEST-NET-1: no host has it. */
const NOT_HERE = '192.0.2.1';

let running: Running;
let leaseIsValid: boolean;
const closing: { close(): void }[] = [];
beforeEach(async () => {
  process.env.AWS_ACCESS_KEY_ID = 'AKIDEXAMPLE';
  process.env.AWS_SECRET_ACCESS_KEY = 'secret';
  leaseIsValid = true;
  await start();
});
afterEach(async () => {
  for (const client of closing.splice(0)) client.close();
  await running.stop();
});

async function start(change: Partial<ControllerStateInput> = {}): Promise<void> {
  running = await startController({ targetGroups: [{ arn: GROUP, port: 2049 }], ...change });
}

const options = (localAddress: string | null) => ({
  region: 'us-east-1',
  endpoint: running.controller.endpoint,
  localAddress,
  mayMutate: () => leaseIsValid,
});
async function ec2(localAddress: string | null = null) {
  const { Ec2Client } = await loadEc2Client();
  const client = new Ec2Client(options(localAddress));
  closing.push(client);
  return client;
}
async function elb(localAddress: string | null = null) {
  const { ElbClient } = await loadElbClient();
  const client = new ElbClient(options(localAddress));
  closing.push(client);
  return client;
}

const how = { signal: new AbortController().signal, timeoutMs: 2000 };
const kindOf = (acting: Promise<unknown>) =>
  acting.then(
    () => 'none',
    (error: unknown) => (error instanceof Ec2Failure ? `${error.kind} ${error.code}` : String(error)),
  );
const arrived = () => running.controller.calls().map(({ action, source }) => [action, source]);
const actions = () => running.controller.calls().map(({ action }) => action);
const moveTo = (interfaceId: string) => ({
  allocationId: VIP.allocation,
  interfaceId,
  allowReassociation: true,
});

describe('a warm client', () => {
  it('has written, signed and read a mutation without sending it, and without a lease', async () => {
    leaseIsValid = false;
    const client = await ec2(A.ip);
    const report = await client.warm({ kind: 'address', allocationId: VIP.allocation }, how);
    expect(report).toEqual({ hasRead: true, hasRehearsed: true });
    expect(arrived()).toEqual([
      ['DescribeAddresses', A.ip],
      ['DescribeAddresses', A.ip],
    ]);
  });

  it('sends its first mutation over the socket that its readings opened', async () => {
    const client = await ec2(A.ip);
    await client.warm({ kind: 'address', allocationId: VIP.allocation }, how);
    await client.associateAddress(moveTo(B.eni), how);
    const ports = running.controller.calls().map(({ sourcePort }) => sourcePort);
    expect(actions().at(-1)).toBe('AssociateAddress');
    expect(new Set(ports).size).toBe(1);
  });

  it.each([
    { kind: 'route-tables', tables: [ROUTES] },
    { kind: 'interfaces', ids: [A.eni] },
    { kind: 'instances', ids: [A.instance, B.instance] },
  ] as const)('may look at $kind instead', async (subject) => {
    expect(await (await ec2()).warm(subject, how)).toEqual({ hasRead: true, hasRehearsed: true });
  });

  it('ELB as well', async () => {
    leaseIsValid = false;
    expect(await (await elb()).warm(GROUP, how)).toEqual({ hasRead: true, hasRehearsed: true });
    expect(actions()).toEqual(['DescribeTargetHealth', 'DescribeTargetHealth']);
  });

  it('says when nobody answers, and is ready all the same', async () => {
    running.controller.setFaults({ rules: [{ kind: 'unreachable' }] });
    const report = await (await ec2()).warm({ kind: 'address', allocationId: VIP.allocation }, how);
    expect(report).toEqual({ hasRead: false, hasRehearsed: true });
  });
});

describe('an interface instead of an address', () => {
  it('is left by the address that it has', async () => {
    const client = await ec2('lo');
    await client.warm({ kind: 'address', allocationId: VIP.allocation }, how);
    await client.associateAddress(moveTo(B.eni), how);
    expect(new Set(running.controller.calls().map(({ source }) => source))).toEqual(new Set(['127.0.0.1']));
  });

  it('that is down: readings leave from elsewhere, a mutation does not', async () => {
    const client = await ec2('not-there0');
    const report = await client.warm({ kind: 'address', allocationId: VIP.allocation }, how);
    expect(report).toEqual({ hasRead: true, hasRehearsed: true });
    expect(await kindOf(client.associateAddress(moveTo(B.eni), how))).toBe('unreachable EADDRNOTAVAIL');
    expect(actions()).not.toContain('AssociateAddress');
  });
});

describe('a local address that is not on this host (an idle node: its second port is down)', () => {
  it('readings leave from elsewhere; the client is warm', async () => {
    const client = await ec2(NOT_HERE);
    expect(await client.warm({ kind: 'address', allocationId: VIP.allocation }, how)).toEqual({
      hasRead: true,
      hasRehearsed: true,
    });
    expect((await client.describeAddress(VIP.allocation, how)).interfaceId).toBe(A.eni);
    expect(await (await elb(NOT_HERE)).describeTargetHealth(GROUP, how)).toEqual([]);
  });

  it('mutations do not: nothing arrives, and it is known that nothing was executed', async () => {
    const client = await ec2(NOT_HERE);
    expect(await kindOf(client.associateAddress(moveTo(B.eni), how))).toBe('unreachable EADDRNOTAVAIL');
    expect(actions()).toEqual([]);
  });

  it('where it is there, everything leaves from it', async () => {
    const client = await ec2(A.ip);
    await client.describeAddress(VIP.allocation, how);
    await client.associateAddress(moveTo(B.eni), how);
    expect(arrived().map(([, source]) => source)).toEqual([A.ip, A.ip]);
  });

  it('another failure is not tried from elsewhere', async () => {
    running.controller.setFaults({ rules: [{ kind: 'unreachable', sources: [A.ip] }] });
    const client = await ec2(A.ip);
    expect(await kindOf(client.describeAddress(VIP.allocation, how))).toMatch(/^unknown-outcome/);
    expect(new Set(arrived().map(([, source]) => source))).toEqual(new Set([A.ip]));
  });
});

describe('O2', () => {
  it('the lease is asked for again when the request is ready to leave', async () => {
    const client = await ec2();
    leaseIsValid = false;
    for (const call of [
      client.associateAddress(moveTo(B.eni), how),
      client.disassociateAddress('eipassoc-0', how),
      client.replaceRoute({ table: ROUTES, destination: OVERLAY, interfaceId: B.eni }, how),
      client.createRoute({ table: ROUTES, destination: OVERLAY, interfaceId: B.eni }, how),
      client.assignPrivateIp({ interfaceId: B.eni, address: A.floating, allowReassignment: true }, how),
      client.modifyInterfaceGroups({ interfaceId: A.eni, groups: ['sg-isolated'] }, how),
      client.stopInstance({ instanceId: A.instance, force: true, skipOsShutdown: true }, how),
      (await elb()).registerTargets(GROUP, [{ id: A.instance, port: null }], how),
      (await elb()).deregisterTargets(GROUP, [{ id: A.instance, port: null }], how),
    ])
      expect(await kindOf(call)).toBe('aborted LeaseEnded');
    expect(actions()).toEqual([]);
  });

  it('a mutation is one attempt of the SDK, a reading may be two', async () => {
    running.controller.setFaults({ rules: [{ kind: 'error', status: 500 }] });
    const client = await ec2();
    await kindOf(client.replaceRoute({ table: ROUTES, destination: OVERLAY, interfaceId: B.eni }, how));
    await kindOf((await elb()).registerTargets(GROUP, [{ id: A.instance, port: null }], how));
    expect(actions()).toEqual(['ReplaceRoute', 'RegisterTargets']);
    running.controller.clearCalls();
    await kindOf(client.describeRouteTables([ROUTES], how));
    expect(actions()).toEqual(['DescribeRouteTables', 'DescribeRouteTables']);
  });
});

describe('what is read', () => {
  it('addresses, routes, interfaces, instances', async () => {
    const client = await ec2();
    expect(await client.describeAddress(VIP.allocation, how)).toMatchObject({
      publicIp: VIP.ip,
      interfaceId: A.eni,
      privateIp: A.ip,
    });
    await client.associateAddress({ ...moveTo(A.eni), privateIp: A.floating }, how);
    expect((await client.describeAddress(VIP.allocation, how)).privateIp).toBe(A.floating);
    const routes = (await client.describeRouteTables([ROUTES], how)).get(ROUTES);
    expect(routes).toContainEqual({
      destination: OVERLAY,
      target: { kind: 'interface', id: A.eni },
      state: 'active',
    });
    expect(routes).toContainEqual(expect.objectContaining({ target: { kind: 'other', id: 'local' } }));
    await running.controller.power(A.instance, 'stop');
    expect((await client.describeRouteTables([ROUTES], how)).get(ROUTES)).toContainEqual(
      expect.objectContaining({ destination: OVERLAY, state: 'blackhole' }),
    );
    expect(await client.describeInterfaces([A.eni], how)).toEqual([
      {
        id: A.eni,
        subnetId: 'subnet-a',
        zone: 'us-east-1a',
        status: 'in-use',
        sourceDestCheck: true,
        groups: ['sg-open'],
        privateIps: [A.ip, A.floating],
        attachment: { instanceId: A.instance, deviceIndex: 0, status: 'attached' },
      },
    ]);
    expect(await client.describeInstances([A.instance, B.instance], how)).toEqual(
      new Map([
        [A.instance, 'stopped'],
        [B.instance, 'running'],
      ]),
    );
  });

  it('an unknown id is final', async () => {
    const client = await ec2();
    expect(await kindOf(client.describeRouteTables(['rtb-0'], how))).toBe(
      'permanent InvalidRouteTableID.NotFound',
    );
    expect(await kindOf(client.describeInterfaces(['eni-0'], how))).toContain('permanent');
    expect(await kindOf(client.describeInstances(['i-0'], how))).toContain('permanent');
    const unknown = GROUP.replace('73e', '000');
    expect(await kindOf((await elb()).describeTargetHealth(unknown, how))).toBe(
      'permanent TargetGroupNotFoundException',
    );
  });

  it('the codes that the resources go by', async () => {
    const client = await ec2();
    const route = { table: ROUTES, destination: OVERLAY, interfaceId: B.eni };
    expect(await kindOf(client.createRoute(route, how))).toBe('already-associated RouteAlreadyExists');
    expect(await kindOf(client.replaceRoute({ ...route, destination: '10.99.0.0/16' }, how))).toBe(
      'permanent InvalidParameterValue',
    );
    running.controller.setFaults({ rules: [{ kind: 'throttled' }] });
    expect(await kindOf(client.createRoute(route, how))).toBe('throttled RequestLimitExceeded');
    expect(await kindOf((await elb()).registerTargets(GROUP, [{ id: A.instance, port: null }], how))).toBe(
      'throttled Throttling',
    );
  });
});

describe('dry runs', () => {
  const route = { table: ROUTES, destination: OVERLAY, interfaceId: A.eni };
  const everything = (associationId: string): DryRunAction[] => [
    { kind: 'AssociateAddress', allocationId: VIP.allocation, interfaceId: B.eni },
    { kind: 'DisassociateAddress', associationId },
    { kind: 'ReplaceRoute', ...route },
    { kind: 'CreateRoute', ...route },
    { kind: 'StopInstances', instanceId: B.instance },
    { kind: 'ModifyNetworkInterfaceAttribute', interfaceId: A.eni, groups: ['sg-open'] },
  ];
  const run = async () => {
    const client = await ec2();
    const { associationId } = await client
      .describeAddress(VIP.allocation, how)
      .catch(() => ({ associationId: null }));
    const before = running.controller.world;
    const results: Record<string, unknown> = {};
    for (const action of everything(associationId ?? 'eipassoc-0'))
      results[action.kind] = await client.dryRun(action, how);
    expect(running.controller.world).toBe(before);
    return results;
  };
  const KINDS = everything('').map(({ kind }) => kind);
  const all = (result: unknown) => Object.fromEntries(KINDS.map((kind) => [kind, result]));

  it('allowed, without a lease', async () => {
    leaseIsValid = false;
    expect(await run()).toEqual(all({ kind: 'allowed' }));
  });

  it('denied, with the code', async () => {
    await running.stop();
    await start({ accessKeys: { AKIDEXAMPLE: { allow: ['Describe*'] } } });
    expect(await run()).toEqual(all({ kind: 'denied', code: 'UnauthorizedOperation' }));
    await running.stop();
    await start({ accessKeys: { AKIDOTHER: { allow: ['*'] } } });
    expect(await run()).toEqual(all({ kind: 'denied', code: 'AuthFailure' }));
  });

  it('H4: everything else is unknown', async () => {
    const client = await ec2();
    const [associate] = everything('');
    if (associate === undefined) throw new Error('there is one');
    for (const [faults, code] of [
      [{ kind: 'throttled' }, 'RequestLimitExceeded'],
      [{ kind: 'error', code: 'InternalError', status: 500 }, 'InternalError'],
      [{ kind: 'error', code: 'InvalidAllocationID.NotFound', status: 400 }, 'InvalidAllocationID.NotFound'],
      [{ kind: 'unreachable' }, 'ECONNRESET'],
    ] as const) {
      running.controller.setFaults({ rules: [faults] });
      expect(await client.dryRun(associate, how)).toEqual({ kind: 'unknown', code });
    }
  });

  it('from an idle node they leave from elsewhere', async () => {
    const client = await ec2(NOT_HERE);
    expect(await client.dryRun({ kind: 'ReplaceRoute', ...route }, how)).toEqual({ kind: 'allowed' });
  });
});
