/** The runner and the report: limits, order, what counts as failed, what has changed. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { CHECKS, checksNamed, HARMLESS_CHECKS } from '../../src/doctor/checks.ts';
import type { Check } from '../../src/doctor/context.ts';
import {
  changesSince,
  type DoctorReport,
  type Finding,
  failed,
  ok,
  type Result,
  unknown,
  WHOLE_CHECK,
  warning,
} from '../../src/doctor/report.ts';
import { runDoctor } from '../../src/doctor/run.ts';
import { contextOf } from './support.ts';

const real = () => ({ ...contextOf(), clock: systemClock });

function check(name: string, run: Check['run'], parts: Partial<Check> = {}): Check {
  return { name, about: '', isAlone: false, isHarmless: true, limitMs: 5000, run, ...parts };
}
const says = (name: string, ...findings: Finding[]): Check => check(name, async () => findings);

describe('a run', () => {
  it('is the document of --json, in the order of the checks', async () => {
    const report = await runDoctor(real(), [
      says('one', ok('x', 'good')),
      says('two', failed('y', 'bad', 'mend it'), warning('z', 'hm', 'think')),
    ]);
    expect(report).toEqual({
      node: 'a',
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      ok: false,
      checks: [
        { name: 'one', subject: 'x', result: 'ok', detail: 'good', remedy: null, ms: expect.any(Number) },
        {
          name: 'two',
          subject: 'y',
          result: 'failed',
          detail: 'bad',
          remedy: 'mend it',
          ms: expect.any(Number),
        },
        {
          name: 'two',
          subject: 'z',
          result: 'warning',
          detail: 'hm',
          remedy: 'think',
          ms: expect.any(Number),
        },
      ],
      advice: { timing: null },
    });
  });

  it('does not fail for warnings, and not for what is unknown, which stays unknown', async () => {
    const report = await runDoctor(real(), [says('one', warning('x', 'hm', 'think'), unknown('y', '?'))]);
    expect(report.ok).toBe(true);
    expect(report.checks.map(({ result }) => result)).toEqual(['warning', 'unknown']);
  });

  it('goes on without a check that hangs, and says that it is unknown', async () => {
    let wasTold = false;
    const hanging = check(
      'hangs',
      ({ signal }) => {
        signal.addEventListener('abort', () => {
          wasTold = true;
        });
        return new Promise(() => undefined);
      },
      { limitMs: 50 },
    );
    const report = await runDoctor(real(), [hanging, says('one', ok('x', 'good'))]);
    expect(report.checks.map(({ name, subject, result }) => [name, subject, result])).toEqual([
      ['hangs', WHOLE_CHECK, 'unknown'],
      ['one', 'x', 'ok'],
    ]);
    expect(wasTold).toBe(true);
  });

  it('goes on without a check that breaks', async () => {
    const report = await runDoctor(real(), [
      check('breaks', async () => {
        throw new TypeError('no such thing');
      }),
      check('breaks at once', () => {
        throw new TypeError('nor this');
      }),
    ]);
    expect(report.ok).toBe(true);
    expect(report.checks.map(({ result, detail }) => [result, detail])).toEqual([
      ['unknown', 'broke: no such thing'],
      ['unknown', 'broke: nor this'],
    ]);
  });

  it('runs those that measure first and alone, and the others side by side', async () => {
    const seen: string[] = [];
    const step = (name: string, isAlone: boolean): Check =>
      check(
        name,
        async () => {
          seen.push(`${name} begins`);
          await systemClock.sleep(5);
          seen.push(`${name} ends`);
          return [];
        },
        { isAlone },
      );
    await runDoctor(real(), [step('b', false), step('c', false), step('m', true), step('n', true)]);
    expect(seen.slice(0, 4)).toEqual(['m begins', 'm ends', 'n begins', 'n ends']);
    expect(seen.slice(4, 6)).toEqual(['b begins', 'c begins']);
  });

  it('lets nothing through that moves a cursor, and nothing endless', async () => {
    const report = await runDoctor(real(), [says('one', ok('x', `a\u001b[2Jb\nc${'d'.repeat(10_000)}`))]);
    expect(report.checks[0]?.detail).toMatch(/^a \[2Jb cd+$/);
    expect(report.checks[0]?.detail.length).toBeLessThanOrEqual(600);
  });
});

describe('the list of checks', () => {
  it('has names that can be given to --checks', () => {
    const names = CHECKS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(checksNamed(['drbd', 'clock']).map(({ name }) => name)).toEqual(['clock', 'drbd']);
    expect(() => checksNamed(['clocks'])).toThrow(/no check "clocks".*versions, clock/);
  });

  it('leaves out of the timer what is not harmless', () => {
    expect(CHECKS.filter((one) => !HARMLESS_CHECKS.includes(one)).map(({ name }) => name)).toEqual([
      'members',
      'replication',
      'releases',
    ]);
  });
});

describe('what has changed', () => {
  const report = (
    ...checks: readonly (readonly [name: string, subject: string, result: Result])[]
  ): DoctorReport => ({
    node: 'a',
    at: '',
    ok: true,
    checks: checks.map(([name, subject, result]) => ({
      name,
      subject,
      result,
      detail: '',
      remedy: null,
      ms: 0,
    })),
    advice: { timing: null },
  });
  const names = (findings: readonly { readonly name: string; readonly subject: string }[]): string[] =>
    findings.map(({ name, subject }) => `${name} ${subject}`);
  const after = (...reports: readonly DoctorReport[]) => {
    let changes = changesSince([], report());
    for (const one of reports) changes = changesSince(changes.standing, one);
    return {
      failed: names(changes.failed),
      healed: names(changes.healed),
      standing: names(changes.standing),
    };
  };
  const bad = report(['disk', 'sync', 'failed']);

  it.each([
    ['a first failure is new', [bad], { failed: ['disk sync'], healed: [], standing: ['disk sync'] }],
    ['the same failure is not', [bad, bad], { failed: [], healed: [], standing: ['disk sync'] }],
    [
      'good again has healed',
      [bad, report(['disk', 'sync', 'ok'])],
      { failed: [], healed: ['disk sync'], standing: [] },
    ],
    [
      'so has a warning, which does not fail',
      [bad, report(['disk', 'sync', 'warning'])],
      { failed: [], healed: ['disk sync'], standing: [] },
    ],
    [
      'H4: what cannot be seen has not healed',
      [bad, report(['disk', 'sync', 'unknown'])],
      { failed: [], healed: [], standing: ['disk sync'] },
    ],
    [
      'nor when the whole check did not end',
      [bad, report(['disk', WHOLE_CHECK, 'unknown'])],
      { failed: [], healed: [], standing: ['disk sync'] },
    ],
    ['nor when it did not run', [bad, report()], { failed: [], healed: [], standing: ['disk sync'] }],
    [
      'what a check no longer speaks of is gone',
      [bad, report(['disk', 'free space', 'ok'])],
      { failed: [], healed: ['disk sync'], standing: [] },
    ],
    [
      'and it can fail again',
      [bad, report(['disk', 'sync', 'ok']), bad],
      { failed: ['disk sync'], healed: [], standing: ['disk sync'] },
    ],
    [
      'unknown alone is no failure',
      [report(['disk', 'sync', 'unknown'])],
      { failed: [], healed: [], standing: [] },
    ],
  ])('%s', (_what, reports, expected) => {
    expect(after(...reports)).toEqual(expected);
  });
});
