import { describe, expect, it } from 'vitest';
import { Admission, MAX_CALLS, RATES } from '../../src/admin/admission.ts';

const code = (act: () => unknown): string | null => {
  try {
    act();
    return null;
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('by identity', () => {
  it('a burst passes, then what the rate gives, and it says how long to wait', () => {
    let nowMs = 5_000;
    const admission = new Admission(() => nowMs);
    for (let n = 0; n < RATES.order.burst; n += 1) admission.enter('alice', 'order')();
    expect(() => admission.enter('alice', 'order')).toThrow(
      expect.objectContaining({ code: 'too-many-requests', context: { facts: { retry_after_ms: '500' } } }),
    );
    // Neither her questions nor anybody else's orders are in its way.
    expect(code(() => admission.enter('alice', 'question')())).toBeNull();
    expect(code(() => admission.enter('bob', 'order')())).toBeNull();
    nowMs += 500;
    expect(code(() => admission.enter('alice', 'order')())).toBeNull();
    expect(code(() => admission.enter('alice', 'order')())).toBe('too-many-requests');
    nowMs += 3_600_000;
    for (let n = 0; n < RATES.order.burst; n += 1) admission.enter('alice', 'order')();
    expect(code(() => admission.enter('alice', 'order')())).toBe('too-many-requests');
  });

  it('so many calls at a time, and leaving twice is leaving once', () => {
    const admission = new Admission(() => 0);
    const leave = Array.from({ length: MAX_CALLS }, () => admission.enter('alice', 'question'));
    expect(code(() => admission.enter('alice', 'question'))).toBe('too-many-requests');
    leave[0]?.();
    leave[0]?.();
    expect(code(() => admission.enter('alice', 'question'))).toBeNull();
    expect(code(() => admission.enter('alice', 'question'))).toBe('too-many-requests');
  });

  it('remembers who has calls under way, whoever else comes', () => {
    const admission = new Admission(() => 0);
    for (let n = 0; n < MAX_CALLS; n += 1) admission.enter('alice', 'question');
    for (let n = 0; n < 3_000; n += 1) admission.enter(`other-${n}`, 'question')();
    expect(code(() => admission.enter('alice', 'question'))).toBe('too-many-requests');
  });
});
