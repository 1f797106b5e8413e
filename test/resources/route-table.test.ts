/** Whatever is found, and wherever an acquire is cut off: whoever was served by a whole table still is. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import { RouteTableResource } from '../../src/resources/index.ts';
import { FakeIp, type FakeRoute } from './support/fake-ip.ts';

const TABLES = [200, 201] as const;
const SOURCES = ['10.9.0.1', '10.9.0.128/25'];
const WANTED: readonly FakeRoute[] = [
  { to: '10.9.0.0/24', via: null },
  { to: 'default', via: '10.9.0.2' },
  { to: '203.0.113.0/24', via: '10.9.0.3' },
];

const resource = (ip: FakeIp, from: readonly string[] | null = SOURCES) =>
  new RouteTableResource({
    name: 'routes',
    table: 200,
    interface: 'eth1',
    gateway: '10.9.0.2',
    from,
    routes: [{ to: '203.0.113.0/24', via: '10.9.0.3' }],
    priority: 100,
    runner: ip.runner,
    clock: systemClock,
  });
const context = () => ({
  deadline: instant(systemClock.now() + 1000),
  signal: new AbortController().signal,
});
const acquire = (ip: FakeIp) => resource(ip).acquire({ ...context(), previousReleased: true });

const isWhole = (table: readonly FakeRoute[] | null) =>
  table !== null &&
  table.length === WANTED.length &&
  WANTED.every((wanted) => table.some(({ to, via }) => to === wanted.to && via === wanted.via));

/** What an older config wanted: to be replaced, but clients live by it until then. */
const isUsable = (table: readonly FakeRoute[] | null) =>
  table !== null && WANTED.slice(0, 2).every(({ to }) => table.some((route) => route.to === to));

const content = fc.oneof(
  fc.constant(null),
  fc.constant([...WANTED]),
  fc.subarray([...WANTED]),
  fc.subarray([...WANTED]).map((routes) => [...routes, { to: '198.51.100.0/24', via: null }]),
);
const world = fc.record({
  contents: fc.tuple(content, content),
  rules: fc.shuffledSubarray(
    [...SOURCES, '10.9.0.77'].flatMap((from) => TABLES.map((table) => ({ from, table }))),
  ),
});

function hostOf({
  contents,
  rules,
}: {
  contents: readonly (readonly FakeRoute[] | null)[];
  rules: readonly FakeIp['rules'][number][];
}): FakeIp {
  const ip = new FakeIp();
  for (const [index, table] of TABLES.entries()) {
    const routes = contents[index] ?? null;
    if (routes !== null) ip.tables.set(table, [...routes]);
  }
  ip.rules.push(...rules);
  return ip;
}

describe('route table', () => {
  it('never takes a whole table away from a source, not for one command, and can be cut off anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(world, fc.nat({ max: 16 }), async (start, cut) => {
        const ip = hostOf(start);
        const isOneInUse = new Set(ip.rules.map(({ table }) => table)).size < 2;
        const isServed = (from: string): boolean =>
          isWhole(ip.effective(from)) || (isOneInUse && isUsable(ip.effective(from)));
        const served = new Set(SOURCES.filter(isServed));
        ip.onChange = () => {
          for (const from of SOURCES) {
            if (isServed(from)) served.add(from);
            else expect(served.has(from), `${from} after ${ip.changes.join(', ')}`).toBe(false);
          }
        };
        ip.changesLeft = cut;
        await acquire(ip).catch(() => undefined);
        ip.changesLeft = Number.POSITIVE_INFINITY;
        await acquire(ip);
        expect(await resource(ip).probe(context())).toMatchObject({ probe: 'held' });
        for (const from of SOURCES) expect(isWhole(ip.effective(from))).toBe(true);
        const before = ip.changes.length;
        await acquire(ip);
        expect(ip.changes.length).toBe(before);
      }),
      { numRuns: 400 },
    );
  });

  it('releases whatever is found, rules first', async () => {
    await fc.assert(
      fc.asyncProperty(world, async (start) => {
        const ip = hostOf(start);
        const before = await resource(ip).probe(context());
        await resource(ip).release({ ...context(), mode: 'abrupt' });
        expect(ip.rules).toEqual([]);
        expect(TABLES.every((table) => ip.table(table).length === 0)).toBe(true);
        const words = ip.changes.map((change) => change.split(' ', 1)[0]);
        expect(words.lastIndexOf('rule')).toBeLessThan(
          words.includes('route') ? words.indexOf('route') : Number.POSITIVE_INFINITY,
        );
        if (before.probe === 'not-held' && before.isPartial !== true) expect(ip.changes).toEqual([]);
      }),
    );
  });

  it('a probe says held only where exactly the wanted routes and rules are', async () => {
    await fc.assert(
      fc.asyncProperty(world, async (start) => {
        const ip = hostOf(start);
        const isExact =
          ip.rules.length === SOURCES.length &&
          new Set(ip.rules.map(({ table }) => table)).size === 1 &&
          SOURCES.every((from) => isWhole(ip.effective(from))) &&
          TABLES.filter((table) => (ip.tables.get(table)?.length ?? 0) > 0).length === 1;
        const isEmpty = ip.rules.length === 0 && TABLES.every((table) => !ip.tables.get(table)?.length);
        const { probe, isPartial } = await resource(ip).probe(context());
        expect(probe).toBe(isExact ? 'held' : 'not-held');
        expect(isPartial === true).toBe(!isExact && !isEmpty);
      }),
      { numRuns: 400 },
    );
  });

  it('without sources it is for the addresses that the interface has; without any it says so', async () => {
    const ip = new FakeIp();
    const own = resource(ip, null);
    expect(await own.probe(context())).toMatchObject({ probe: 'not-held' });
    await own.acquire({ ...context(), previousReleased: true });
    expect(ip.rules).toEqual([{ from: '10.9.0.1', table: 200 }]);
    expect(await own.probe(context())).toMatchObject({ probe: 'held' });
    await own.release({ ...context(), mode: 'planned' });
    expect([ip.rules, ip.table(200)]).toEqual([[], []]);
    ip.addresses = [];
    const acquiring = own.acquire({ ...context(), previousReleased: true });
    await expect(acquiring).rejects.toThrow(/routes: eth1 has no IPv4 address whose packets could use/);
    expect([ip.rules, ip.table(200)]).toEqual([[], []]);
  });

  it('refuses what can have no effect', () => {
    const make = (from: string[], gateway: string | null, to: string, via: string | null) => () =>
      new RouteTableResource({
        name: 'routes',
        table: 200,
        interface: 'eth1',
        gateway,
        from,
        routes: [{ to, via }],
        priority: 100,
        runner: new FakeIp().runner,
        clock: systemClock,
      });
    expect(make([], '10.0.0.1', 'default', null)).toThrow(/"from"/);
    expect(make(['10.0.0.2'], 'fd00::1', 'default', null)).toThrow(/family/);
    expect(make(['10.0.0.2'], null, 'fd00::/64', null)).toThrow(/family/);
    expect(make(['10.0.0.2', 'fd00::2'], null, 'fd00::/64', '10.0.0.1')).toThrow(/mixed/);
    expect(make(['10.0.0'], null, 'default', null)).toThrow(/10\.0\.0/);
  });
});
