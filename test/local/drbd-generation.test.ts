import { describe, expect, test } from 'vitest';
import { decide, type Report } from '../../cluster/local/drbd/generation.ts';

const report = (
  node: string,
  change: Partial<Report> & { current?: string; base?: string | null; history?: string[] } = {},
): Report => {
  const { current = 'O', base = null, history = [], ...rest } = change;
  return {
    node,
    generations: { current, bitmapBase: base, history },
    role: 'Secondary',
    disk: 'UpToDate',
    hasCrashedAsPrimary: false,
    dirtyBlocks: 0,
    discardMyData: false,
    ...rest,
  };
};

const MIRROR: Record<string, string> = { source: 'target', target: 'source' };

function both(a: Report, b: Report): string {
  const [onA, onB] = [decide(a, b), decide(b, a)];
  expect(onB.kind, 'the verdicts mirror each other').toBe(MIRROR[onA.kind] ?? onA.kind);
  if ('full' in onA && 'full' in onB) expect(onB.full).toBe(onA.full);
  return 'full' in onA && onA.full ? `full ${onA.kind}` : onA.kind;
}

describe('data generations of the DRBD stand-in', () => {
  test.each<[string, Report, Report, string]>([
    ['equal', report('a'), report('b'), 'in-sync'],
    ['a wrote alone', report('a', { current: 'N', base: 'O', dirtyBlocks: 3 }), report('b'), 'source'],
    ['b wrote alone', report('a'), report('b', { current: 'N', base: 'O' }), 'target'],
    [
      'both wrote alone',
      report('a', { current: 'M', base: 'O' }),
      report('b', { current: 'N', base: 'O' }),
      'split-brain',
    ],
    ['nothing in common', report('a', { current: 'X' }), report('b', { current: 'Y' }), 'unrelated'],
    [
      'the end of a resync was not heard',
      report('a', { current: 'N', base: 'P', history: ['O'] }),
      report('b'),
      'full source',
    ],
    [
      'a crashed as Primary',
      report('a', { hasCrashedAsPrimary: true, dirtyBlocks: 64 }),
      report('b'),
      'target',
    ],
    [
      'a crashed, b is Primary',
      report('a', { hasCrashedAsPrimary: true, dirtyBlocks: 64 }),
      report('b', { role: 'Primary' }),
      'target',
    ],
    ['a frozen Primary is back', report('a', { role: 'Primary', dirtyBlocks: 1 }), report('b'), 'source'],
    [
      'a resync of equal generations was cut',
      report('a', { disk: 'Inconsistent' }),
      report('b', { dirtyBlocks: 2 }),
      'target',
    ],
    ['a released in flight', report('a', { dirtyBlocks: 1 }), report('b'), 'source'],
    ['both have marks', report('a', { dirtyBlocks: 1 }), report('b', { dirtyBlocks: 1 }), 'source'],
    [
      'a Primary would be the target',
      report('a', { role: 'Primary' }),
      report('b', { current: 'N', base: 'O' }),
      'retry',
    ],
    [
      'two Primaries',
      report('a', { role: 'Primary' }),
      report('b', { current: 'N', base: 'O', role: 'Primary' }),
      'retry',
    ],
    ['a has no disk', report('a', { disk: 'Diskless' }), report('b'), 'retry'],
    [
      'b discards',
      report('a', { current: 'M', base: 'O' }),
      report('b', { current: 'N', base: 'O', discardMyData: true }),
      'source',
    ],
  ])('%s', (_name, a, b, expected) => {
    expect(both(a, b)).toBe(expected);
  });
});
