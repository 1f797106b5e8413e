import { AssociateAddressCommand, DescribeAddressesCommand } from '@aws-sdk/client-ec2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  A,
  B,
  eventually,
  local,
  OVERLAY,
  outcome,
  ROUTES,
  type Running,
  raw,
  startController,
  VIP,
} from './support.ts';

let running: Running;
beforeEach(async () => {
  running = await startController();
});
afterEach(() => running.stop());

const send = (form: Record<string, string>, headers = {}) => raw(running.controller, form, headers);
const code = (body: string) => /<Code>(.*?)<\/Code>/.exec(body)?.[1];
const XMLNS = 'xmlns="http://ec2.amazonaws.com/doc/2016-11-15"';

describe('wire samples', () => {
  it('AssociateAddress', async () => {
    const { status, body, requestId } = await send({
      Action: 'AssociateAddress',
      AllocationId: VIP.allocation,
      NetworkInterfaceId: B.eni,
      AllowReassociation: 'true',
    });
    expect(status).toBe(200);
    expect(body).toMatch(
      new RegExp(
        `^<AssociateAddressResponse ${XMLNS}><associationId>eipassoc-[0-9a-f]{17}</associationId><requestId>${requestId}</requestId></AssociateAddressResponse>$`,
      ),
    );
  });

  it('an error has an envelope without a namespace', async () => {
    const { status, body, requestId } = await send({
      Action: 'AssociateAddress',
      AllocationId: VIP.allocation,
      NetworkInterfaceId: B.eni,
      AllowReassociation: 'false',
    });
    expect(status).toBe(400);
    expect(body).toBe(
      `<Response><Errors><Error><Code>Resource.AlreadyAssociated</Code><Message>Resource ${VIP.ip} is already associated.</Message></Error></Errors><RequestID>${requestId}</RequestID></Response>`,
    );
  });

  it('DescribeAddresses', async () => {
    const { body, requestId } = await send({
      Action: 'DescribeAddresses',
      'Filter.1.Name': 'tag:vip',
      'Filter.1.Value.1': '1',
    });
    const association = running.controller.world.addresses.get(VIP.allocation)?.association?.id;
    expect(body).toBe(
      `<DescribeAddressesResponse ${XMLNS}><addressesSet><item><instanceId>${A.instance}</instanceId><publicIp>${VIP.ip}</publicIp><allocationId>${VIP.allocation}</allocationId><associationId>${association}</associationId><domain>vpc</domain><networkInterfaceId>${A.eni}</networkInterfaceId><networkInterfaceOwnerId>123456789012</networkInterfaceOwnerId><privateIpAddress>${A.ip}</privateIpAddress><tagSet><item><key>vip</key><value>1</value></item></tagSet></item></addressesSet><requestId>${requestId}</requestId></DescribeAddressesResponse>`,
    );
  });

  it('ReplaceRoute', async () => {
    const form = { Action: 'ReplaceRoute', RouteTableId: ROUTES, NetworkInterfaceId: B.eni };
    const done = await send({ ...form, DestinationCidrBlock: OVERLAY });
    expect(done.body).toContain('<return>true</return>');
    const refused = await send({ ...form, DestinationCidrBlock: '10.0.0.0/32' });
    expect(refused.body).toContain(
      'There is no route defined for &apos;10.0.0.0/32&apos; in the route table. Use CreateRoute instead.',
    );
  });

  it('StopInstances', async () => {
    const { body, requestId } = await send({
      Action: 'StopInstances',
      'InstanceId.1': A.instance,
      Force: 'true',
    });
    expect(body).toBe(
      `<StopInstancesResponse ${XMLNS}><instancesSet><item><currentState><code>64</code><name>stopping</name></currentState><instanceId>${A.instance}</instanceId><previousState><code>16</code><name>running</name></previousState></item></instancesSet><requestId>${requestId}</requestId></StopInstancesResponse>`,
    );
  });
});

