/** Fencing by StopInstances, against EC2 in memory and on a virtual clock (R5). */
import { beforeEach, describe, expect, it } from 'vitest';
import { nodeId } from '../../src/core/index.ts';
import { Ec2Fencer, gatedEc2, type InstanceState } from '../../src/resources/index.ts';
import type { ScriptedCloud } from './support/scripted-cloud.ts';
import { makeSetting, PEER } from './support/setting.ts';

const B = nodeId('b');
const INSTANCE = 'i-0000000b';
const ISOLATED = 'sg-00000001';

let setting: ReturnType<typeof makeSetting>;
let cloud: ScriptedCloud;
let leads: boolean;
beforeEach(() => {
  setting = makeSetting();
  cloud = setting.cloud;
  cloud.instances.set(INSTANCE, 'running');
  cloud.interfaces.set(PEER, ['10.0.1.11']);
  cloud.groups.set(PEER, ['sg-open']);
  leads = true;
});

function fencer(isolationGroup: string | null = null): Ec2Fencer {
  return new Ec2Fencer({
    instances: new Map([[B, INSTANCE]]),
    isolationGroup,
    interfaces: new Map([[B, [PEER]]]),
    api: gatedEc2(cloud, () => leads),
    ...setting.common,
  });
}
const shows = (...states: InstanceState[]) =>
  cloud.show('describeInstances', ...states.map((state) => new Map([[INSTANCE, state]])));

it('stops with Force and SkipOsShutdown, once, and is confirmed by the state', async () => {
  expect(await fencer().fence(B, setting.within(60_000))).toMatchObject({
    kind: 'confirmed',
    state: 'stopped',
    ms: expect.any(Number),
  });
  expect(cloud.of('stopInstance')).toEqual([{ instanceId: INSTANCE, force: true, skipOsShutdown: true }]);
  expect(cloud.instances.get(INSTANCE)).toBe('stopped');
  const polls = cloud.calls.filter(({ method }) => method === 'describeInstances').map(({ atMs }) => atMs);
  for (const [index, atMs] of polls.slice(1).entries())
    expect(atMs - (polls[index] ?? 0)).toBeGreaterThanOrEqual(1000);
});

it('R5: stopping is never confirmed, however long it takes', async () => {
  cloud.stoppingMs = null;
  const startedAt = setting.clock.now();
  expect(await fencer().fence(B, setting.within(20_000))).toEqual({
    kind: 'unconfirmed',
    why: `${INSTANCE} is still "stopping"`,
    isolated: false,
  });
  expect(setting.clock.now() - startedAt).toBeLessThanOrEqual(20_000);
});

it.each(['shutting-down', 'pending', 'unknown'] as const)('R5: %s is never confirmed', async (state) => {
  cloud.instances.set(INSTANCE, state);
  expect((await fencer().fence(B, setting.within(5000))).kind).toBe('unconfirmed');
});

it('a machine that was stopped, or terminated, before is read to be so', async () => {
  cloud.instances.set(INSTANCE, 'stopped');
  expect(await fencer().fence(B, setting.within(5000))).toMatchObject({
    kind: 'confirmed',
    state: 'stopped',
  });
  cloud.instances.set(INSTANCE, 'terminated');
  expect(await fencer().fence(B, setting.within(5000))).toMatchObject({
    kind: 'confirmed',
    state: 'terminated',
  });
});

describe('R5: an old reading proves nothing', () => {
  it('"stopped" from before the machine was started is not believed', async () => {
    cloud.stoppingMs = null;
    shows(...Array.from({ length: 100 }, () => 'stopped' as const));
    const result = await fencer().fence(B, setting.within(8000));
    expect(result).toMatchObject({
      kind: 'unconfirmed',
      why: expect.stringContaining('before it was last started'),
    });
  });

  it('it is, once a later reading has shown the machine alive', async () => {
    shows('stopped', 'running', 'stopping');
    expect((await fencer().fence(B, setting.within(20_000))).kind).toBe('confirmed');
    expect(cloud.of('describeInstances')).toHaveLength(4);
    expect(cloud.of('stopInstance')).toHaveLength(1);
  });

  it('or once EC2 has answered that there was nothing to stop', async () => {
    shows(...Array.from({ length: 100 }, () => 'stopped' as const));
    cloud.stoppingMs = 2500;
    const startedAt = setting.clock.now();
    expect((await fencer().fence(B, setting.within(20_000))).kind).toBe('confirmed');
    expect(cloud.instances.get(INSTANCE)).toBe('stopped');
    expect(setting.clock.now() - startedAt).toBeGreaterThanOrEqual(2500);
    expect(cloud.of('stopInstance').length).toBeGreaterThanOrEqual(2);
  });

  it('nor when the answer to StopInstances was lost: it is asked again until it answers', async () => {
    cloud.instances.set(INSTANCE, 'stopped');
    cloud.fail('stopInstance', { kind: 'lost-request' }, { kind: 'lost-request' });
    expect((await fencer().fence(B, setting.within(20_000))).kind).toBe('confirmed');
    expect(cloud.of('stopInstance')).toHaveLength(3);
  });
});

