import {
  AssociateAddressCommand,
  DescribeAvailabilityZonesCommand,
  DescribeInstanceStatusCommand,
  DescribeInstancesCommand,
  DescribeRouteTablesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { A, B, eventually, outcome, ROUTES, type Running, startController, VIP } from './support.ts';

let running: Running;
let switched: string[];
let hook: (instance: string) => Promise<void>;
/** So slow a clean shutdown that a test which waits for it fails. */
const NEVER = { timing: { osShutdownMs: 60_000, stoppingMs: 60, pendingMs: 100, reassignMs: 150 } };
const begin = async (change: Parameters<typeof startController>[0] = {}) => {
  switched = [];
  hook = async () => {};
  const onPower = async (
    instance: string,
    action: string,
    how: { force: boolean; skipOsShutdown: boolean },
  ) => {
    switched.push(`${instance} ${action}${how.skipOsShutdown ? ' skip' : ''}${how.force ? ' force' : ''}`);
    await hook(instance);
  };
  running = await startController(change, { onPower });
};
beforeEach(() => begin());
afterEach(() => running.stop());

const state = async (id: string) => {
  const reply = await running.ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }));
  return reply.Reservations?.[0]?.Instances?.[0]?.State;
};
const stop = (input: object) =>
  running.ec2.send(new StopInstancesCommand({ InstanceIds: [A.instance], ...input }));
const isPowered = (id: string) => running.controller.instance(id).powered;

describe('DescribeInstances', () => {
  it('shows state, zone, interfaces and tags', async () => {
    const reply = await running.ec2.send(new DescribeInstancesCommand({ InstanceIds: [A.instance] }));
    expect(reply.Reservations).toHaveLength(1);
    expect(reply.Reservations?.[0]?.Instances?.[0]).toMatchObject({
      InstanceId: A.instance,
      State: { Code: 16, Name: 'running' },
      PrivateIpAddress: A.ip,
      PublicIpAddress: VIP.ip,
      Placement: { AvailabilityZone: 'us-east-1a' },
      VpcId: 'vpc-0a1b2c3d',
      SubnetId: 'subnet-a',
      SourceDestCheck: true,
      Tags: [
        { Key: 'Name', Value: 'a' },
        { Key: 'role', Value: 'data' },
      ],
      NetworkInterfaces: [
        {
          NetworkInterfaceId: A.eni,
          Association: { PublicIp: VIP.ip },
          Attachment: { DeviceIndex: 0, Status: 'attached' },
          PrivateIpAddresses: [
            { PrivateIpAddress: A.ip, Primary: true },
            { PrivateIpAddress: A.floating, Primary: false },
          ],
        },
      ],
    });
  });

  it.each([
    ['instance-state-name', 'running', [A.instance, B.instance]],
    ['instance-state-name', 'stopped', []],
    ['availability-zone', 'us-east-1b', [B.instance]],
    ['tag:Name', 'a', [A.instance]],
    ['private-ip-address', B.ip, [B.instance]],
    ['network-interface.network-interface-id', A.eni, [A.instance]],
    ['ip-address', VIP.ip, [A.instance]],
  ])('filters by %s = %s', async (Name, value, expected) => {
    const reply = await running.ec2.send(
      new DescribeInstancesCommand({ Filters: [{ Name, Values: [value] }] }),
    );
    expect(reply.Reservations?.flatMap((one) => one.Instances?.map((each) => each.InstanceId))).toEqual(
      expected,
    );
  });

  it('tells an unknown id from a malformed one', async () => {
    const send = (id: string) =>
      outcome(running.ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] })));
    expect(await send('i-00000000')).toBe('400 InvalidInstanceID.NotFound');
    expect(await send('nonsense')).toBe('400 InvalidInstanceID.Malformed');
  });
});

