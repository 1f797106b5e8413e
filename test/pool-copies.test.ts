/** The words of a pool that snapshots keep alike, and their ages. */
import { expect, it } from 'vitest';
import { agoText, isPoolInTrouble, poolLagMs, poolSentence, sentPercent } from '../src/pool-copies.ts';
import { POOLS } from './admin/fake.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 5, 5);
const [sent, received] = POOLS;
if (sent === undefined || received === undefined) throw new Error('two pools');

it('says up to when the copy is whole, how long ago that was, and what is wrong', () => {
  expect(poolSentence(sent, NOW)).toBe(
    'tank to b: whole up to 2026-01-02T03:04:00.000Z, 65 s ago; 1 in conflict; 1 late; sending 2',
  );
  expect(poolSentence(received, NOW)).toBe(
    'vault from b: whole up to 2026-01-02T03:00:00.000Z, 5 min ago; too old for a takeover by itself (max_data_loss)',
  );
  expect(poolSentence({ ...received, byItself: 'never' }, null)).toBe(
    'vault from b: whole up to 2026-01-02T03:00:00.000Z; no takeover by itself (max_data_loss is 0s)',
  );
  const none = { ...sent, copy: 'none', upTo: null, why: 'tank/bulk has none', sending: [] } as const;
  expect(poolSentence({ ...none, conflicts: 0, late: 0, problem: 'b does not answer' }, NOW)).toBe(
    'tank to b: no whole copy yet: tank/bulk has none; b does not answer',
  );
  expect(
    poolSentence({ ...received, peer: null, copy: 'everything', upTo: null, byItself: 'yes' }, NOW),
  ).toBe('vault: whole, with everything');
});

it('has no lag where none is known, none where nothing would be lost, and never one below 0', () => {
  expect(poolLagMs(sent, NOW)).toBe(65_000);
  expect(poolLagMs(sent, 0)).toBe(0);
  expect(poolLagMs({ ...sent, copy: 'everything', upTo: null }, NOW)).toBe(0);
  for (const copy of ['none', 'unknown'] as const)
    expect(poolLagMs({ ...sent, copy, upTo: null }, NOW)).toBeNull();
});

it('what is not known needs somebody, and what the config wants does not', () => {
  const well = { ...received, byItself: 'never' } as const;
  expect(isPoolInTrouble(well)).toBe(false);
  expect(isPoolInTrouble({ ...well, byItself: 'too-old' })).toBe(true);
  expect(isPoolInTrouble({ ...well, copy: 'unknown' })).toBe(true);
  expect(isPoolInTrouble({ ...well, problem: 'no' })).toBe(true);
  expect(isPoolInTrouble({ ...well, late: 1 })).toBe(true);
});

it('a stream that is longer than its estimate is not over, and one without has no share', () => {
  const stream = { dataset: 'tank/bulk', bytes: 30, totalBytes: 40, bytesPerSecond: null };
  expect(sentPercent(stream)).toBe(75);
  expect(sentPercent({ ...stream, bytes: 41 })).toBe(100);
  expect(sentPercent({ ...stream, totalBytes: null })).toBeNull();
  expect(sentPercent({ ...stream, totalBytes: 0 })).toBeNull();
});

it('ages in the unit that people would take', () => {
  expect([-5, 0, 119_000, 121_000, 7_300_000, 200_000_000].map(agoText)).toEqual([
    ...['0 s', '0 s', '119 s', '2 min', '2 h', '2 d'],
  ]);
});
