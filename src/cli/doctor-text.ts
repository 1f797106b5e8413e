/** The report for people: what failed first, with its remedy; what is good in one line each. */
import type { DoctorReport, ReportedFinding, Result, TimingAdvice, TimingSet } from '../doctor/index.ts';
import { type Colour, humanMs, type Paint, TERMINAL_COLUMNS, wrap } from './output.ts';

const ORDER: readonly Result[] = ['failed', 'unknown', 'warning', 'ok', 'skipped'];

const WORDS: Readonly<Record<Result, { readonly text: string; readonly colour: Colour }>> = {
  failed: { text: 'FAILED', colour: 'red' },
  unknown: { text: 'unknown', colour: 'yellow' },
  warning: { text: 'warning', colour: 'yellow' },
  ok: { text: 'ok', colour: 'green' },
  skipped: { text: 'skipped', colour: 'dim' },
};

const INDENT = 9;

export function renderReport(cluster: string, report: DoctorReport, paint: Paint): string[] {
  const sorted = ORDER.flatMap((result) => report.checks.filter((finding) => finding.result === result));
  return [
    headline(cluster, report, paint),
    '',
    ...sorted.flatMap((finding) => findingLines(finding, paint)),
    ...(report.advice.timing === null ? [] : ['', ...adviceLines(report.advice.timing, paint)]),
  ];
}

function headline(cluster: string, report: DoctorReport, paint: Paint): string {
  const counts = ORDER.flatMap((result) => {
    const count = report.checks.filter((finding) => finding.result === result).length;
    const { text, colour } = WORDS[result];
    return count === 0 ? [] : [paint(colour, `${count} ${text.toLowerCase()}`)];
  });
  return `${paint('bold', cluster)}, node ${report.node}: ${counts.join(', ')}`;
}

function findingLines({ name, subject, result, detail, remedy }: ReportedFinding, paint: Paint): string[] {
  const { text, colour } = WORDS[result];
  const [first = '', ...more] = wrap(`${name}: ${subject}: ${detail}`, TERMINAL_COLUMNS - INDENT);
  const pad = ' '.repeat(INDENT);
  // A remedy of several steps has a line for each: commands are to be copied.
  const advice =
    remedy === null
      ? []
      : `→ ${remedy}`
          .split('\n')
          .flatMap((line) => (line.startsWith(' ') ? line : wrap(line, TERMINAL_COLUMNS - INDENT)));
  return [
    `${paint(colour, text.padEnd(INDENT))}${first}`.trimEnd(),
    ...more.map((line) => `${pad}${line}`),
    ...advice.map((line) => `${pad}${paint('dim', line)}`),
  ];
}

function adviceLines(advice: TimingAdvice, paint: Paint): string[] {
  const { current, proposed } = advice;
  const head =
    proposed === null
      ? `timing: ${paint('green', 'keep')} ${setText(current)}`
      : `timing: ${paint('yellow', 'change')} to ${setText(proposed)}`;
  const before = proposed === null ? [] : wrap(`now ${setText(current)}`, TERMINAL_COLUMNS - 2);
  return [
    ...wrap(head, TERMINAL_COLUMNS),
    ...[...before, ...advice.reasons.flatMap((reason) => wrap(`- ${reason}`, TERMINAL_COLUMNS - 2))].map(
      (line) => `  ${line}`,
    ),
  ];
}

const setText = ({ heartbeatMs, leaseMs, releaseMs, promiseMs, outageMs }: TimingSet): string =>
  `heartbeat ${humanMs(heartbeatMs)}, lease ${humanMs(leaseMs)}, release ${humanMs(releaseMs)} (promise ${humanMs(promiseMs)}, outage about ${humanMs(outageMs)})`;
