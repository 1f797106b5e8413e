/** What a takeover of a pool replicated by snapshots would lose, as log and copy tell it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EntryBody, epoch, nodeId } from '../../src/core/index.ts';
import {
  acceptedText,
  type CompleteCopy,
  type CopyWords,
  copyLoss,
  isLossAccepted,
  isoTime,
  lastSnapshotEvidence,
  lossText,
  whyTooMuchIsLost,
} from '../../src/state/index.ts';
import { a, b, config, elected, granted, chain as linked } from './story.ts';

const chain = (rows: readonly (readonly [number, EntryBody])[]) => linked(...rows);
const AT = 1_790_000_000_000;
/** Entry 3 is a's grant, entry 5 b's. */
const HELD_BY_A = chain([
  [1, config()],
  [1, elected(a)],
  [1, granted(a)],
]);
const THEN_B = chain([
  [1, config()],
  [1, elected(a)],
  [1, granted(a)],
  [2, elected(b)],
  [2, granted(b)],
]);
const releasedBy = (snapshot: string | null, of = 3) =>
  chain([
    ...HELD_BY_A.map(({ term, body }) => [term, body] as const),
    [
      1,
      {
        ...{
          kind: 'tenure-released',
          epoch: epoch(of),
          node: a,
          reason: 'switchover',
          successor: b,
          at: null,
        },
        evidence: `${snapshot === null ? '' : lastSnapshotEvidence(snapshot)}tank: read-only`,
      },
    ],
  ]);
const words = (written: number | null, complete: Partial<CompleteCopy> | null): CopyWords => ({
  kind: 'read',
  pool: 'tank',
  written,
  complete:
    complete === null ? null : { epoch: 3, snapshot: 'p7', takenAtMs: AT, isFinal: false, ...complete },
});
const why = (entries: typeof HELD_BY_A, self: typeof a, said: CopyWords, at: number | null, most: number) =>
  whyTooMuchIsLost(copyLoss(entries, self, said, at), most);