it('pages, and refuses pages together with ids', async () => {
  const instances = Array.from({ length: 12 }, (_, n) => ({ id: `i-0000001${n.toString(16)}`, zone: 'z' }));
  const many = await startController({ instances, interfaces: [], addresses: [], routeTables: [] });
  try {
    const seen: (string | undefined)[] = [];
    let NextToken: string | undefined;
    do {
      const reply = await many.ec2.send(new DescribeInstancesCommand({ MaxResults: 5, NextToken }));
      seen.push(...(reply.Reservations ?? []).map((one) => one.Instances?.[0]?.InstanceId));
      NextToken = reply.NextToken;
    } while (NextToken !== undefined);
    expect(seen).toEqual(instances.map((one) => one.id));
    const both = new DescribeInstancesCommand({ MaxResults: 5, InstanceIds: ['i-00000010'] });
    expect(await outcome(many.ec2.send(both))).toBe('400 InvalidParameterCombination');
    const bad = new DescribeInstancesCommand({ MaxResults: 5, NextToken: 'x' });
    expect(await outcome(many.ec2.send(bad))).toBe('400 InvalidNextToken');
  } finally {
    await many.stop();
  }
});

it('DescribeInstanceStatus shows running instances only, unless all are asked for', async () => {
  await running.controller.power(B.instance, 'stop');
  const running1 = await running.ec2.send(new DescribeInstanceStatusCommand({}));
  expect(running1.InstanceStatuses).toMatchObject([
    { InstanceId: A.instance, InstanceStatus: { Status: 'ok' }, SystemStatus: { Status: 'ok' } },
  ]);
  const all = await running.ec2.send(new DescribeInstanceStatusCommand({ IncludeAllInstances: true }));
  expect(all.InstanceStatuses?.map((one) => one.InstanceState?.Name)).toEqual(['running', 'stopped']);
});

it('DescribeInstanceStatus says impaired for a machine that crashed under EC2', async () => {
  await running.controller.power(A.instance, 'crash');
  const reply = await running.ec2.send(new DescribeInstanceStatusCommand({ InstanceIds: [A.instance] }));
  expect(reply.InstanceStatuses?.[0]).toMatchObject({
    InstanceState: { Name: 'running' },
    SystemStatus: { Status: 'impaired' },
  });
});

it('DescribeAvailabilityZones', async () => {
  const reply = await running.ec2.send(new DescribeAvailabilityZonesCommand({}));
  expect(reply.AvailabilityZones?.map((one) => one.ZoneName)).toEqual(['us-east-1a', 'us-east-1b']);
  const wrong = new DescribeAvailabilityZonesCommand({ ZoneNames: ['mars'] });
  expect(await outcome(running.ec2.send(wrong))).toBe('400 InvalidParameterValue');
});

