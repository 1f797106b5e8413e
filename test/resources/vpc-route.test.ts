/** Overlay routes in many tables, against EC2 in memory and on a virtual clock. */
import { beforeEach, describe, expect, it } from 'vitest';
import { VpcRouteResource } from '../../src/resources/index.ts';
import type { ScriptedCloud } from './support/scripted-cloud.ts';
import { failure, makeSetting, OWN, PEER, STRANGER } from './support/setting.ts';

const TABLES = ['rtb-1', 'rtb-2', 'rtb-3'];
const OVERLAY = '192.168.77.77/32';

let setting: ReturnType<typeof makeSetting>;
let cloud: ScriptedCloud;
beforeEach(() => {
  setting = makeSetting();
  cloud = setting.cloud;
  for (const table of TABLES) cloud.route(table, OVERLAY, PEER);
});

function routes(destination = OVERLAY): VpcRouteResource {
  return new VpcRouteResource({
    name: 'overlay',
    tables: TABLES,
    destination,
    ownInterface: OWN,
    memberInterfaces: new Set([PEER]),
    api: cloud,
    ...setting.common,
  });
}

const targets = (destination = OVERLAY) => TABLES.map((table) => cloud.leadsTo(table, destination));
const ALL_OWN = [OWN, OWN, OWN];

describe('acquire', () => {
  it('takes all tables from a member: one reading, one replacement each, one reading to verify', async () => {
    const said = await routes().acquire(setting.within(5000));
    expect(targets()).toEqual(ALL_OWN);
    expect(cloud.methods).toEqual([
      'describeRouteTables',
      ...TABLES.map(() => 'replaceRoute'),
      'describeRouteTables',
    ]);
    expect(said).toBe('the routes in 3 tables lead here');
  });

  it('creates what is missing, whichever code EC2 says it with', async () => {
    cloud.tables.get('rtb-1')?.delete(OVERLAY);
    // The reading showed one that is gone by now.
    cloud.fail('replaceRoute', { kind: 'refuse', code: 'InvalidRoute.NotFound' });
    cloud.tables.set('rtb-3', new Map());
    cloud.show('describeRouteTables', new Map(TABLES.map((table) => [table, [view(PEER)]])));
    await routes().acquire(setting.within(5000));
    expect(targets()).toEqual(ALL_OWN);
    expect(cloud.of('createRoute').length).toBeGreaterThanOrEqual(2);
  });

  it("a black hole serves nobody: it is taken, a stranger's as well", async () => {
    cloud.route('rtb-1', OVERLAY, STRANGER, 'blackhole');
    cloud.route('rtb-2', OVERLAY, 'nat-1', 'blackhole');
    await routes().acquire(setting.within(5000));
    expect(targets()).toEqual(ALL_OWN);
  });

  it('a route that appears meanwhile is read and replaced', async () => {
    cloud.tables.set('rtb-1', new Map());
    cloud.show(
      'describeRouteTables',
      new Map([
        ['rtb-1', []],
        ['rtb-2', [view(PEER)]],
        ['rtb-3', [view(PEER)]],
      ]),
    );
    cloud.route('rtb-1', OVERLAY, PEER);
    await routes().acquire(setting.within(5000));
    expect(targets()).toEqual(ALL_OWN);
    expect(cloud.of('createRoute')).toEqual([{ table: 'rtb-1', destination: OVERLAY, interfaceId: OWN }]);
    expect(cloud.of('describeRouteTables')).toContainEqual(['rtb-1']);
  });

  it("never takes a stranger's route, not even where it appears meanwhile", async () => {
    cloud.route('rtb-2', OVERLAY, STRANGER);
    expect(await failure(routes().acquire(setting.within(5000)))).toBe('address-held-elsewhere');
    expect(targets()).toEqual([PEER, STRANGER, PEER]);

    cloud.route('rtb-2', OVERLAY, 'igw-1');
    expect(await failure(routes().acquire(setting.within(5000)))).toBe('address-held-elsewhere');

    cloud.show('describeRouteTables', new Map(TABLES.map((table) => [table, []])));
    cloud.route('rtb-2', OVERLAY, STRANGER);
    expect(await failure(routes().acquire(setting.within(5000)))).toBe('address-held-elsewhere');
    expect(targets()).toEqual([OWN, STRANGER, OWN]);
  });

  it('O2: a lost reply: it reads, finds that it was executed, and does not act again', async () => {
    cloud.fail('replaceRoute', { kind: 'lost-reply' });
    await routes().acquire(setting.within(5000));
    expect(targets()).toEqual(ALL_OWN);
    expect(cloud.of('replaceRoute')).toHaveLength(3);
    expect(cloud.of('describeRouteTables')).toEqual([TABLES, ['rtb-1'], TABLES]);
  });

  it('O2: a lost request: it reads, then acts again', async () => {
    cloud.fail('replaceRoute', { kind: 'lost-request' });
    await routes().acquire(setting.within(5000));
    expect(targets()).toEqual(ALL_OWN);
    expect(cloud.of('replaceRoute')).toHaveLength(4);
  });

  it('O2: a reading of an earlier tenure of ours does not prove a call that was lost', async () => {
    const old = new Map(TABLES.map((table) => [table, [view(OWN)]]));
    cloud.show('describeRouteTables', old, old, old);
    cloud.fail('replaceRoute', { kind: 'lost-request' }, { kind: 'lost-request' });
    await routes().acquire(setting.within(5000));
    expect(targets()).toEqual(ALL_OWN);
  });

  it('a reading that shows it here already is not believed: the tables are replaced all the same', async () => {
    cloud.show('describeRouteTables', new Map(TABLES.map((table) => [table, [view(OWN)]])));
    await routes().acquire(setting.within(5000));
    expect(targets()).toEqual(ALL_OWN);
  });

  it('d.5: throttled calls are tried again after 50 to 200 ms; for the whole time, it says so', async () => {
    cloud.fail('describeRouteTables', { kind: 'throttle' });
    cloud.fail('replaceRoute', ...Array.from({ length: 5 }, () => ({ kind: 'throttle' }) as const));
    await routes().acquire(setting.within(5000));
    expect(targets()).toEqual(ALL_OWN);
    const replaced = cloud.calls.filter(({ method }) => method === 'replaceRoute').map(({ atMs }) => atMs);
    expect(Math.max(...replaced) - Math.min(...replaced)).toBe(250);

    cloud.fail('replaceRoute', ...Array.from({ length: 200 }, () => ({ kind: 'throttle' }) as const));
    const startedAt = setting.clock.now();
    expect(await failure(routes().acquire(setting.within(1000)))).toBe('cloud-throttled');
    expect(setting.clock.now() - startedAt).toBeLessThan(1200);
  });

  it('a refusal is final, and the other tables have ended when it is told', async () => {
    cloud.fail('replaceRoute', { kind: 'refuse', code: 'UnauthorizedOperation' }, { kind: 'throttle' });
    expect(await failure(routes().acquire(setting.within(5000)))).toBe('cloud-refused');
    expect(targets()).toEqual([PEER, OWN, OWN]);
  });

  it('what EC2 refuses with an ambiguous code is created, and that refusal is told', async () => {
    cloud.fail('replaceRoute', { kind: 'refuse', code: 'InvalidParameterValue' });
    cloud.fail('createRoute', { kind: 'refuse', code: 'InvalidParameterValue' });
    expect(await failure(routes().acquire(setting.within(5000)))).toBe('cloud-refused');
  });

  it('accepted but not shown is no failure; accepted and a black hole is one', async () => {
    const peers = new Map(TABLES.map((table) => [table, [view(PEER)]]));
    cloud.show('describeRouteTables', ...Array.from({ length: 20 }, () => peers));
    expect(await routes().acquire(setting.within(5000))).toContain('does not show it yet');
    cloud.shown.clear();

    const holes = new Map(TABLES.map((table) => [table, [{ ...view(OWN), state: 'blackhole' }]]));
    cloud.show('describeRouteTables', ...Array.from({ length: 20 }, () => holes));
    expect(await failure(routes().acquire(setting.within(5000)))).toBe('cloud-refused');
  });

  it("compares destinations as EC2 stores them: with the block's host bits cleared", async () => {
    for (const table of TABLES) cloud.route(table, '10.9.8.0/24', PEER);
    await routes('10.9.8.7/24').acquire(setting.within(5000));
    expect(targets('10.9.8.0/24')).toEqual(ALL_OWN);
    expect(targets()).toEqual([PEER, PEER, PEER]);
  });
});

