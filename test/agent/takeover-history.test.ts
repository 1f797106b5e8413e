import { describe, expect, it } from 'vitest';
import { TakeoverHistory } from '../../src/agent/takeover-history.ts';
import type { Entry } from '../../src/core/index.ts';
import { logOf, takeover, WEEK } from '../cli/audit-page/logs.ts';
import { a, b, chain, config, elected, granted, START } from '../state/story.ts';

const after = (entries: readonly Entry[]): TakeoverHistory => {
  const history = new TakeoverHistory();
  for (const entry of entries) history.onCommitted(entry);
  return history;
};

describe('the last takeovers', () => {
  it('none before the first', () => {
    expect(after([])).toMatchObject({ last: null, kept: [] });
  });

  it('say from whom, why, and what they were spent on', () => {
    const { kept } = after(WEEK);
    expect(kept.map(({ epoch, node, from }) => [epoch, node, from])).toEqual([
      [3, 'a', null],
      [8, 'b', 'a'],
      [11, 'a', 'b'],
      [18, 'b', 'a'],
    ]);
    expect(kept[2]).toMatchObject({
      ...{ reason: 'leader-silent', detectMs: 1642, electMs: 31, grantMs: 52, result: 'ok', totalMs: 85 },
      steps: [{ name: 'block', ms: 85, result: 'ok' }],
    });
  });

  it('the last of them is that of the status', () => {
    expect(after(WEEK).last).toEqual({
      ...{ epoch: 18, reason: 'released', totalMs: 240 },
      startedAt: new Date(START + 121 * 3_600_000 + 60_050).toISOString(),
      steps: [{ name: 'block', ms: 240, result: 'ok' }],
    });
  });

  it('one whose end is not in the log has none; another end is not its own', () => {
    const history = after(
      chain(
        [0, config()],
        [1, elected(a, null, { electMs: 9 })],
        [1, granted(a, START)],
        [1, takeover(2, b, START)],
      ),
    );
    expect(history.kept).toMatchObject([
      { epoch: 3, result: 'open', totalMs: null, steps: [], grantMs: null, electMs: 9 },
    ]);
  });

  it('a failed one is kept as failed', () => {
    const failed = { ...takeover(3, a, START), ok: false } as Entry['body'];
    const { kept } = after(
      chain([0, config()], [1, elected(a, START)], [1, granted(a, START + 7)], [1, failed]),
    );
    expect(kept).toMatchObject([{ result: 'failed', grantMs: 7 }]);
  });

  it('a long log keeps eight', () => {
    const { kept, last } = after(logOf(300));
    expect(kept).toHaveLength(8);
    expect(kept.at(-1)?.epoch).toBe(last?.epoch);
    expect(kept.every(({ from }) => from !== null)).toBe(true);
  });
});
