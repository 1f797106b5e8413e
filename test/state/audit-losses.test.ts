/** What the audit reads of a window that a takeover left behind is what its holder wrote. */
import { describe, expect, it } from 'vitest';
import { nodeId } from '../../src/core/index.ts';
import { type CopyLoss, isoTime, keptBegin, keptText, lossesOf, lossText } from '../../src/state/index.ts';
import { a, b, chain, config, granted, note, START } from './story.ts';

const SINCE: CopyLoss = {
  ...{ kind: 'since', pool: 'tank', from: nodeId('a'), epoch: 2 as never, snapshot: 'p7 of old', of: null },
  ...{ takenAtMs: START - 41_950, ageMs: 41_950 },
};
const KEPT = { upTo: 1, bytes: 4096, datasets: 1, largest: 'tank/.diverged/3/my files' };
const read = (...texts: string[]) =>
  lossesOf(
    chain(
      [0, config()],
      [1, granted(a, START - 100_000)],
      [2, granted(b, START)],
      ...texts.map((text) => [2, note(text)] as const),
    ),
  );
const said = (loss: CopyLoss): string => `epoch 3: ${lossText(loss, isoTime)}`;

describe('a window', () => {
  it.each([
    ['plain', SINCE],
    ['with a GUID', { ...SINCE, of: { guid: '1234', dataset: 'tank/my files of 2025' } }],
    ['with spaces', { ...SINCE, pool: 'my pool', of: { guid: '1', dataset: 'my pool/x, y' } }],
  ])('%s: from when on, how old, of whom', (_how, loss) => {
    expect(read(said(loss as CopyLoss))).toEqual([
      {
        ...{ epoch: 3, node: 'b', pool: loss.pool, upTo: isoTime(START - 41_950), ageMs: 42_000, from: 'a' },
        ...{ why: null, kept: null, grantedAt: START },
      },
    ]);
  });

  it('of which nothing is known says why', () => {
    expect(read(said({ kind: 'unknown', pool: 'tank', why: 'a line\nbreak' }))).toMatchObject([
      { upTo: null, ageMs: null, from: null, why: 'a line\nbreak' },
    ]);
  });

  it('whose bytes were found has the newest sum of them', () => {
    const begin = keptBegin(3, 'a', 'tank');
    const first = keptText(begin, KEPT, 'a', false);
    expect(read(said(SINCE), first)).toMatchObject([{ kept: { node: 'a', bytes: 4096, datasets: 1 } }]);
    const second = keptText(begin, { ...KEPT, upTo: 2, bytes: 5000, datasets: 2 }, 'a', true);
    expect(read(said(SINCE), first, second)).toMatchObject([{ kept: { bytes: 5000, datasets: 2 } }]);
  });

  it('each pool of a takeover has its own', () => {
    const other = { ...SINCE, pool: 'vault' };
    const kept = keptText(keptBegin(3, 'a', 'vault'), KEPT, 'a', false);
    expect(read(said(SINCE), said(other), kept).map(({ pool, kept }) => [pool, kept?.bytes ?? null])).toEqual(
      [
        ['tank', null],
        ['vault', 4096],
      ],
    );
  });
});

it('a takeover that left nothing behind, another note, and an epoch that was never granted say nothing', () => {
  expect(lossText({ kind: 'nothing', pool: 'tank' }, isoTime)).toBeNull();
  expect(read('epoch 3: something else', 'no takeover by b: too old')).toEqual([]);
  expect(read(said(SINCE).replace('epoch 3', 'epoch 4'))).toEqual([]);
  expect(read(keptText(keptBegin(3, 'a', 'tank'), KEPT, 'a', false))).toEqual([]);
});
