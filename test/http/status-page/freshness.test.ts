import { describe, expect, it } from 'vitest';
import { Freshness, STALE_MS } from '../../../src/http/status-page/browser/freshness.ts';

const at = (monotonicMs: number, wallMs = monotonicMs) => ({ monotonicMs, wallMs });

/** One pulse a second, 40 ms under way, the sender's clock 5,000 ms ahead. */
function heard(): Freshness {
  const freshness = new Freshness();
  for (let second = 0; second < 5; second++) freshness.heard(5_000 + second * 1_000, at(second * 1_000 + 40));
  return freshness;
}

describe('the age of the last news', () => {
  it('is not known before the first', () => {
    const freshness = new Freshness();
    expect(freshness.ageMs(at(1))).toBeNull();
    expect(freshness.isPresent(at(1))).toBe(false);
  });

  it('is counted from when they came', () => {
    expect(heard().ageMs(at(4_040))).toBe(0);
    expect(heard().ageMs(at(4_040 + 700))).toBe(700);
    expect(heard().isPresent(at(4_040 + STALE_MS - 1))).toBe(true);
    expect(heard().isPresent(at(4_040 + STALE_MS))).toBe(false);
  });

  it('and from how long they were under way, beyond the shortest way', () => {
    const freshness = heard();
    // Those of seconds 5 to 8 come all at once, after 8.5 s: the last is half a second late, the first three and a half.
    freshness.heard(10_000, at(8_500));
    expect(freshness.ageMs(at(8_500))).toBe(3_460);
    expect(freshness.isPresent(at(8_500))).toBe(false);
    freshness.heard(13_000, at(8_500));
    expect(freshness.ageMs(at(8_500))).toBe(460);
  });

  it('grows while this computer is suspended, by the clock that goes on', () => {
    expect(heard().ageMs(at(4_100, 64_040))).toBe(60_000);
    // A wall clock that was set back makes nothing younger.
    expect(heard().ageMs(at(4_540, -90_000))).toBe(500);
  });

  it('a new connection begins anew', () => {
    const freshness = heard();
    freshness.begin();
    expect(freshness.isPresent(at(4_041))).toBe(false);
    freshness.heard(0, at(9_000));
    expect(freshness.ageMs(at(9_000))).toBe(0);
  });
});
