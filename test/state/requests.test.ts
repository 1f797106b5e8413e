import { describe, expect, it } from 'vitest';
import type { EntryBody, LogIndex, NodeId } from '../../src/core/index.ts';
import {
  isSameRequest,
  MAX_REQUESTS,
  NO_REQUESTS,
  type RequestMemory,
  type RequestRecord,
  rememberRequests,
} from '../../src/state/index.ts';
import { a, b, chain, config, elected, granted, note, released, request } from './story.ts';

/** `a` holds under epoch 3; what comes after it. */
function after(...story: readonly (readonly [number, EntryBody])[]): RequestMemory {
  const entries = chain([0, config()], [1, elected(a)], [1, granted(a)], ...story);
  return entries.reduce(rememberRequests, NO_REQUESTS);
}
const only = ({ records }: RequestMemory): RequestRecord | undefined => records[0];
const took = (epoch: number, node: NodeId, ok = true): EntryBody => ({
  ...{ kind: 'takeover-done', epoch: epoch as never, node, ok, totalMs: 40, at: null },
  steps: [{ name: 'block', ms: 20, result: ok ? 'ok' : 'refused' }],
});
const standby = (node: NodeId, is: boolean, id: string | null): EntryBody => ({
  ...{ kind: 'standby', node, standby: is, who: 'root', why: is ? '' : 'taken back', request: id, at: null },
});

describe('a switchover', () => {
  it('is open until the takeover by its node has ended', () => {
    const asked = [1, request('move-1')] as const;
    expect(only(after(asked))).toMatchObject({
      kind: 'switchover',
      node: b,
      from: a,
      outcome: { kind: 'open' },
    });
    const moved = [[1, released(3, a)] as const, [2, elected(b)] as const, [2, granted(b)] as const];
    expect(only(after(asked, ...moved))?.outcome.kind).toBe('open');
    expect(only(after(asked, ...moved, [2, took(7, b)]))?.outcome).toEqual({
      kind: 'done',
      epoch: 7,
      takeover: 8,
    });
    expect(only(after(asked, ...moved, [2, took(7, b, false)]))?.outcome).toMatchObject({
      kind: 'failed',
      why: expect.stringContaining('refused'),
    });
  });

  it('has failed where another node holds, or its leader says so; and that stays so', () => {
    const lost = after(
      [1, request('move-1')],
      [2, elected(a)],
      [2, granted(a)],
      [3, elected(b)],
      [3, granted(b)],
    );
    expect(only(lost)?.outcome).toEqual({ kind: 'failed', why: 'a holds' });
    const said = {
      kind: 'operator-result',
      of: 4 as LogIndex,
      ok: false,
      result: 'given up',
      at: null,
    } as const;
    const told = after([1, request('move-1')], [1, said], [2, elected(b)], [2, granted(b)], [2, took(7, b)]);
    expect(only(told)?.outcome).toEqual({ kind: 'failed', why: 'given up' });
    expect(only(after([1, request('move-1')], [1, { ...said, of: 3 as LogIndex }]))?.outcome.kind).toBe(
      'open',
    );
  });

  it('does not end by a takeover that began before it', () => {
    expect(only(after([1, request('move-1', a)], [1, took(3, a)]))?.outcome.kind).toBe('open');
  });
});

describe('other requests', () => {
  it('pause, resume, activate, and the standby of who does not hold, are done with their entry', () => {
    const pause = (is: boolean, id: string): EntryBody => ({
      ...{ kind: 'pause', paused: is, who: 'root', why: '', request: id, at: null },
    });
    const { records } = after(
      ...[[1, pause(true, 'p-1')] as const, [1, pause(false, 'p-2')] as const],
      ...[[1, standby(b, true, 's-1')] as const, [1, standby(b, false, 's-2')] as const],
    );
    expect(records.map(({ id, kind, node }) => [id, kind, node])).toEqual([
      ['p-1', 'pause', null],
      ['p-2', 'resume', null],
      ['s-1', 'standby', b],
      ['s-2', 'activate', b],
    ]);
    for (const { outcome } of records) expect(outcome).toEqual({ kind: 'done', epoch: null, takeover: null });
  });

  it('the standby of the holder ends when the other one holds, or when it is taken back', () => {
    const asked = [1, standby(a, true, 's-1')] as const;
    expect(only(after(asked))?.outcome.kind).toBe('open');
    const moved = after(asked, [1, released(3, a)], [2, elected(b)], [2, granted(b)], [2, took(7, b)]);
    expect(only(moved)?.outcome).toEqual({ kind: 'done', epoch: 7, takeover: 8 });
    expect(only(after(asked, [1, standby(a, false, null)]))?.outcome).toEqual({
      kind: 'failed',
      why: 'taken back',
    });
  });

  it('the standby of who held under an earlier leader is done with its entry: nothing is moved for it', () => {
    const memory = after([2, elected(b)], [2, standby(a, true, 's-1')], [2, granted(b)], [2, took(6, b)]);
    expect(only(memory)).toMatchObject({ from: a, outcome: { kind: 'done', epoch: null, takeover: null } });
  });

  it('an override ends with the takeover of its node', () => {
    const forced = {
      kind: 'forced',
      who: 'root',
      why: '',
      mayLose: 'much',
      node: b,
      request: 'f-1',
      at: null,
    } as const;
    expect(only(after([2, elected(b)], [2, forced], [3, granted(b)], [3, took(6, b)]))).toMatchObject({
      kind: 'failover',
      node: b,
      outcome: { kind: 'done', epoch: 6, takeover: 7 },
    });
  });
});

describe('the memory', () => {
  it('knows an id by its first entry, and nothing of what has none', () => {
    const { records } = after([1, request('move-1')], [1, request('move-1', a)], [1, note('x')]);
    expect(records).toMatchObject([{ id: 'move-1', node: b }]);
    expect(after([1, { kind: 'operator', who: 'root', action: 'x', at: null }]).records).toEqual([]);
  });

  it('is bounded: the oldest ids are forgotten', () => {
    const story = Array.from({ length: MAX_REQUESTS + 5 }, (_, n) => [1, request(`move-${n}`)] as const);
    const { records } = after(...story);
    expect(records).toHaveLength(MAX_REQUESTS);
    expect(records[0]?.id).toBe('move-5');
    expect(records.at(-1)?.id).toBe(`move-${MAX_REQUESTS + 4}`);
  });

  it('takes an unnamed node for the one that was found then, and another for another request', () => {
    const record = only(after([1, request('move-1')]));
    if (record === undefined) throw new Error('not remembered');
    expect(isSameRequest(record, 'switchover', null)).toBe(true);
    expect(isSameRequest(record, 'switchover', b)).toBe(true);
    expect(isSameRequest(record, 'switchover', a)).toBe(false);
    expect(isSameRequest(record, 'standby', b)).toBe(false);
  });
});
