/**
 * The resources and the fencer against an EC2 and ELB that this project did not write: moto's server, where it is
 * installed (`pip install 'moto[server]'`). It executes at once and loses nothing; what it shows is that we speak the
 * interface as others understand it.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import {
  AllocateAddressCommand,
  CreateNetworkInterfaceCommand,
  CreateRouteTableCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  EC2Client,
  RunInstancesCommand,
} from '@aws-sdk/client-ec2';
import {
  CreateTargetGroupCommand,
  ElasticLoadBalancingV2Client,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { instant, nodeId } from '../../src/core/index.ts';
import {
  type DryRunAction,
  Ec2Fencer,
  ElasticIpResource,
  loadEc2Client,
  loadElbClient,
  PrivateIpResource,
  type Resource,
  TargetGroupResource,
  VpcRouteResource,
} from '../../src/resources/index.ts';
import { eventually } from '../controller/support.ts';

const isInstalled = spawnSync('moto_server', ['--help']).status === 0;
const OVERLAY = '192.168.77.77/32';

interface Place {
  readonly instance: string;
  readonly eni: string;
}
interface Cloud {
  readonly a: Place;
  readonly b: Place;
  readonly allocation: string;
  readonly tables: readonly string[];
  readonly floating: string;
  readonly isolated: string;
  readonly group: string;
}

const need = <Value>(value: Value | undefined): Value => {
  if (value === undefined) throw new Error('moto left it out');
  return value;
};

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return address.port;
}

async function build(endpoint: string): Promise<Cloud> {
  const ec2 = new EC2Client({ endpoint, region: 'us-east-1' });
  const vpc = need((await ec2.send(new CreateVpcCommand({ CidrBlock: '10.0.0.0/16' }))).Vpc?.VpcId);
  const makeSubnet = async (CidrBlock: string, AvailabilityZone: string) =>
    need(
      (await ec2.send(new CreateSubnetCommand({ VpcId: vpc, CidrBlock, AvailabilityZone }))).Subnet?.SubnetId,
    );
  const subnet = await makeSubnet('10.0.1.0/24', 'us-east-1a');
  const place = async (PrivateIpAddress: string): Promise<Place> => {
    const made = await ec2.send(new CreateNetworkInterfaceCommand({ SubnetId: subnet, PrivateIpAddress }));
    const eni = need(made.NetworkInterface?.NetworkInterfaceId);
    const run = new RunInstancesCommand({
      ImageId: 'ami-12c6146b',
      MinCount: 1,
      MaxCount: 1,
      NetworkInterfaces: [{ DeviceIndex: 0, NetworkInterfaceId: eni }],
    });
    return { instance: need((await ec2.send(run)).Instances?.[0]?.InstanceId), eni };
  };
  const [a, b] = [await place('10.0.1.10'), await place('10.0.1.11')];
  const table = async () =>
    need((await ec2.send(new CreateRouteTableCommand({ VpcId: vpc }))).RouteTable?.RouteTableId);
  const group = new CreateSecurityGroupCommand({ GroupName: 'isolated', Description: 'nothing', VpcId: vpc });
  const elb = new ElasticLoadBalancingV2Client({ endpoint, region: 'us-east-1' });
  const target = { Name: 'nas', Protocol: 'TCP', Port: 2049, VpcId: vpc, TargetType: 'instance' } as const;
  const groups = (await elb.send(new CreateTargetGroupCommand(target))).TargetGroups;
  const cloud = {
    a,
    b,
    allocation: need((await ec2.send(new AllocateAddressCommand({ Domain: 'vpc' }))).AllocationId),
    tables: [await table(), await table()],
    floating: '10.0.1.50',
    isolated: need((await ec2.send(group)).GroupId),
    group: need(groups?.[0]?.TargetGroupArn),
  };
  ec2.destroy();
  elb.destroy();
  return cloud;
}

describe.skipIf(!isInstalled)(`moto${isInstalled ? '' : ' (skipped: no moto_server)'}`, () => {
  let server: ChildProcess;
  let endpoint: string;
  let cloud: Cloud;
  let stderr = '';
  const closing: { close(): void }[] = [];

  beforeAll(async () => {
    process.env.AWS_ACCESS_KEY_ID = 'testing';
    process.env.AWS_SECRET_ACCESS_KEY = 'testing';
    const port = await freePort();
    endpoint = `http://127.0.0.1:${port}`;
    server = spawn('moto_server', ['-H', '127.0.0.1', '-p', String(port)], {
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    server.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    await eventually(() => stderr.includes('Running on'), 50_000);
    cloud = await build(endpoint);
  });
  afterAll(async () => {
    for (const client of closing) client.close();
    const ended = once(server, 'exit');
    // A group of its own: `moto_server` may be a shell script that starts it.
    if (server.pid !== undefined) process.kill(-server.pid, 'SIGKILL');
    await ended;
  });

  const options = () => ({ region: 'us-east-1', endpoint, localAddress: null, mayMutate: () => true });
  async function clients() {
    const [{ Ec2Client }, { ElbClient }] = [await loadEc2Client(), await loadElbClient()];
    const [ec2, elb] = [new Ec2Client(options()), new ElbClient(options())];
    closing.push(ec2, elb);
    return { ec2, elb };
  }
  const within = (ms: number) => ({
    deadline: instant(systemClock.now() + ms),
    signal: new AbortController().signal,
  });

  type Kind = 'elastic-ip' | 'vpc-route' | 'private-ip' | 'move' | 'role-checks';
  async function make(kind: Kind, own: Place, other: Place): Promise<Resource> {
    const { ec2, elb } = await clients();
    const common = {
      name: kind,
      clock: systemClock,
      random: Math.random,
      endpoint,
      ownInterface: own.eni,
      memberInterfaces: new Set([other.eni]),
      api: ec2,
    };
    switch (kind) {
      case 'elastic-ip':
        return new ElasticIpResource({ ...common, allocation: cloud.allocation });
      case 'vpc-route':
        return new VpcRouteResource({ ...common, tables: cloud.tables, destination: OVERLAY });
      case 'private-ip':
        return new PrivateIpResource({ ...common, address: cloud.floating });
      case 'move':
      case 'role-checks':
        return new TargetGroupResource({
          ...common,
          elb,
          group: cloud.group,
          mode: kind,
          ownTarget: { id: own.instance, port: null },
          otherTargets: [{ id: other.instance, port: null }],
        });
    }
  }

  it.each(['elastic-ip', 'vpc-route', 'private-ip', 'move', 'role-checks'] as const)(
    '%s moves there and back',
    async (kind) => {
      const [a, b] = [await make(kind, cloud.a, cloud.b), await make(kind, cloud.b, cloud.a)];
      for (const [resource, loser] of [
        [a, b],
        [b, a],
        [a, b],
      ] as const) {
        await loser.release({ ...within(1000), mode: 'abrupt' });
        await resource.acquire({ ...within(10_000), previousReleased: false });
        expect((await resource.probe(within(5000))).probe).toBe('held');
        // moto shows a reassigned private address on both interfaces; with role checks everybody is registered.
        if (kind !== 'role-checks' && kind !== 'private-ip')
          expect((await loser.probe(within(5000))).probe).toBe('not-held');
      }
    },
  );

  it('elastic-ip: a planned switchover', async () => {
    const [a, b] = [await make('elastic-ip', cloud.a, cloud.b), await make('elastic-ip', cloud.b, cloud.a)];
    await a.acquire({ ...within(10_000), previousReleased: false });
    expect(await a.release({ ...within(5000), mode: 'planned' })).toBe('disassociated');
    expect(await b.acquire({ ...within(10_000), previousReleased: true })).toBe('associated (nobody had it)');
  });

  it('fencing, confirmed by the state, and isolation', async () => {
    const { ec2 } = await clients();
    const fencer = new Ec2Fencer({
      instances: new Map([[nodeId('b'), cloud.b.instance]]),
      isolationGroup: cloud.isolated,
      interfaces: new Map([[nodeId('b'), [cloud.b.eni]]]),
      api: ec2,
      clock: systemClock,
      random: Math.random,
      endpoint,
    });
    expect(await fencer.fence(nodeId('b'), within(20_000))).toMatchObject({
      kind: 'confirmed',
      state: 'stopped',
    });
  });

  it('dry runs: allowed; one that it executes after all is told, and no more are sent', async () => {
    const { ec2 } = await clients();
    const run = (action: DryRunAction) => ec2.dryRun(action, { ...within(5000), timeoutMs: 5000 });
    const { a, allocation, tables } = cloud;
    const associate = { kind: 'AssociateAddress', allocationId: allocation, interfaceId: a.eni } as const;
    expect(await run(associate)).toEqual({ kind: 'allowed' });
    expect(await run({ kind: 'StopInstances', instanceId: a.instance })).toEqual({ kind: 'allowed' });
    const route = { table: tables[0] ?? '', destination: OVERLAY, interfaceId: a.eni };
    expect(await run({ kind: 'ReplaceRoute', ...route })).toEqual({ kind: 'unknown', code: 'DryRunIgnored' });
    expect(await run(associate)).toEqual({ kind: 'unknown', code: 'DryRunIgnored' });
  });
});