describe('StopInstances (R5: stopping proves nothing)', () => {
  it('with Force still lets the operating system shut down: the machine lives on in `stopping`', async () => {
    const reply = await stop({ Force: true });
    expect(reply.StoppingInstances).toEqual([
      {
        InstanceId: A.instance,
        CurrentState: { Code: 64, Name: 'stopping' },
        PreviousState: { Code: 16, Name: 'running' },
      },
    ]);
    expect(isPowered(A.instance)).toBe(true);
    expect(switched).toEqual([]);
    await eventually(() => !isPowered(A.instance));
    expect(await state(A.instance)).toMatchObject({ Name: 'stopping' });
    await eventually(() => running.controller.instance(A.instance).state === 'stopped');
    expect(switched).toEqual([`${A.instance} stop force`]);
    expect(await state(A.instance)).toMatchObject({ Code: 80, Name: 'stopped' });
  });

  it('with SkipOsShutdown takes the power at once, and dwells in `stopping` all the same', async () => {
    await running.stop();
    await begin(NEVER);
    const reply = await stop({ Force: true, SkipOsShutdown: true });
    expect(reply.StoppingInstances?.[0]?.CurrentState?.Name).toBe('stopping');
    await eventually(() => !isPowered(A.instance));
    expect(switched).toEqual([`${A.instance} stop skip force`]);
    await eventually(() => running.controller.instance(A.instance).state === 'stopped');
  });

  it('a second stop with SkipOsShutdown overtakes a slow clean shutdown, once', async () => {
    await running.stop();
    await begin(NEVER);
    await stop({});
    await stop({ SkipOsShutdown: true });
    await eventually(() => !isPowered(A.instance));
    await eventually(() => running.controller.instance(A.instance).state === 'stopped');
    expect(switched).toEqual([`${A.instance} stop skip`]);
  });

  it('says `stopped` only when the machine is off: it waits for the hook, and for ever when the hook fails', async () => {
    let release = () => {};
    hook = () => new Promise((resolve) => (release = resolve));
    await stop({ SkipOsShutdown: true });
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(running.controller.instance(A.instance).state).toBe('stopping');
    release();
    await eventually(() => running.controller.instance(A.instance).state === 'stopped');
    hook = () => Promise.reject(new Error('the plug is stuck'));
    await running.ec2.send(new StopInstancesCommand({ InstanceIds: [B.instance], SkipOsShutdown: true }));
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(running.controller.instance(B.instance).state).toBe('stopping');
  });

  it('is all or nothing, and repeatable', async () => {
    const both = stop({ InstanceIds: [A.instance, 'i-00000000'] });
    expect(await outcome(both)).toBe('400 InvalidInstanceID.NotFound');
    expect(await outcome(stop({ DryRun: true }))).toBe('412 DryRunOperation');
    expect(await outcome(stop({ InstanceIds: [] }))).toBe('400 MissingParameter');
    expect(await state(A.instance)).toMatchObject({ Name: 'running' });
    await running.controller.power(A.instance, 'stop');
    const again = await stop({});
    expect(again.StoppingInstances?.[0]?.CurrentState?.Name).toBe('stopped');
    await running.controller.power(A.instance, 'terminate');
    expect(await outcome(stop({}))).toBe('400 IncorrectInstanceState');
  });

  it('stops a machine that crashed before: EC2 said `running` although nothing ran', async () => {
    await running.controller.power(A.instance, 'crash');
    expect(await state(A.instance)).toMatchObject({ Name: 'running' });
    expect(isPowered(A.instance)).toBe(false);
    await stop({ SkipOsShutdown: true });
    await eventually(() => running.controller.instance(A.instance).state === 'stopped');
  });

  it('makes the routes to it black holes', async () => {
    await running.controller.power(A.instance, 'stop');
    const reply = await running.ec2.send(new DescribeRouteTablesCommand({ RouteTableIds: [ROUTES] }));
    expect(reply.RouteTables?.[0]?.Routes?.map((one) => one.State)).toEqual(['active', 'blackhole']);
  });
});

describe('StartInstances', () => {
  const start = () => running.ec2.send(new StartInstancesCommand({ InstanceIds: [A.instance] }));

  it('goes from stopped over pending to running, with the power on', async () => {
    await running.controller.power(A.instance, 'stop');
    const reply = await start();
    expect(reply.StartingInstances?.[0]).toMatchObject({
      CurrentState: { Name: 'pending' },
      PreviousState: { Name: 'stopped' },
    });
    const early = new AssociateAddressCommand({ AllocationId: VIP.allocation, InstanceId: A.instance });
    expect(await outcome(running.ec2.send(early))).toBe('400 IncorrectInstanceState');
    await eventually(() => running.controller.instance(A.instance).state === 'running');
    expect(isPowered(A.instance)).toBe(true);
    expect(running.controller.powerEvents().map((one) => one.action)).toEqual(['stop', 'start']);
  });

  it('is refused while the instance is stopping', async () => {
    await stop({});
    expect(await outcome(start())).toBe('400 IncorrectInstanceState');
  });
});
