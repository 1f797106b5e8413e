/** A private address that moves, against EC2 in memory and on a virtual clock. */
import { beforeEach, describe, expect, it } from 'vitest';
import { PrivateIpResource } from '../../src/resources/index.ts';
import type { ScriptedCloud } from './support/scripted-cloud.ts';
import { failure, makeSetting, OWN, PEER } from './support/setting.ts';

const ADDRESS = '10.0.1.50';

let setting: ReturnType<typeof makeSetting>;
let cloud: ScriptedCloud;
beforeEach(() => {
  setting = makeSetting();
  cloud = setting.cloud;
  cloud.interfaces.set(OWN, ['10.0.1.10']);
  cloud.interfaces.set(PEER, ['10.0.1.11', ADDRESS]);
});

function privateIp(): PrivateIpResource {
  return new PrivateIpResource({
    name: 'floating',
    address: ADDRESS,
    ownInterface: OWN,
    memberInterfaces: new Set([PEER]),
    api: cloud,
    ...setting.common,
  });
}

const isHere = () => cloud.interfaces.get(OWN)?.includes(ADDRESS);

describe('acquire', () => {
  it('takes it in one call and waits until EC2 shows it here', async () => {
    const startedAt = setting.clock.now();
    expect(await privateIp().acquire(setting.within(5000))).toBe(`${ADDRESS} is here`);
    expect(isHere()).toBe(true);
    expect(cloud.methods[0]).toBe('assignPrivateIp');
    expect(cloud.of('assignPrivateIp')).toEqual([
      { interfaceId: OWN, address: ADDRESS, allowReassignment: true },
    ]);
    expect(setting.clock.now() - startedAt).toBeGreaterThanOrEqual(cloud.reassignMs);
  });

  it('O2: after an unknown outcome it looks first, and acts again only if it must', async () => {
    cloud.reassignMs = 0;
    cloud.fail('assignPrivateIp', { kind: 'lost-reply' });
    await privateIp().acquire(setting.within(5000));
    expect(cloud.of('assignPrivateIp')).toHaveLength(1);
    cloud.interfaces.set(OWN, ['10.0.1.10']);
    cloud.fail('assignPrivateIp', { kind: 'lost-request' });
    await privateIp().acquire(setting.within(5000));
    expect(cloud.of('assignPrivateIp')).toHaveLength(3);
    expect(isHere()).toBe(true);
  });

  it('a move that EC2 accepted and does not show in time is said, not failed', async () => {
    cloud.reassignMs = 60_000;
    const said = await privateIp().acquire(setting.within(10_000));
    expect(said).toContain('does not show it here yet');
  });

  it('readings that fail while it waits change nothing', async () => {
    cloud.fail('describeInterfaces', { kind: 'throttle' }, { kind: 'lost-reply' });
    expect(await privateIp().acquire(setting.within(5000))).toBe(`${ADDRESS} is here`);
  });

  it('ends with the order', async () => {
    cloud.reassignMs = 60_000;
    const startedAt = setting.clock.now();
    await privateIp().acquire(setting.within(500));
    expect(setting.clock.now() - startedAt).toBeLessThanOrEqual(500);
  });

  it.each([
    ['PrivateIpAddressLimitExceeded', 'cloud-refused'],
    ['InvalidParameterValue', 'cloud-refused'],
  ])('%s is final', async (code, expected) => {
    cloud.fail('assignPrivateIp', { kind: 'refuse', code });
    expect(await failure(privateIp().acquire(setting.within(5000)))).toBe(expected);
    expect(cloud.calls).toHaveLength(1);
  });
});

it('release leaves it where it is', async () => {
  const one = privateIp();
  await one.acquire(setting.within(5000));
  const before = cloud.calls.length;
  await one.release({ ...setting.within(1000), mode: 'planned' });
  await one.release({ ...setting.within(1000), mode: 'abrupt' });
  expect(cloud.calls).toHaveLength(before);
  expect(isHere()).toBe(true);
});

describe('probe', () => {
  it('H4: held, not held with where it is, unknown', async () => {
    const one = privateIp();
    expect(await one.probe(setting.within(1000))).toEqual({
      probe: 'not-held',
      detail: `${ADDRESS} is at ${PEER}`,
    });
    cloud.interfaces.delete(PEER);
    expect(await one.probe(setting.within(1000))).toEqual({
      probe: 'not-held',
      detail: `${ADDRESS} is not here`,
    });
    cloud.interfaces.set(OWN, ['10.0.1.10', ADDRESS]);
    expect(await one.probe(setting.within(1000))).toMatchObject({ probe: 'held' });
    cloud.fail('describeInterfaces', { kind: 'throttle' });
    expect(await one.probe(setting.within(1000))).toMatchObject({ probe: 'unknown' });
    cloud.interfaces.delete(OWN);
    expect(await one.probe(setting.within(1000))).toMatchObject({ probe: 'unknown' });
  });

  it('d.0: unknown right after our own success', async () => {
    const one = privateIp();
    cloud.reassignMs = 60_000;
    await one.acquire(setting.within(500));
    expect((await one.probe(setting.within(1000))).probe).toBe('unknown');
    setting.clock.advance(2500);
    expect((await one.probe(setting.within(1000))).probe).toBe('not-held');
  });
});
