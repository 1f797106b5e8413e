/** What the log says of a switchover at a later time: the fold, and what the audit tells of it. */
import { expect, it } from 'vitest';
import {
  applyEntry,
  durationMs,
  EMPTY_STATE,
  type Entry,
  type EntryBody,
  epoch,
  logIndex,
  openSchedule,
} from '../../src/core/index.ts';
import { sha256 } from '../../src/log/index.ts';
import { audit, NO_REQUESTS, rememberRequests } from '../../src/state/index.ts';
import { a, b, chain, config, elected, granted, paused, released } from './story.ts';

const order = (of = 3): EntryBody => ({
  ...{
    kind: 'switchover-scheduled',
    to: b,
    epoch: epoch(of),
    dueAt: 1_800_000_000_000,
    graceMs: durationMs(60_000),
  },
  ...{ who: 'root', why: 'new switch', request: null, at: null },
});
const begun: EntryBody = { kind: 'switchover-begun', of: logIndex(4), to: b, at: null };
const ended = (
  outcome: 'done' | 'cancelled' | 'expired' | 'refused',
  who: string | null = null,
): EntryBody => ({
  ...{ kind: 'switchover-ended', of: logIndex(4), outcome, who, why: 'x', request: null, at: null },
});
/** Entries 1 to 3, the order as entry 4, and what follows. */
const log = (...rest: (EntryBody | [number, EntryBody])[]): Entry[] =>
  chain(
    ...([
      [0, config()],
      [1, elected(a)],
      [1, granted(a)],
    ] as [number, EntryBody][]),
    ...rest.map((one): [number, EntryBody] => (Array.isArray(one) ? one : [1, one])),
  );
const after = (...rest: (EntryBody | [number, EntryBody])[]) =>
  log(...rest).reduce((state, entry) => applyEntry(state, entry), EMPTY_STATE);
const phase = (...rest: (EntryBody | [number, EntryBody])[]) => after(...rest).schedule?.phase.kind;

it('waits, is begun, and has ended', () => {
  expect(phase(order())).toBe('waiting');
  expect(phase(order(), begun)).toBe('begun');
  expect(phase(order(), begun, ended('done'))).toBe('ended');
  expect(openSchedule(after(order(), begun, ended('done')))).toBeNull();
});

it('of another epoch than the open one, of a paused cluster, or beside an open one, is void', () => {
  expect(phase(order(2))).toBeUndefined();
  expect(phase(paused(true), order())).toBeUndefined();
  expect(after(order(), order()).schedule?.index).toBe(4);
  // After the end of the last one there is room again.
  expect(after(order(), ended('cancelled', 'root'), order()).schedule?.index).toBe(6);
});

it('is void from the entry on that pauses, releases or grants anew, whatever comes after it', () => {
  for (const end of [paused(true), released(3, a)]) expect(phase(order(), end, begun)).toBe('void');
  expect(phase(order(), paused(true), paused(false), begun)).toBe('void');
  expect(phase(order(), [2, elected(b)], [2, granted(b)], [2, begun])).toBe('void');
});

it('that has begun is not cancelled, and its end is told by the next leader', () => {
  expect(phase(order(), begun, ended('cancelled', 'root'))).toBe('begun');
  expect(phase(order(), begun, released(3, a), [2, elected(b)], [2, granted(b)])).toBe('begun');
  expect(phase(order(), begun, released(3, a), [2, elected(b)], [2, granted(b)], [2, ended('done')])).toBe(
    'ended',
  );
  // The first end counts.
  expect(after(order(), ended('expired'), ended('done')).schedule?.phase).toMatchObject({
    outcome: 'expired',
  });
});

it('the audit tells the order, what came of it, and an order that was void', () => {
  const { operators, violations } = audit(log(order(), ended('expired'), order(2)), sha256);
  expect(operators.map(({ who, action }) => [who, action])).toEqual([
    [
      'root',
      expect.stringMatching(
        /^scheduled a switchover to b at 2027-01-15T08:00:00.000Z, or within 60 s after it, of epoch 3: new switch$/,
      ),
    ],
    ['root', 'the switchover scheduled in entry 4 has expired: x'],
    ['root', expect.stringMatching(/, void: epoch 2 is not open$/)],
  ]);
  expect(violations).toEqual([]);
  // Called off just before it was begun: that is nobody's mistake.
  expect(audit(log(order(), paused(true), begun), sha256).violations).toEqual([]);
});

it('the audit calls a cancelling void that came too late, and its request has failed', () => {
  const cancelled = { ...ended('cancelled', 'root'), request: 'request-c1' } as EntryBody;
  const late = log(order(), begun, cancelled);
  expect(audit(late, sha256).operators.at(-1)?.action).toBe(
    'the switchover scheduled in entry 4 is cancelled: x, void: it has begun',
  );
  const outcome = (entries: Entry[]) => entries.reduce(rememberRequests, NO_REQUESTS).records[0]?.outcome;
  expect(outcome(late)).toEqual({ kind: 'failed', why: 'it has begun' });
  expect(outcome(log(order(), cancelled))?.kind).toBe('done');
  expect(outcome(log(order(), ended('done'), cancelled))).toMatchObject({ kind: 'failed' });
});