describe('requests', () => {
  it.each([
    [{}, 400, 'MissingAction'],
    [{ Action: 'LaunchRocket' }, 400, 'InvalidAction'],
    [{ Action: 'constructor' }, 400, 'InvalidAction'],
    [{ Action: 'DescribeAddresses', Colour: 'red' }, 400, 'UnknownParameter'],
    [{ Action: 'DescribeAddresses', Version: 'new' }, 400, 'NoSuchVersion'],
    [{ Action: 'DescribeAddresses', Version: '' }, 400, 'MissingParameter'],
    [{ Action: 'StopInstances' }, 400, 'MissingParameter'],
    [{ Action: 'StopInstances', 'InstanceId.1': 'i-1', Force: 'perhaps' }, 400, 'InvalidParameterValue'],
    [{ Action: 'DescribeInstances', MaxResults: '1' }, 400, 'InvalidParameterValue'],
    // Not in EC2's model for this action.
    [
      { Action: 'AssignPrivateIpAddresses', NetworkInterfaceId: A.eni, DryRun: 'true' },
      400,
      'UnknownParameter',
    ],
  ])('%j → %i %s', async (form, status, expected) => {
    const reply = await send(form as Record<string, string>);
    expect([reply.status, code(reply.body)]).toEqual([status, expected]);
  });

  it('echoes hostile text as text', async () => {
    const { body } = await send({ Action: '<&>\u0001"' });
    expect(body).toContain('The action &lt;&amp;&gt;\ufffd&quot; is not valid');
  });

  it('takes GET as the Query protocol does, and nothing beside /', async () => {
    const authorization =
      'AWS4-HMAC-SHA256 Credential=K/20261123/r/ec2/aws4_request, SignedHeaders=h, Signature=0';
    const get = (path: string) => fetch(running.controller.endpoint + path, { headers: { authorization } });
    const reply = await get('/?Action=DescribeAddresses&Version=2016-11-15');
    expect(reply.status).toBe(200);
    expect((await get('/elsewhere')).status).toBe(404);
  });

  it('refuses bodies without end', async () => {
    const reply = await send({ Action: 'DescribeAddresses', Colour: 'x'.repeat(300_000) });
    expect(reply.status).toBe(413);
  });

  it('every reply has its own request id, also those of errors, and the SDK finds it', async () => {
    const ids = new Set<string | null>();
    for (let i = 0; i < 20; i++)
      ids.add((await send({ Action: i % 2 ? 'Nothing' : 'DescribeAddresses' })).requestId);
    expect(ids.size).toBe(20);
    const reply = await running.ec2.send(new DescribeAddressesCommand({}));
    expect(reply.$metadata.requestId).toBe(running.controller.calls().at(-1)?.requestId);
    const missing = new DescribeAddressesCommand({ AllocationIds: ['eipalloc-0'] });
    const error = await running.ec2.send(missing).catch((one: { $metadata: object }) => one);
    expect(error.$metadata).toMatchObject({ requestId: running.controller.calls().at(-1)?.requestId });
  });
});

describe('access keys', () => {
  it('a request without a signature is refused', async () => {
    const reply = await send({ Action: 'DescribeAddresses' }, { authorization: 'Bearer x' });
    expect([reply.status, code(reply.body)]).toEqual([401, 'AuthFailure']);
  });

  it('each key may do what its list allows, a dry run tells', async () => {
    const one = await startController({
      accessKeys: {
        AKIDREADER: { allow: ['Describe*'] },
        AKIDMOVER: { allow: ['AssociateAddress', 'Describe*'] },
      },
    });
    try {
      const move = (accessKey: string, DryRun: boolean) =>
        outcome(
          one.client({ accessKey }).send(
            new AssociateAddressCommand({
              AllocationId: VIP.allocation,
              NetworkInterfaceId: B.eni,
              DryRun,
            }),
          ),
        );
      expect(await move('AKIDREADER', true)).toBe('403 UnauthorizedOperation');
      expect(await move('AKIDMOVER', true)).toBe('412 DryRunOperation');
      expect(await move('AKIDSTRANGER', true)).toBe('401 AuthFailure');
      expect(await move('AKIDREADER', false)).toBe('403 UnauthorizedOperation');
      expect(one.controller.lookup(VIP.ip)?.target?.interfaceId).toBe(A.eni);
      expect(await move('AKIDMOVER', false)).toBe('ok');
    } finally {
      await one.stop();
    }
  });
});

