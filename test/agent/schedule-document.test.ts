/** What an operator is told who asks again, as the log has it. */
import { expect, it } from 'vitest';
import { scheduleAgain } from '../../src/agent/schedule-document.ts';
import { durationMs, type Entry, type EntryBody, epoch, logIndex } from '../../src/core/index.ts';
import { NO_REQUESTS, rememberRequests } from '../../src/state/index.ts';
import { a, b, chain, config, elected, granted } from '../state/story.ts';

const order = (request: string): EntryBody => ({
  ...{ kind: 'switchover-scheduled', to: b, epoch: epoch(3), dueAt: 1_800_000_000_000 },
  ...{ graceMs: durationMs(60_000), who: 'root', why: '', request, at: null },
});
const begun: EntryBody = { kind: 'switchover-begun', of: logIndex(4), to: b, at: null };
const ended = (
  outcome: 'cancelled' | 'refused',
  who: string | null,
  request: string | null = null,
): EntryBody => ({
  ...{ kind: 'switchover-ended', of: logIndex(4), outcome, who, why: outcome, request, at: null },
});

function again(id: string, ...bodies: EntryBody[]) {
  const entries: Entry[] = chain(
    [0, config()],
    [1, elected(a)],
    [1, granted(a)],
    ...bodies.map((body) => [1, body] as const),
  );
  const record = entries.reduce(rememberRequests, NO_REQUESTS).records.find((one) => one.id === id);
  const log = {
    at: (index: number) => entries[index - 1],
    slice: (from: number, to: number) => entries.slice(from - 1, to),
  };
  const view = { log, commitIndex: entries.length, self: a };
  return record && scheduleAgain(view as never, record);
}

it('of one that was followed by another: the end that counted', () => {
  const bodies = [
    order('request-s1'),
    begun,
    ended('cancelled', 'root', 'request-c1'),
    ended('refused', null),
  ];
  expect(again('request-s1', ...bodies, order('request-s2'))).toMatchObject({ id: 4, outcome: 'refused' });
  expect(again('request-s2', ...bodies, order('request-s2'))).toMatchObject({ id: 8, state: 'waiting' });
  const cancelled = [order('request-s1'), ended('cancelled', 'root', 'request-c1'), order('request-s2')];
  expect(again('request-c1', ...cancelled)).toMatchObject({ id: 4, outcome: 'cancelled' });
  // Of one that was void by the entry itself.
  expect(again('request-s2', order('request-s1'), order('request-s2'))).toMatchObject({
    outcome: 'refused',
    result: 'its entry was void',
  });
});

it('a cancelling that came too late is refused as at first', () => {
  const bodies = [order('request-s1'), begun, ended('cancelled', 'root', 'request-c1')];
  expect(() => again('request-c1', ...bodies)).toThrow('it was asked before (entry 6): it has begun');
});
