import { describe, expect, it } from 'vitest';
import { epoch, instant, nodeId } from '../../src/core/index.ts';
import { CHECKS, type Check, decide, type RoleFacts } from '../../src/http/index.ts';
import { G, HOLDER, L, NEW, NOW, STANDBY, WITNESS } from './facts.ts';

const reason = (check: Check, facts: RoleFacts): string | null => {
  const { answer } = decide(check, facts);
  return answer.ok ? null : answer.reason;
};
const yes = (facts: RoleFacts): Check[] => CHECKS.filter((check) => decide(check, facts).answer.ok);

describe('in a healthy cluster', () => {
  it('each node says yes to what it is', () => {
    expect(yes(HOLDER)).toEqual(['leader', 'holder', 'health']);
    expect(yes(STANDBY)).toEqual(['standby', 'health', 'ready']);
    expect(yes(WITNESS)).toEqual(['witness', 'health', 'ready']);
    expect(yes(NEW)).toEqual(['health']);
  });

  it('the answer has every field, null where nothing is known', () => {
    expect(decide('holder', HOLDER).answer).toEqual({
      node: 'a',
      role: 'leader',
      check: 'holder',
      ok: true,
      reason: 'holds everything under epoch 8',
      term: 3,
      leader: 'a',
      holder: 'a',
      epoch: 8,
      lease: { remainingMs: 412.5 },
      degraded: [],
      paused: false,
      lag: { entries: 0, ms: 0 },
    });
    expect(decide('holder', STANDBY).answer).toEqual({
      node: 'b',
      role: 'follower',
      check: 'holder',
      ok: false,
      reason: 'b does not lead',
      term: 3,
      leader: 'a',
      holder: 'a',
      epoch: 8,
      lease: { remainingMs: null },
      degraded: [],
      paused: false,
      lag: { entries: 0, ms: 40 },
    });
    expect(decide('leader', NEW).answer).toMatchObject({
      leader: null,
      holder: null,
      epoch: null,
      lease: { remainingMs: null },
      lag: { entries: null, ms: null },
    });
  });
});

describe('/leader and /holder', () => {
  it('T2: not from g before the end of the lease on, whatever the core has not noticed yet', () => {
    const until = instant(NOW + 412.5 - G);
    for (const check of ['leader', 'holder'] as const) {
      expect(decide(check, { ...HOLDER, now: instant(until - 0.1) }).answer.ok).toBe(true);
      for (const now of [until, instant(until + G), instant(until + 60_000)]) {
        const { answer } = decide(check, { ...HOLDER, now });
        expect(answer).toMatchObject({ ok: false, leader: null, holder: null, lease: { remainingMs: null } });
        expect(answer.reason).toContain('no valid lease');
      }
    }
  });

  it('a yes that rests on the lease may not be kept', () => {
    expect(decide('holder', HOLDER).isPerishable).toBe(true);
    expect(decide('leader', HOLDER).isPerishable).toBe(true);
    expect(decide('holder', STANDBY).isPerishable).toBe(false);
    expect(decide('health', HOLDER).isPerishable).toBe(false);
  });

  it('a leader whose takeover has not ended leads, and does not hold', () => {
    const taking = { ...HOLDER, held: { epoch: epoch(8), isComplete: false } };
    expect(reason('leader', taking)).toBeNull();
    expect(reason('holder', taking)).toBe('the takeover of epoch 8 is not complete');
    expect(reason('holder', { ...HOLDER, held: null })).toBe('a leads, and holds nothing yet');
  });

  it('R1: a planned release is under way: the lease runs, and a load balancer must go away now', () => {
    const releasing = { ...HOLDER, held: null, executor: 'releasing' } as const;
    expect(reason('holder', releasing)).toBe('a leads, and holds nothing any more');
    expect(decide('holder', releasing).answer.holder).toBeNull();
    expect(reason('health', releasing)).toBeNull();
  });

  it('not without an executor, and not in a tenure that is another one in the log', () => {
    expect(reason('holder', { ...HOLDER, executor: 'lost' })).toContain('no connection to the executor');
    expect(reason('holder', { ...HOLDER, tenure: { node: nodeId('b'), epoch: epoch(9) } })).toContain(
      'epoch 8',
    );
    expect(reason('holder', { ...HOLDER, tenure: { node: nodeId('a'), epoch: epoch(9) } })).toContain(
      'epoch 8',
    );
    expect(reason('holder', { ...HOLDER, tenure: null })).toContain('epoch 8');
  });

  it('W3: a caretaker leads nobody', () => {
    const caretaker = { ...WITNESS, role: 'caretaker', following: null } as const;
    expect(reason('leader', caretaker)).toContain('W3');
    expect(yes(caretaker)).toEqual(['health']);
  });
});

