/** The sentence of a resync. */
import { expect, it } from 'vitest';
import { bytesText, percentText, resyncSentence } from '../src/resync.ts';

it('never rounds up to the end', () => {
  expect([0, 7.82, 99.99, 100].map(percentText)).toEqual(['0.0 %', '7.8 %', '99.9 %', '100 %']);
});

it('names bytes in the largest unit that fits', () => {
  expect([0, 1, 1023, 1024, 1536, 2 ** 30, 2 ** 53].map(bytesText)).toEqual([
    '0 B',
    '1 B',
    '1023 B',
    '1 KiB',
    '1.5 KiB',
    '1 GiB',
    '8 PiB',
  ]);
});

it('says what is not known as that', () => {
  const one = { resource: 'block', volume: 0, peer: 'b', role: 'target', paused: false } as const;
  expect(resyncSentence({ ...one, donePercent: 0, outOfSyncBytes: 0 })).toBe(
    'resync: block volume 0 from b, 0.0 % done, 0 B to go',
  );
  expect(resyncSentence({ ...one, peer: null, donePercent: null, outOfSyncBytes: null })).toBe(
    'resync: block volume 0 from a peer, how far is not known',
  );
});