describe('release', () => {
  it.each(['planned', 'abrupt'] as const)('%s: leaves the routes to the next holder', async (mode) => {
    const held = routes();
    await held.acquire(setting.within(5000));
    const before = cloud.calls.length;
    await held.release({ ...setting.within(1000), mode });
    expect(cloud.calls).toHaveLength(before);
    expect(targets()).toEqual(ALL_OWN);
  });
});

describe('probe', () => {
  it('H4: held by every table, or not held with where they lead, or unknown', async () => {
    const one = routes();
    expect(await one.probe(setting.within(1000))).toEqual({
      probe: 'not-held',
      detail: `rtb-1 leads to ${PEER}, rtb-2 leads to ${PEER}, rtb-3 leads to ${PEER}`,
    });
    for (const table of TABLES) cloud.route(table, OVERLAY, OWN);
    expect(await one.probe(setting.within(1000))).toMatchObject({ probe: 'held' });
    cloud.route('rtb-2', OVERLAY, OWN, 'blackhole');
    cloud.tables.set('rtb-3', new Map());
    expect(await one.probe(setting.within(1000))).toEqual({
      probe: 'not-held',
      detail: `rtb-2 leads here, blackhole, rtb-3 has no route to ${OVERLAY}`,
    });
    for (const fault of [
      { kind: 'throttle' },
      { kind: 'lost-reply' },
      { kind: 'refuse', code: 'UnauthorizedOperation' },
      { kind: 'refuse', code: 'InvalidRouteTableID.NotFound' },
    ] as const) {
      cloud.fail('describeRouteTables', fault);
      expect(await one.probe(setting.within(1000))).toMatchObject({ probe: 'unknown' });
    }
  });

  it('d.0: a reading that disagrees right after our own success is unknown, later it is not-held', async () => {
    const one = routes();
    await one.acquire(setting.within(5000));
    const old = new Map(TABLES.map((table) => [table, [view(PEER)]]));
    cloud.show('describeRouteTables', old, old);
    expect((await one.probe(setting.within(1000))).probe).toBe('unknown');
    setting.clock.advance(10_000);
    expect((await one.probe(setting.within(1000))).probe).toBe('not-held');
  });
});

function view(id: string) {
  return { destination: OVERLAY, target: { kind: 'interface' as const, id }, state: 'active' as const };
}