describe('/standby and /ready', () => {
  const obstacles: [string, Partial<RoleFacts>, RegExp][] = [
    ['out of sync', { isInSync: false }, /not in the in-sync set/],
    ['a disk that failed', { disk: 'failed' }, /disk of b has failed/],
    ['a disk of which nothing is known', { disk: 'unknown' }, /not known to be up to date/],
    ['no leader', { following: null }, /no leader is known/],
    [
      'a leader that has been silent for L',
      { following: { leader: nodeId('a'), heardAt: instant(NOW - L) } },
      /a has been silent for 600 ms/,
    ],
    ['a damaged log', { log: 'damaged' }, /D2/],
    ['an executor that is gone', { executor: 'lost' }, /executor/],
    ['a release that is not verified', { executor: 'unverified' }, /L3/],
    ['a witness', { kind: 'witness', isInSync: null }, /witness/],
    ['a stranger', { kind: null }, /not a member/],
  ];
  it.each(obstacles)('/standby: not with %s', (_, change, why) => {
    expect(reason('standby', { ...STANDBY, ...change })).toMatch(why);
  });
  it('/ready: not where an operator wants nobody, or not this node, to take over; it is a good copy all the same', () => {
    expect(reason('ready', { ...STANDBY, isPaused: true })).toMatch(/paused/);
    expect(reason('ready', { ...STANDBY, isOnStandby: true })).toMatch(/an operator has put b on standby/);
    expect(yes({ ...STANDBY, isPaused: true, isOnStandby: true })).toEqual(['standby', 'health']);
    expect(yes({ ...WITNESS, isPaused: true })).toEqual(yes(WITNESS));
    expect(decide('holder', { ...HOLDER, isPaused: true }).answer).toMatchObject({ ok: true, paused: true });
  });
  it.each(obstacles.filter(([name]) => name !== 'a witness'))('/ready: not with %s', (_, change, why) => {
    expect(reason('ready', { ...STANDBY, ...change })).toMatch(why);
  });

  it('/ready: not while it would vote for anybody, and not where it has no vote', () => {
    const promise = (to: string | null, until: number) => ({
      promise: { to: to === null ? null : nodeId(to), until: instant(until) },
    });
    expect(reason('ready', { ...STANDBY, ...promise('a', NOW) })).toContain('no promise to a');
    expect(reason('ready', { ...STANDBY, ...promise(null, NOW + 500) })).toContain('no promise to a');
    expect(reason('ready', { ...STANDBY, ...promise('c', NOW + 500) })).toContain('no promise to a');
    expect(reason('ready', { ...STANDBY, isVoter: false })).toContain('no vote');
    expect(reason('ready', { ...STANDBY, isEnding: true })).toContain('ending');
  });

  it('the holder is neither: there is nothing for it to take over', () => {
    expect(reason('standby', HOLDER)).toBe('a leads itself');
    expect(reason('ready', HOLDER)).toBe('a leads itself');
  });

  it('every obstacle is named at once', () => {
    expect(reason('ready', { ...STANDBY, isInSync: false, disk: 'failed', executor: 'lost' })).toMatch(
      /H1.*disk.*O1/,
    );
  });
});

describe('/witness and /health', () => {
  it('/witness: only the witness, and only behind a leader that it hears', () => {
    expect(reason('witness', STANDBY)).toBe('b is not the witness');
    expect(reason('witness', { ...WITNESS, following: null })).toBe('no leader is known');
    expect(reason('witness', { ...WITNESS, log: 'damaged' })).toContain('D2');
  });

  it('/health is about this agent alone: without a leader it is well', () => {
    expect(reason('health', { ...STANDBY, role: 'candidate', following: null })).toBeNull();
    expect(reason('health', { ...STANDBY, log: 'damaged', role: 'damaged' })).toContain('damaged');
    expect(reason('health', { ...STANDBY, log: 'stalled' })).toContain('longer than the lease');
    expect(reason('health', { ...STANDBY, log: 'failed' })).toContain('D3');
    expect(reason('health', { ...STANDBY, executor: 'lost' })).toContain('O1');
    expect(reason('health', { ...STANDBY, executor: 'unverified' })).toContain('L3');
    expect(reason('health', { ...STANDBY, isEnding: true })).toBe('the agent is ending');
  });
});

describe('max-lag', () => {
  it('in entries: behind what the leader has said', () => {
    const behind = (entries: number | null) => ({ ...STANDBY, behind: entries });
    expect(decide('standby', behind(10), { entries: 10 }).answer.ok).toBe(true);
    expect(decide('standby', behind(11), { entries: 10 }).answer).toMatchObject({
      ok: false,
      reason: '11 entries behind, more than 10',
      lag: { entries: 11, ms: 40 },
    });
  });

  it('in time: since the last message of the leader', () => {
    expect(decide('ready', STANDBY, { ms: 40 }).answer.ok).toBe(true);
    expect(decide('ready', STANDBY, { ms: 39 }).answer.reason).toBe(
      'the leader was heard 40 ms ago, more than 39 ms',
    );
  });

  it('unknown is never 0', () => {
    const unknown = { ...STANDBY, behind: null };
    expect(decide('standby', unknown).answer.ok).toBe(true);
    expect(decide('standby', unknown, { entries: 1_000_000 }).answer).toMatchObject({
      ok: false,
      reason: 'how many entries it is behind is not known',
      lag: { entries: null, ms: 40 },
    });
    expect(decide('health', NEW, { ms: 3_600_000 }).answer.ok).toBe(false);
  });

  it('nobody is ahead of the leader, while it is one', () => {
    expect(decide('holder', HOLDER, { entries: 0 }).answer.ok).toBe(true);
    expect(decide('holder', HOLDER, { ms: 0 }).answer.ok).toBe(true);
    expect(decide('health', { ...HOLDER, leaseUntil: null }, { entries: 0 }).answer.ok).toBe(false);
  });
});