describe('the local API', () => {
  it('shows the truth and the calls with source, key and result', async () => {
    await running.ec2.send(new DescribeAddressesCommand({ AllocationIds: [VIP.allocation] }));
    const state = (await local(running.controller, 'GET', 'state')).json;
    expect(state).toMatchObject({
      addresses: { [VIP.allocation]: { association: { interfaceId: A.eni, privateIp: A.ip } } },
      instances: { [A.instance]: { state: 'running', powered: true } },
      forwards: [{ publicIp: VIP.ip, target: { interfaceId: A.eni } }, { target: null }],
    });
    const calls = (await local(running.controller, 'GET', 'calls?action=DescribeAddresses')).json;
    expect(calls).toMatchObject([
      {
        action: 'DescribeAddresses',
        params: { 'AllocationId.1': VIP.allocation },
        source: expect.stringMatching(/^127\./),
        accessKey: 'AKIDEXAMPLE',
        region: 'us-east-1',
        result: 'ok',
        status: 200,
        reply: 'sent',
        ms: expect.any(Number),
      },
    ]);
    expect((await local(running.controller, 'GET', 'calls?after=1')).json).toEqual([]);
    await local(running.controller, 'DELETE', 'calls');
    expect(running.controller.calls()).toEqual([]);
  });

  it('switches power, cables and interfaces', async () => {
    const { controller } = running;
    await local(controller, 'POST', `instances/${A.instance}/power`, { action: 'stop' });
    expect((await local(controller, 'GET', `instances/${A.instance}/power`)).json).toMatchObject({
      state: 'stopped',
      powered: false,
    });
    await local(controller, 'POST', `instances/${A.instance}/power`, { action: 'start' });
    expect((await local(controller, 'GET', 'power')).json).toMatchObject([
      { seq: 1, instanceId: A.instance, action: 'stop' },
      { seq: 2, instanceId: A.instance, action: 'start' },
    ]);
    await local(controller, 'PUT', `interfaces/${B.eni}/link`, { up: false });
    await local(controller, 'PUT', 'zones/us-east-1a/link', { up: false });
    expect([...controller.world.interfaces.values()].map((one) => one.linkUp)).toEqual([false, false]);
    await local(controller, 'DELETE', `interfaces/${B.eni}`);
    expect(controller.world.interfaces.has(B.eni)).toBe(false);
  });

  it('answers errors as errors, and never as an EC2 action', async () => {
    const { controller } = running;
    expect((await local(controller, 'GET', 'nothing')).status).toBe(404);
    expect((await local(controller, 'PUT', 'interfaces/eni-0/link', { up: true })).status).toBe(404);
    expect((await local(controller, 'PUT', `interfaces/${A.eni}/link`, { up: 1 })).status).toBe(400);
    const action = await fetch(`${controller.endpoint}/_local/?Action=DescribeAddresses&Version=2016-11-15`);
    expect(action.status).toBe(404);
    expect(controller.calls()).toEqual([]);
  });
});

it('stops with calls and connections pending', async () => {
  running.controller.setFaults({ rules: [{ kind: 'late', ms: 60_000 }] });
  const pending = outcome(running.ec2.send(new DescribeAddressesCommand({})));
  await eventually(() => running.controller.calls().length === 1);
  await running.controller.stop();
  expect(await pending).not.toBe('ok');
});
