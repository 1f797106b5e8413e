/** Time, progress and what is told: the small parts of the engine. */
import { describe, expect, it } from 'vitest';
import { durationMs, instant } from '../../../src/core/index.ts';
import { Board, BoardView, reportSchema } from '../../../src/replication/engine/index.ts';
import { ProgressReader } from '../../../src/replication/engine/progress.ts';
import { isOpen, policyOf, Slots } from '../../../src/replication/engine/schedule.ts';
import { sendCommand } from '../../../src/replication/engine/send.ts';

describe('slots', () => {
  it('are on one grid, so that who came later is of the same moment from then on', () => {
    const slots = new Slots(instant(1000));
    const due = (name: string, now: number): boolean => {
      const isDue = slots.isDue(name, 60, instant(now));
      if (isDue) slots.taken(name, 60, instant(now));
      return isDue;
    };
    expect(due('old', 1000)).toBe(true);
    expect(due('old', 1059)).toBe(false);
    expect(due('new', 1030)).toBe(true);
    expect([due('old', 1061), due('new', 1061)]).toEqual([true, true]);
    expect(slots.untilNext(60, instant(1061))).toBe(59);
    // A round that took long is not made up for.
    expect([due('old', 1300), due('old', 1301)]).toEqual([true, false]);
  });
});

describe('windows', () => {
  const night = [{ fromMinute: 22 * 60, toMinute: 6 * 60 }];
  it.each([
    [21 * 60 + 59, false],
    [22 * 60, true],
    [0, true],
    [6 * 60 - 1, true],
    [6 * 60, false],
  ])('minute %i of a window past midnight: %s', (minute, open) => expect(isOpen(night, minute)).toBe(open));

  it('without any it is always time', () => expect(isOpen([], 5)).toBe(true));
});

it('the first override that matches counts, also for what lies below', () => {
  const keep = { last: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
  const policy = (ms: number) => ({ periodMs: durationMs(ms), keep, keepCopy: keep, windows: [] });
  const send = {
    policy: policy(60_000),
    overrides: [
      { datasets: ['tank/bulk/hot'], policy: policy(1000) },
      { datasets: ['tank/bulk', 'tank/old*'], policy: policy(5000) },
    ],
    bytesPerSecond: null,
    answerMs: 30_000,
  };
  const periods = ['tank/home', 'tank/bulk/x', 'tank/bulk/hot/y', 'tank/old1'].map(
    (name) => policyOf(send, name).periodMs,
  );
  expect(periods).toEqual([60_000, 5000, 1000, 5000]);
});

describe('progress', () => {
  it('is read from what zfs send says, and so is its complaint', () => {
    const reader = new ProgressReader();
    const lines = [
      'full\ttank/a@s1\t4096',
      'size\t4096',
      '12:00:00\t1000\ttank/a@s1',
      'warning: cannot send',
    ];
    const said = lines.map((line, at) => reader.onLine(line, instant(at * 1000)));
    expect(said).toEqual([false, true, true, false]);
    expect(reader.progress).toEqual({ bytes: 1000, totalBytes: 4096, bytesPerSecond: null });
    reader.onLine('12:00:01\t3000\ttank/a@s1', instant(3000));
    expect(reader.progress).toEqual({ bytes: 3000, totalBytes: 4096, bytesPerSecond: 2000 });
    reader.onLine('12:00:02\t3000\ttank/a@s1', instant(4000));
    expect(reader.progress.bytesPerSecond).toBe(1400);
    expect(reader.complaint).toBe('warning: cannot send\n');
  });

  it('of a run is added up: ZFS counts each snapshot from nothing', () => {
    const reader = new ProgressReader();
    const lines = [
      ...['incremental\ts1\ttank/a@s2\t2000', 'incremental\ts2\ttank/a@s3\t3000', 'size\t5000'],
      ...['12:00:00\t1500\ttank/a@s2', '12:00:01\t2000\ttank/a@s2', '12:00:02\t500\ttank/a@s3'],
    ];
    for (const [at, line] of lines.entries()) reader.onLine(line, instant(at * 1000));
    expect(reader.progress).toMatchObject({ bytes: 2500, totalBytes: 5000, bytesPerSecond: 500 });
    expect(reader.complaint).toBe('');
  });

  it('of a flood of words keeps the last', () => {
    const reader = new ProgressReader();
    for (let count = 0; count < 1000; count++) reader.onLine(`complaint ${count}`, instant(count));
    expect(reader.complaint.length).toBeLessThanOrEqual(2000);
    expect(reader.complaint).toContain('complaint 999');
  });
});

it('commands: raw where encrypted, compressed where not, by the token where it goes on', () => {
  const step = { dataset: 'tank/a', snapshot: 's2', isRaw: false } as const;
  const said = (words: readonly string[]): string => words.join(' ');
  expect(said(sendCommand({ kind: 'full', ...step }))).toBe('zfs send -L -e -c -v -P tank/a@s2');
  expect(said(sendCommand({ kind: 'incremental', from: '#quorate-7', ...step, isRaw: true }))).toBe(
    'zfs send -w -v -P -i #quorate-7 tank/a@s2',
  );
  expect(said(sendCommand({ kind: 'incremental', from: '@s0', ...step, between: ['s1'] }))).toBe(
    'zfs send -L -e -c -v -P -I @s0 tank/a@s2',
  );
  expect(said(sendCommand({ kind: 'resume', ...step, token: '1-abc' }))).toBe('zfs send -v -P -t 1-abc');
});

describe('the board', () => {
  it('tells changes in pieces that fit into a line, and the view has the same', () => {
    const board = new Board();
    const view = new BoardView();
    const tell = (): number => {
      const reports = [...board.take()];
      for (const report of reports) {
        const text = JSON.stringify(reportSchema.parse(report));
        expect(text.length).toBeLessThan(60_000);
        view.apply(JSON.parse(text));
      }
      return reports.length;
    };
    board.setRound({ number: 1, startedAt: 5 });
    const long = 'tank/'.padEnd(250, 'x');
    for (let count = 0; count < 100; count++)
      board.set(`${long}${count}`, { why: 'y'.repeat(5000), periodMs: 60_000 });
    expect(tell()).toBe(5);
    expect(tell()).toBe(0);
    board.fail(`${long}7`, 9, 'it broke\nin two lines');
    board.retain((name) => name !== `${long}8`);
    expect(tell()).toBe(1);
    expect(view.datasets).toHaveLength(99);
    expect(view.datasets.find(({ dataset }) => dataset === `${long}7`)).toMatchObject({
      state: 'failed',
      failures: 1,
      lastError: { at: 9, why: 'it broke in two lines' },
    });
    expect(view.round).toEqual({ number: 1, startedAt: 5, problem: null });
    // A new one knows nothing of what its predecessor has told.
    for (const report of new Board().take()) view.apply(report);
    expect(view.datasets).toEqual([]);
  });
});
