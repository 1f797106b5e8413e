/** A part of an audit, and the gaps between tenures. */
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/log/index.ts';
import { type AuditWindow, audit, auditParts, windowed } from '../../src/state/index.ts';
import {
  a,
  b,
  chain,
  config,
  elected,
  FAILOVER,
  granted,
  note,
  outdated,
  released,
  START,
  w,
} from './story.ts';

type Log = typeof FAILOVER;
const whole = (entries: Log) => {
  const document = audit(entries, sha256);
  return auditParts(entries, document);
};
const ALL: AuditWindow = { since: null, until: null, node: null };
const part = (window: Partial<AuditWindow>, entries: Log = FAILOVER) =>
  windowed(whole(entries), { ...ALL, ...window });
const indexes = (window: Partial<AuditWindow>, entries: Log = FAILOVER) =>
  part(window, entries).entries.map(({ index }) => index as number);

describe('a span of time', () => {
  it('is the whole log where none is asked for, without a word about it', () => {
    const log = whole(FAILOVER);
    expect(windowed(log, ALL)).toBe(log);
    expect(log.document).not.toHaveProperty('window');
  });

  it('has its ends in it', () => {
    expect(indexes({ since: START + 1010, until: START + 1050 })).toEqual([5, 6]);
    expect(indexes({ since: START + 1011, until: START + 1049 })).toEqual([]);
  });

  it('has a tenure that reaches into it, and none that ended before or began after', () => {
    const epochs = (since: number, until: number) =>
      part({ since: START + since, until: START + until }).document.tenures.map(({ epoch }) => epoch);
    expect(epochs(500, 600)).toEqual([3]);
    expect(epochs(1001, 1049)).toEqual([]);
    // b died: its tenure ends at the latest where the next is granted.
    expect(epochs(2000, 3000)).toEqual([6]);
    // The last one still runs.
    expect(epochs(100_000, 200_000)).toEqual([8]);
    expect(epochs(0, 100_000)).toEqual([3, 6, 8]);
  });

  it('has the elections and the gaps of that time', () => {
    const { document, gaps } = part({ until: START + 2000 });
    expect(document.terms.map(({ term }) => term)).toEqual([1, 2]);
    expect(gaps.map(({ epoch }) => epoch)).toEqual([3]);
  });

  it('counts what lies outside', () => {
    expect(part({ since: START + 5000, until: START + 9039 }).document.window).toEqual({
      ...{ since: '2026-01-02T03:04:10.678Z', until: '2026-01-02T03:04:14.717Z', node: null },
      leftOut: { entries: 7, terms: 2, tenures: 2, operators: 0 },
    });
  });

  it('takes an entry without a time to be of the time before it', () => {
    const log = chain(
      [0, config()],
      [1, elected(a, START)],
      [1, granted(a, START + 20)],
      [1, outdated(b, 3)],
      [2, elected(a, START + 9000)],
    );
    expect(indexes({ until: START + 100 }, log)).toEqual([1, 2, 3, 4]);
    expect(indexes({ since: START + 100 }, log)).toEqual([5]);
  });

  it('keeps what has no time at all: nothing shows that it is outside', () => {
    const log = chain([0, config()], [1, elected(a)], [1, granted(a)]);
    expect(indexes({ since: START }, log)).toEqual([1, 2, 3]);
    expect(part({ since: START }, log).document.tenures).toHaveLength(1);
  });

  it('leaves chain and violations whole', () => {
    const log = chain(
      [0, config()],
      [1, elected(a, START)],
      [1, granted(b, START)],
      [2, elected(a, START + 9000)],
    );
    const { document } = part({ since: START + 5000 }, log);
    expect(document.violations.map(({ index }) => index)).toEqual([3]);
    expect(document.chain).toEqual(whole(log).document.chain);
  });
});

describe('a node', () => {
  it('has what names it, and what names nobody', () => {
    const log = chain(
      [0, config()],
      [1, elected(a, START)],
      [1, granted(a, START)],
      [1, outdated(b, 3)],
      [1, note('n')],
      [1, { kind: 'operator', who: 'root', action: 'switchover', at: START }],
      [1, released(3, a, START, { successor: b })],
    );
    expect(indexes({ node: b }, log)).toEqual([1, 4, 5, 6, 7]);
    expect(indexes({ node: w }, log)).toEqual([1, 2, 5, 6]);
  });

  it('has its own tenures, the elections that it took part in, and the gaps beside its tenures', () => {
    const { document, gaps } = part({ node: b });
    expect(document.tenures.map(({ epoch }) => epoch)).toEqual([6]);
    expect(document.terms.map(({ term }) => term)).toEqual([2]);
    expect(gaps.map(({ epoch }) => epoch)).toEqual([3, 6]);
    expect(document.window?.leftOut).toEqual({ entries: 4, terms: 2, tenures: 2, operators: 0 });
  });
});

describe('gaps', () => {
  const gaps = (entries: Log) => whole(entries).gaps;

  it('run from a release to the next grant, and say what the time was spent on', () => {
    expect(gaps(FAILOVER)[0]).toEqual({
      ...{ epoch: 3, from: 'a', to: 'b', cause: 'switchover', isEstimated: false, takeoverMs: null },
      ...{ beganAt: START + 1000, endedAt: START + 1050, totalMs: 50 },
      // Elected 10 ms after the release, by an election that began before it.
      parts: { noticeMs: 0, electMs: 10, grantMs: 40 },
    });
  });

  it('begin, without a release, where the next leader last heard from the old one', () => {
    expect(gaps(FAILOVER)[1]).toEqual({
      ...{ epoch: 6, from: 'b', to: 'a', cause: 'expired', isEstimated: true, takeoverMs: null },
      ...{ beganAt: START + 8587.5, endedAt: START + 9040, totalMs: 452.5 },
      parts: { noticeMs: 400, electMs: 12.5, grantMs: 40 },
    });
  });

  it('count from the first of several elections', () => {
    const log = chain(
      [0, config()],
      [1, elected(a, START)],
      [1, granted(a, START)],
      [2, elected(b, START + 5000)],
      [3, elected(b, START + 7000)],
      [3, granted(b, START + 7010)],
    );
    expect(gaps(log)[0]).toMatchObject({
      totalMs: 2422.5,
      parts: { noticeMs: 2400, electMs: 12.5, grantMs: 10 },
    });
  });

  it('do not trust a release that was recorded after the next grant', () => {
    const log = chain(
      [0, config()],
      [1, elected(a, START)],
      [1, granted(a, START)],
      [2, elected(b, START + 5000)],
      [2, granted(b, START + 5010)],
      [2, released(3, a, START + 6000)],
    );
    expect(gaps(log)[0]).toMatchObject({ isEstimated: true, totalMs: 422.5 });
  });

  it('go on where nobody holds', () => {
    const log = chain(
      [0, config()],
      [1, elected(a, START)],
      [1, granted(a, START)],
      [1, released(3, a, START + 100)],
    );
    expect(gaps(log)).toMatchObject([
      { to: null, beganAt: START + 100, endedAt: null, totalMs: null, parts: null },
    ]);
  });

  it('are unknown where times are', () => {
    const log = chain([0, config()], [1, elected(a)], [1, granted(a)], [2, elected(b)], [2, granted(b)]);
    expect(gaps(log)).toMatchObject([{ to: 'b', beganAt: null, totalMs: null, parts: null }]);
  });
});