describe('a takeover loses', () => {
  it('nothing where nobody has held, or nobody else has', () => {
    expect(why(chain([[1, config()]]), b, words(null, null), AT, 0)).toBeNull();
    expect(why(HELD_BY_A, a, words(3, null), AT, 0)).toBeNull();
  });

  it('nothing after a planned release whose last snapshot has arrived, however long ago', () => {
    expect(why(releasedBy('p7'), b, words(null, { isFinal: true }), AT + 1e9, 0)).toBeNull();
  });

  it('what came after it, where that release was undone or ended otherwise: the holder may have gone on', () => {
    const said = words(null, { isFinal: true });
    for (const entries of [HELD_BY_A, releasedBy('p6'), releasedBy(null), releasedBy('p7', 2)])
      expect(why(entries, b, said, AT + 1000, 0)).toContain('max_data_loss is 0 s');
    expect(why(releasedBy('p7'), b, words(null, { isFinal: false }), AT + 1000, 0)).toContain('1 s old');
  });

  it('otherwise up to the age of the newest moment that is whole here', () => {
    const said = words(null, {});
    expect(why(HELD_BY_A, b, said, AT + 90_000, 90_000)).toBeNull();
    expect(why(HELD_BY_A, b, said, AT + 90_001, 90_000)).toBe(
      'tank@p7, the newest that has come whole from a, is 90.1 s old, and max_data_loss is 90 s',
    );
    expect(why(HELD_BY_A, b, said, AT + 1, 0)).toContain('max_data_loss is 0 s');
  });

  it('what nobody knows, where nothing has come of the tenure before, whatever came of earlier ones', () => {
    expect(why(HELD_BY_A, b, words(null, null), AT, 1e9)).toContain('nothing whole has come from a');
    // b's tenure was in between: what a had of its own is older.
    expect(why(THEN_B, a, words(3, { epoch: 3 }), AT, 1e9)).toContain('nothing whole has come from b');
    expect(why(HELD_BY_A, b, { kind: 'unknown', pool: 'tank', why: 'gone' }, AT, 1e9)).toContain('gone');
  });

  it('unknown, where the time of the snapshot has not come here: clocks are apart', () => {
    expect(why(HELD_BY_A, b, words(null, {}), AT - 1, 1e9)).toContain('has not come here');
    expect(why(HELD_BY_A, b, words(null, {}), null, 1e9)).toContain('has not come here');
  });

  it('a tenure of the own in which nothing was opened counts for nothing', () => {
    // b was granted, and its takeover failed before the pool: a's tenure is what counts.
    expect(why(THEN_B, b, words(null, {}), AT, 0)).toBeNull();
    expect(why(THEN_B, b, words(null, {}), AT + 1, 0)).toContain('has come whole from a');
    expect(why(THEN_B, b, words(null, null), AT, 1e9)).toContain('nothing whole has come from a');
    expect(why(THEN_B, b, words(5, null), AT, 0)).toBeNull();
  });

  it('never less than what the last other holder has not sent: random logs', () => {
    const grant = fc.constantFrom(a, b);
    fc.assert(
      fc.property(
        fc.array(grant, { minLength: 1, maxLength: 8 }),
        fc.nat(20),
        fc.nat(20),
        fc.boolean(),
        (holders, written, sent, isFinal) => {
          const entries = chain([
            [1, config()],
            ...holders.flatMap((node, at): [number, ReturnType<typeof elected>][] => [
              [at + 1, elected(node)],
              [at + 1, granted(node)],
            ]),
          ]);
          const loss = copyLoss(entries, b, words(written, { epoch: sent, isFinal }), AT);
          const lastOf = (node: string) =>
            entries.findLast(({ body }) => body.kind === 'tenure-granted' && body.node === node)?.index ?? 0;
          const [own, other] = [lastOf('b'), lastOf('a')];
          const isOwn = own > other && written === own;
          const hasOwnBefore =
            written > other &&
            entries.some(
              ({ index, body }) => index === written && body.kind === 'tenure-granted' && body.node === 'b',
            );
          if (loss.kind === 'nothing') expect(isOwn || hasOwnBefore || other === 0 || false).toBe(true);
        },
      ),
    );
  });
});

describe('what is written down', () => {
  it('says from where, and what is only on the other side', () => {
    const loss = copyLoss(HELD_BY_A, b, words(null, {}), AT + 5000);
    expect(lossText(loss, isoTime)).toBe(
      `tank goes on from @p7 of ${isoTime(AT)}, 5 s old: what a wrote after that in epoch 3 is on a only (single datasets may be newer here), how many bytes is unknown until a is back`,
    );
    expect(lossText(copyLoss(HELD_BY_A, a, words(3, null), AT), isoTime)).toBeNull();
  });
});

describe('O3: an operator accepts it', () => {
  const said = (node: string, entries = HELD_BY_A) => {
    const action = acceptedText(nodeId(node), 'the rack burned', 'nothing');
    return chain([
      ...entries.map(({ term, body }): [number, typeof body] => [term, body]),
      [3, { kind: 'operator', who: 'root', action, at: null }],
    ]);
  };

  it('for this node, since the last grant, and for one takeover', () => {
    expect(isLossAccepted(HELD_BY_A, b)).toBe(false);
    expect(isLossAccepted(said('b'), b)).toBe(true);
    expect(isLossAccepted(said('bb'), b)).toBe(false);
    expect(isLossAccepted(said('a'), b)).toBe(false);
    const after = chain([
      ...said('b').map(({ term, body }): [number, typeof body] => [term, body]),
      [4, granted(b)],
    ]);
    expect(isLossAccepted(after, b)).toBe(false);
  });

  it('an override of the in-sync set is one too', () => {
    const forced = chain([
      ...HELD_BY_A.map(({ term, body }): [number, typeof body] => [term, body]),
      [3, { kind: 'forced', who: 'root', why: '', mayLose: '', node: b, at: null }],
    ]);
    expect([isLossAccepted(forced, b), isLossAccepted(forced, a)]).toEqual([true, false]);
  });
});
