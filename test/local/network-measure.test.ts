import { describe, expect, it } from 'vitest';
import { buildWorld } from '../../cluster/local/controller/build-world.ts';
import { parseState, type World } from '../../cluster/local/controller/index.ts';
import { bothHeldMs, interleavedMs, median, outageMs } from '../../cluster/network/measure.ts';
import { ALLOCATION, planController, ROUTE_TABLE, ROUTER } from '../../cluster/network/plan.ts';
import type { Answer } from '../../cluster/network/probes/client.ts';
import { natRules, routeChanges, routesOf } from '../../cluster/network/router.ts';
import { CLOUD, ELASTIC_IP, OVERLAY } from '../../cluster/network/topology.ts';

/** Answers every 10 ms, each 1 ms after its question. */
function answers(node: string, from: number, to: number, target = 'udp'): Answer[] {
  const count = Math.max(0, Math.ceil((to - from) / 10));
  return Array.from({ length: count }, (_, index) => {
    const askedAt = from + 10 * index;
    return { target, node, askedAt, answeredAt: askedAt + 1 };
  });
}

describe("the client's outage", () => {
  it('is the longest gap between two answers', () => {
    const seen = [...answers('a', 0, 500), ...answers('b', 800, 1_000)];
    expect(outageMs(seen, 'udp', { from: 400, to: 1_000 })).toBe(310);
  });

  it('begins with the last answer before the event, and goes on where none comes any more', () => {
    expect(outageMs(answers('a', 0, 100), 'udp', { from: 95, to: 1_000 })).toBe(909);
    expect(outageMs([], 'udp', { from: 100, to: 1_000 })).toBe(900);
  });

  it('is of one target: another one that goes on does not hide it', () => {
    const seen = [...answers('a', 0, 1_000, 'tcp'), ...answers('a', 0, 500)];
    expect(outageMs(seen, 'udp', { from: 0, to: 1_000 })).toBe(509);
  });
});

describe('two hosts at once', () => {
  const span = { from: 0, to: 10_000 };

  it('is not a clean move, not even within one question', () => {
    expect(interleavedMs([...answers('a', 0, 500), ...answers('b', 500, 900)], span)).toBe(0);
  });

  it('is not a move there and back again', () => {
    const seen = [...answers('a', 0, 500), ...answers('b', 550, 600), ...answers('a', 650, 900)];
    expect(interleavedMs(seen, span)).toBe(0);
  });

  it('is what answers prove that alternate', () => {
    const both = [...answers('a', 0, 1_000), ...answers('b', 405, 600)];
    // From the last answer of a before b's first, to the first of b's last.
    expect(interleavedMs(both, span)).toBeGreaterThan(180);
    expect(interleavedMs(both, span)).toBeLessThan(220);
  });

  it('may be seen on two targets, one host on each', () => {
    const both = [...answers('a', 0, 1_000, 'udp'), ...answers('b', 505, 1_000, 'overlay')];
    expect(interleavedMs(both, span)).toBeGreaterThan(450);
  });

  it('is not proven by answers that overlap because one was long on its way', () => {
    const late: Answer = { target: 'udp', node: 'a', askedAt: 480, answeredAt: 600 };
    expect(interleavedMs([...answers('a', 0, 480), late, ...answers('b', 500, 900)], span)).toBe(0);
  });

  it('is what the kernels say, within the span', () => {
    const samples = [
      { at: 0, has: [true, false], isBoth: false },
      { at: 100, has: [true, true], isBoth: true },
      { at: 150, has: [false, true], isBoth: false },
      { at: 900, has: [true, true], isBoth: true },
    ];
    expect(bothHeldMs(samples, { from: 120, to: 1_000 })).toBe(130);
    expect(bothHeldMs(samples, { from: 150, to: 800 })).toBe(0);
  });
});

it('a median lies in the middle', () => {
  expect(median([])).toBeNull();
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});

describe("the router's rules", () => {
  const start = buildWorld(parseState(planController(CLOUD), 'state', undefined, 'any'), () => 'eipassoc-1');
  const address = start.addresses.get(ALLOCATION);
  const at = (interfaceId: string, privateIp: string): World => ({
    ...start,
    addresses: new Map(
      address === undefined
        ? []
        : [[ALLOCATION, { ...address, association: { id: 'eipassoc-2', interfaceId, privateIp } }]],
    ),
  });

  it('translate the elastic IP both ways, and nothing while nobody has it', () => {
    expect(natRules(start, ROUTER)).not.toContain(ELASTIC_IP);
    const rules = natRules(at('eni-0000000b', CLOUD.arrival.b), ROUTER);
    expect(rules).toContain(`${ELASTIC_IP} : ${CLOUD.arrival.b}`);
    expect(rules).toContain(`${CLOUD.arrival.b} : ${ELASTIC_IP}`);
    expect(rules).not.toContain(`${ELASTIC_IP} : ${CLOUD.arrival.a}`);
  });

  it('check the source and destination only where EC2 would', () => {
    expect(natRules(start, ROUTER)).toMatch(/set checked \{\s*type ifname\s*\}/);
    const strict = new Map([...start.interfaces].map(([id, one]) => [id, { ...one, sourceDestCheck: true }]));
    expect(natRules({ ...start, interfaces: strict }, ROUTER)).toContain('elements = { "a1", "b1" }');
  });

  it('replace a route in one step, and make one that leads to a stopped instance a black hole', () => {
    const before = routesOf(start, ROUTER);
    const table = start.routeTables.get(ROUTE_TABLE);
    if (table === undefined) throw new Error('no table');
    const routes = table.routes.map((route) => ({
      ...route,
      target: { kind: 'interface', id: 'eni-0000000b' } as const,
    }));
    const moved = { ...start, routeTables: new Map([[ROUTE_TABLE, { ...table, routes }]]) };
    expect(routeChanges(before, routesOf(moved, ROUTER))).toEqual([
      `route replace ${OVERLAY}/32 table 100 via ${CLOUD.arrival.b} dev b1 onlink`,
    ]);
    const stopped = new Map(
      [...start.instances].map(([id, one]) => [id, { ...one, state: 'stopped' as const }]),
    );
    expect(routeChanges(before, routesOf({ ...start, instances: stopped }, ROUTER))).toEqual([
      `route replace blackhole ${OVERLAY}/32 table 100`,
    ]);
    expect(routeChanges(before, new Map())).toEqual([`route del ${OVERLAY}/32 table 100`]);
    expect(routeChanges(before, before)).toEqual([]);
  });
});
