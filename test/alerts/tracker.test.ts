/** Who tells what, and how often: one look after the other, in a time of the test's own. */
import { beforeEach, describe, expect, it } from 'vitest';
import {
  AlertTracker,
  type Condition,
  INHERITED_MS,
  MAX_CONDITIONS,
  type Seen,
} from '../../src/alerts/tracker.ts';
import type { PastTakeover } from '../../src/http/index.ts';

const AFTER = 10_000;
const REPEAT = 3_600_000;
const link: Condition = {
  key: 'link-b',
  severity: 'warning',
  text: 'b cannot be reached from a.',
  isOwn: false,
};
const own: Condition = { key: 'a/quorum', severity: 'bad', text: 'a knows of no majority.', isOwn: true };
const takeover = (epoch: number, more: Partial<PastTakeover> = {}): PastTakeover => ({
  ...{ epoch, node: 'a', from: 'b', reason: 'leader-silent', grantedAt: '2026-01-02T03:04:05.000Z' },
  ...{ detectMs: 1, electMs: 1, grantMs: 1, result: 'ok', steps: [], totalMs: 88.4, ...more },
});

let tracker: AlertTracker;
let nowMs: number;
beforeEach(() => {
  let id = 0;
  tracker = new AlertTracker({ afterMs: AFTER, repeatMs: REPEAT, newId: () => `id-${++id}` });
  nowMs = 1_000;
});

/** A look after `ms`, as STATE KEY. */
function look(ms: number, conditions: readonly Condition[], more: Partial<Seen> = {}): string[] {
  nowMs += ms;
  const seen = { nowMs, wallMs: nowMs, cluster: 'nas', node: 'a', isLeader: true, takeovers: [] };
  return tracker.observe({ ...seen, conditions, ...more }).map(({ state, key }) => `${state} ${key}`);
}

describe('a condition', () => {
  it('is told once when it has lasted, again after a long time, and as resolved when it is away', () => {
    expect(look(0, [link])).toEqual([]);
    expect(look(AFTER - 1, [link])).toEqual([]);
    expect(look(1, [link])).toEqual(['firing link-b']);
    for (let turn = 0; turn < 10; turn++) expect(look(2_000, [link])).toEqual([]);
    expect(look(REPEAT, [link])).toEqual(['firing link-b']);
    expect(look(2_000, [])).toEqual([]);
    expect(look(AFTER, [])).toEqual(['resolved link-b']);
    expect(look(AFTER, [])).toEqual([]);
  });

  it('that flickers is told once, and one that was short never', () => {
    expect([look(0, [link]), look(2_000, []), look(AFTER, [])].flat()).toEqual([]);
    expect(look(0, [link])).toEqual([]);
    expect(look(AFTER, [link])).toEqual(['firing link-b']);
    for (let turn = 0; turn < 6; turn++) expect([look(4_000, []), look(4_000, [link])].flat()).toEqual([]);
  });

  it('carries what a receiver needs', () => {
    nowMs = Date.UTC(2026, 0, 2);
    look(0, [link]);
    const seen = { nowMs: nowMs + AFTER, wallMs: nowMs + AFTER, cluster: 'nas', node: 'a', isLeader: true };
    expect(tracker.observe({ ...seen, conditions: [link], takeovers: [] })).toEqual([
      {
        ...{ version: 1, id: 'id-1', cluster: 'nas', node: 'a', key: 'link-b', state: 'firing' },
        ...{ severity: 'warning', text: link.text },
        ...{ at: '2026-01-02T00:00:10.000Z', since: '2026-01-02T00:00:00.000Z' },
      },
    ]);
  });

  it('more than the limit at a time are not kept', () => {
    const many = Array.from({ length: MAX_CONDITIONS + 50 }, (_, at) => ({ ...link, key: `link-${at}` }));
    look(0, many);
    expect(look(AFTER, many)).toHaveLength(MAX_CONDITIONS);
  });
});

describe('who tells', () => {
  const follower = { isLeader: false };

  it('what concerns the cluster: the leader only; what only a node knows: that node, whoever leads', () => {
    look(0, [link, own], follower);
    expect(look(AFTER, [link, own], follower)).toEqual(['firing a/quorum']);
    look(2_000, [], follower);
    expect(look(AFTER, [], follower)).toEqual(['resolved a/quorum']);
  });

  it('a new leader tells again what began just before it led: its predecessor may have died of it', () => {
    look(0, [link], follower);
    look(AFTER, [link], follower);
    expect(look(2_000, [link])).toEqual(['firing link-b']);
    expect(look(2_000, [link])).toEqual([]);
  });

  it('a new leader does not repeat what its predecessor has told long ago, and tells its end', () => {
    look(0, [link], follower);
    look(AFTER, [link], follower);
    look(INHERITED_MS + 1, [link], follower);
    expect(look(2_000, [link])).toEqual([]);
    expect(look(REPEAT, [link])).toEqual(['firing link-b']);
    look(2_000, []);
    expect(look(AFTER, [])).toEqual(['resolved link-b']);
  });

  it('who does not lead any more keeps silent about it', () => {
    look(0, [link]);
    expect(look(AFTER, [link])).toEqual(['firing link-b']);
    expect(
      [look(REPEAT, [link], follower), look(2_000, [], follower), look(AFTER, [], follower)].flat(),
    ).toEqual([]);
  });
});

describe('a change of holder', () => {
  const told = (takeovers: readonly PastTakeover[]) => {
    nowMs += 2_000;
    const seen = { nowMs, wallMs: nowMs, cluster: 'nas', node: 'a', isLeader: true, conditions: [] };
    return tracker.observe({ ...seen, takeovers }).map(({ severity, text }) => `${severity}: ${text}`);
  };

  it('is told once, at once, by the new holder, with why and how long', () => {
    expect(told([takeover(3)])).toEqual([]); // from before this process
    expect(told([takeover(3), takeover(9, { result: 'open', totalMs: null })])).toEqual([]);
    const [done, back] = [takeover(9), takeover(14, { node: 'b', from: 'a' })];
    expect(told([takeover(3), done])).toEqual([
      'warning: a holds, before that b (epoch 9, leader-silent, in 88 ms).',
    ]);
    expect(told([takeover(3), done])).toEqual([]);
    expect(told([done, back])).toEqual([]); // b tells that itself
    expect(told([back, takeover(20, { reason: 'transfer' })])).toEqual([
      'note: a holds, before that b (epoch 20, transfer, in 88 ms).',
    ]);
    expect(told([takeover(25, { result: 'failed', totalMs: null })])).toEqual([
      'bad: a could not take everything over from b (epoch 25, leader-silent).',
    ]);
  });
});
