/** What a takeover from a copy may lose of a client's records, and what it must not. */
import { describe, expect, it } from 'vitest';
import { hasReadNothing, judge, recordRead, statedSnapshot } from '../../cluster/lab/replication/window.ts';
import type { Entry, Epoch, NodeId } from '../../src/core/index.ts';
import { isoTime, lossText } from '../../src/state/index.ts';

describe('the snapshot that the audit names', () => {
  const note = (text: string): Entry =>
    ({ index: 9, term: 2, body: { kind: 'note', text } }) as unknown as Entry;
  const loss = (of: { guid: string; dataset: string } | null): string | null =>
    lossText(
      {
        kind: 'since',
        pool: 'tank',
        from: 'a' as NodeId,
        epoch: 10 as Epoch,
        snapshot: 'quorate-2026-11-27T19:45:00Z-10',
        takenAtMs: 1_000,
        ageMs: 42_000,
        of,
      },
      isoTime,
    );

  it.each([[null], [{ guid: '1234', dataset: 'tank/share' }]])('is the one of that takeover (%o)', (of) => {
    const entries = [note(`epoch 14: tank goes on from @older of then`), note(`epoch 20: ${loss(of)}`)];
    expect(statedSnapshot(entries, 20, 'tank')).toBe('quorate-2026-11-27T19:45:00Z-10');
    expect(statedSnapshot(entries, 21, 'tank')).toBeNull();
    expect(statedSnapshot(entries, 20, 'dozer')).toBeNull();
  });

  it('is none where nobody knows it', () => {
    const text = lossText({ kind: 'unknown', pool: 'tank', why: 'it is not read' }, isoTime);
    expect(statedSnapshot([note(`epoch 20: ${text}`)], 20, 'tank')).toBeNull();
  });
});

describe('the records of a writer', () => {
  const upTo = (last: number, first = 1): number[] =>
    Array.from({ length: last - first + 1 }, (_, index) => first + index);
  /** Ten before the power cut, the first four before the stated snapshot, which has six; then five more. */
  const usual = {
    acknowledged: upTo(15),
    beforeSnapshot: upTo(4),
    atCut: upTo(10),
    missing: { inStated: upTo(15, 7), inNewest: upTo(15, 7), inTheEnd: upTo(10, 7) },
  };

  it('what the old holder acknowledged after the snapshot is the window, and all that is gone', () => {
    expect(judge(usual)).toEqual({ window: upTo(10, 7), onlyOnOldHolder: upTo(10, 7), lost: [] });
  });

  it('a newer snapshot that has arrived makes it smaller', () => {
    const missing = { ...usual.missing, inNewest: upTo(15, 9), inTheEnd: [9, 10] };
    expect(judge({ ...usual, missing })).toEqual({ window: upTo(10, 7), onlyOnOldHolder: [9, 10], lost: [] });
  });

  it.each([
    ['one of the snapshot is not there in the end', { inTheEnd: [6, ...upTo(10, 7)] }, [6]],
    ['the snapshot has a hole', { inStated: [3, ...upTo(15, 7)], inTheEnd: upTo(10, 7) }, [3]],
    ['one that was written before the snapshot was taken is not in it', { inStated: upTo(15, 4) }, [4]],
    ['the new holder has lost what it acknowledged', { inTheEnd: [...upTo(10, 7), 12] }, [12]],
    ['a newer snapshot has it, and it is gone', { inNewest: upTo(15, 9), inTheEnd: upTo(10, 7) }, [7, 8]],
    ['nothing at all has arrived', { inStated: upTo(15), inNewest: upTo(15), inTheEnd: upTo(10) }, upTo(4)],
  ])('%s: that is lost', (_what, changes, lost) => {
    const verdict = judge({ ...usual, missing: { ...usual.missing, ...changes } });
    expect(verdict.lost).toEqual(lost);
    expect(verdict.onlyOnOldHolder.filter((number) => lost.includes(number))).toEqual([]);
  });
});

it('a reader of a file that is gone was given an error, and nothing else', () => {
  // As guest/nfs-clients.sh writes them.
  expect(hasReadNothing("read 12:  dd: error reading 'standard input': Stale file handle")).toBe(true);
  expect(hasReadNothing('read 12: nfs4-late block 3 0+1 records in')).toBe(false);
});

it('an error of a writer names the record that it could not read back', () => {
  expect(recordRead('read 12: 0+0 records in')).toBe(12);
  expect(recordRead('write 12: dd: error writing: Stale file handle')).toBeNull();
});
