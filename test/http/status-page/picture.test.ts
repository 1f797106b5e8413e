/** What the page draws: where nodes and links are, and what a takeover was spent on. */
import { describe, expect, it } from 'vitest';
import { segmentsOf, sinceSign, sumMs } from '../../../src/http/status-page/browser/takeover-segments.ts';
import { type Box, layoutOf, WIDTH } from '../../../src/http/status-page/browser/topology-layout.ts';
import type { PageNode } from '../../../src/http/status-page/index.ts';
import { TAKEOVERS } from './status-facts.ts';

const node = (id: string, zone: string | null, change: Partial<PageNode> = {}): PageNode => ({
  ...{ id, zone, kind: 'data', role: 'follower', standby: false, link: 'up', answers: null },
  ...{ inSync: true, mirror: null, lagEntries: 0, ...change },
});
const self = { link: 'self' } as const;
const witness = { kind: 'witness', inSync: null } as const;

const inside = (outer: Box, inner: Box) =>
  inner.x >= outer.x &&
  inner.y >= outer.y &&
  inner.x + inner.width <= outer.x + outer.width &&
  inner.y + inner.height <= outer.y + outer.height;
const apart = (one: Box, other: Box) =>
  one.x + one.width <= other.x ||
  other.x + other.width <= one.x ||
  one.y + one.height <= other.y ||
  other.y + other.height <= one.y;

const CLUSTERS: Readonly<Record<string, readonly PageNode[]>> = {
  'two zones and a witness': [node('w', 'z3', witness), node('a', 'z1', self), node('b', 'z2')],
  'all in one zone': [node('a', 'z1', self), node('b', 'z1'), node('w', 'z1', witness)],
  'zones that are not known': [node('a', null, self), node('b', null), node('w', null, witness)],
  five: [
    ...[node('a', 'z1', self), node('b', 'z2'), node('c', 'z1')],
    ...[node('v', 'z2', witness), node('w', 'z3', witness)],
  ],
  'seven in one zone': 'abcdefg'.split('').map((id) => node(id, 'z', id === 'a' ? self : {})),
  one: [node('a', 'z1', self)],
  none: [],
};

describe('the topology', () => {
  it.each(Object.entries(CLUSTERS))('%s: each node once, in its zone, none over another', (_name, nodes) => {
    const layout = layoutOf(nodes);
    expect(layout.nodes.map((placed) => placed.node.id).sort()).toEqual(nodes.map(({ id }) => id).sort());
    const frame = { x: 0, y: 0, width: WIDTH + 0.001, height: layout.height };
    for (const zone of layout.zones) expect(inside(frame, zone)).toBe(true);
    for (const boxes of [layout.nodes, layout.zones])
      for (const [at, box] of boxes.entries())
        for (const other of boxes.slice(at + 1)) expect(apart(box, other)).toBe(true);
    for (const placed of layout.nodes)
      expect(layout.zones.filter((zone) => inside(zone, placed)).map(({ name }) => name)).toEqual([
        placed.node.zone,
      ]);
    expect(layout.links).toHaveLength((nodes.length * (nodes.length - 1)) / 2);
  });

  it('a node whose zone is not known is put in with nobody', () => {
    expect(layoutOf(CLUSTERS['zones that are not known'] ?? []).zones).toHaveLength(3);
  });

  it('of links between others nothing is known, whatever they say of themselves', () => {
    const { links } = layoutOf([
      node('a', 'z1', self),
      node('b', 'z2', { link: 'down', mirror: 'unknown' }),
      node('w', 'z3', witness),
    ]);
    expect(links.map(({ from, to, state, mirror }) => [from.node.id, to.node.id, state, mirror])).toEqual([
      ['a', 'b', 'down', 'unknown'],
      ['a', 'w', 'up', null],
      ['b', 'w', 'unseen', null],
    ]);
  });
});

describe('a takeover', () => {
  const [boot, , failed] = TAKEOVERS;
  if (boot === undefined || failed === undefined) throw new Error('no takeovers');

  it('begins with the silence before it, as far as it is known', () => {
    expect(segmentsOf(failed).map(({ kind }) => kind)).toEqual([
      ...['notice', 'elect', 'grant', 'step', 'step', 'failed'],
    ]);
    expect(segmentsOf(boot).map(({ kind }) => kind)[0]).toBe('elect');
    expect(sumMs(segmentsOf(failed))).toBe(1468 + 16 + 52 + 44 + 12 + 512);
  });

  it('lasts from the last sign of the old leader, where all of it is known', () => {
    const ok = { ...failed, result: 'ok' as const };
    expect(sinceSign(ok)).toBe(1468 + 16 + 52 + 640);
    expect(sinceSign(failed)).toBeNull();
    expect(sinceSign(boot)).toBeNull();
    expect(sinceSign({ ...ok, grantMs: null })).toBeNull();
  });

  it('only the last step of one that failed has failed', () => {
    expect(segmentsOf(failed).filter(({ kind }) => kind === 'failed')).toMatchObject([
      { name: 'srv', result: expect.stringContaining('structure needs cleaning') },
    ]);
    expect(segmentsOf({ ...failed, steps: [] }).some(({ kind }) => kind === 'failed')).toBe(false);
  });
});
