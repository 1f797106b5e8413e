import { describe, expect, it } from 'vitest';
import { readWindow } from '../../src/cli/audit-window.ts';

const NOW = Date.UTC(2026, 0, 10, 12);
const since = (text: string) => readWindow({ since: text }, NOW).since;
const until = (text: string) => readWindow({ until: text }, NOW).until;

describe('times', () => {
  it.each([
    ['2026-01-02T03:04:05.678Z', Date.UTC(2026, 0, 2, 3, 4, 5, 678)],
    ['2026-01-02T03:04:05', Date.UTC(2026, 0, 2, 3, 4, 5)],
    ['2026-01-02 03:04', Date.UTC(2026, 0, 2, 3, 4)],
    ['2026-01-02T03:04+02:00', Date.UTC(2026, 0, 2, 1, 4)],
    ['90min', NOW - 5_400_000],
    ['1.5h', NOW - 5_400_000],
    ['7d', NOW - 7 * 86_400_000],
    ['30s', NOW - 30_000],
  ])('%s', (text, at) => {
    expect(since(text)).toBe(at);
    expect(until(text)).toBe(at);
  });

  it('a day is its first instant, or its last', () => {
    expect(since('2026-01-02')).toBe(Date.UTC(2026, 0, 2));
    expect(until('2026-01-02')).toBe(Date.UTC(2026, 0, 3) - 1);
    expect(readWindow({ since: '2026-01-02', until: '2026-01-02' }, NOW)).toMatchObject({ node: null });
  });

  it.each([
    '',
    '5m',
    '12',
    '2026-13-01',
    '2026-1-2',
    '2026-01-02T3:04',
    '2026-01-02T03:60Z',
    '2026-01-02T03:04+99:00',
    '-1h',
  ])('refuses %j', (text) => {
    expect(() => since(text)).toThrow(/^--since: .*write a time as/);
  });
});