describe('O2', () => {
  it('a lost reply: it reads, sees the machine going down, and does not stop it again', async () => {
    cloud.fail('stopInstance', { kind: 'lost-reply' });
    expect((await fencer().fence(B, setting.within(20_000))).kind).toBe('confirmed');
    expect(cloud.of('stopInstance')).toHaveLength(1);
  });

  it('a lost request, throttling: it is stopped in the end', async () => {
    cloud.fail('stopInstance', { kind: 'lost-request' }, { kind: 'throttle' }, { kind: 'throttle' });
    cloud.fail('describeInstances', { kind: 'throttle' }, { kind: 'lost-reply' });
    expect((await fencer().fence(B, setting.within(20_000))).kind).toBe('confirmed');
  });

  it('who does not lead any more sends nothing', async () => {
    leads = false;
    expect(await fencer(ISOLATED).fence(B, setting.within(5000))).toMatchObject({
      kind: 'unconfirmed',
      why: expect.stringContaining('aborted'),
    });
    expect(cloud.of('stopInstance')).toEqual([]);
    expect(cloud.of('modifyInterfaceGroups')).toEqual([]);
  });

  it('ends at once when the order does', async () => {
    cloud.stoppingMs = null;
    const order = new AbortController();
    setting.clock.after(2500, () => order.abort());
    const startedAt = setting.clock.now();
    expect((await fencer().fence(B, setting.within(60_000, order.signal))).kind).toBe('unconfirmed');
    expect(setting.clock.now() - startedAt).toBe(2500);
  });
});

it('no permission: said at once, with the code', async () => {
  cloud.fail('stopInstance', { kind: 'refuse', code: 'UnauthorizedOperation' });
  const result = await fencer().fence(B, setting.within(60_000));
  expect(result).toMatchObject({
    kind: 'unconfirmed',
    why: expect.stringContaining('UnauthorizedOperation'),
  });
  expect(setting.clock.now()).toBeLessThan(10_000);
});

it('a node without an instance, and an instance that EC2 does not know', async () => {
  expect(await fencer().fence(nodeId('c'), setting.within(1000))).toMatchObject({
    kind: 'unconfirmed',
    why: 'no instance is configured for node "c"',
  });
  cloud.instances.delete(INSTANCE);
  expect((await fencer().fence(B, setting.within(5000))).kind).toBe('unconfirmed');
});

describe('isolation', () => {
  it('goes out beside the stop, and is told; it confirms nothing', async () => {
    cloud.stoppingMs = null;
    expect(await fencer(ISOLATED).fence(B, setting.within(5000))).toMatchObject({
      kind: 'unconfirmed',
      isolated: true,
    });
    expect(cloud.groups.get(PEER)).toEqual([ISOLATED]);
    const [isolatedAt] = cloud.calls.filter(({ method }) => method === 'modifyInterfaceGroups');
    expect(isolatedAt?.atMs).toBe(1000);
  });

  it('is done even where stopping is not allowed', async () => {
    cloud.fail('stopInstance', { kind: 'refuse', code: 'UnauthorizedOperation' });
    cloud.fail('modifyInterfaceGroups', { kind: 'throttle' }, { kind: 'lost-reply' });
    expect(await fencer(ISOLATED).fence(B, setting.within(5000))).toMatchObject({
      kind: 'unconfirmed',
      isolated: true,
    });
    expect(cloud.of('modifyInterfaceGroups')).toHaveLength(2);
    expect(cloud.of('describeInterfaces')).toHaveLength(1);
  });

  it('that fails does not keep the stop from being confirmed', async () => {
    cloud.fail('modifyInterfaceGroups', { kind: 'refuse', code: 'InvalidGroup.NotFound' });
    expect(await fencer(ISOLATED).fence(B, setting.within(60_000))).toMatchObject({
      kind: 'confirmed',
      isolated: false,
    });
  });
});
