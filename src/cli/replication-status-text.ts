/** How far each copy is, within the columns of a terminal: what needs somebody first. */
import type { ReplicationDocument } from '../admin/index.ts';
import { formatDuration } from '../config/index.ts';
import { agoText, lagMs, progressText } from '../pool-copies.ts';
import { type Cell, type Colour, type Paint, TERMINAL_COLUMNS, table, wrap } from './output.ts';

type Dataset = ReplicationDocument['datasets'][number];
type State = Dataset['state'];

const COLOURS: Readonly<Record<State, Colour>> = {
  conflict: 'red',
  failed: 'red',
  unknown: 'yellow',
  sending: 'yellow',
  waiting: 'yellow',
  current: 'green',
};
const ORDER = Object.keys(COLOURS) as readonly State[];
const INDENT = 2;

/** `nowMs`: of the node's clock, as far as that is known here. */
export function renderReplication(document: ReplicationDocument, nowMs: number, paint: Paint): string[] {
  const { cluster, observer, holder, to, isSending, round, datasets, omitted } = document;
  if (!isSending) {
    const who = holder === null ? 'nobody holds' : `ask ${holder}, which holds`;
    return wrap(
      `${cluster}: ${observer} does not send: ${holder === observer ? 'its takeover is not complete' : who}`,
      TERMINAL_COLUMNS,
    );
  }
  const began = round.startedAt === null ? 'not begun yet' : `${agoText(nowMs - round.startedAt)} ago`;
  const sorted = ORDER.flatMap((state) => datasets.filter((one) => one.state === state));
  const rows = sorted.map((one): Cell[] => [
    { text: one.state, colour: COLOURS[one.state] },
    { text: one.dataset },
    { text: lag(one, nowMs) },
    { text: formatDuration(one.periodMs) },
    { text: one.progress === null ? '' : progressText(one.progress) },
  ]);
  const head = ['', 'dataset', 'lag', 'every', 'now'].map((text): Cell => ({ text, colour: 'dim' }));
  return [
    ...wrap(`${cluster}: from ${observer} to ${to}, round ${round.number}, ${began}`, TERMINAL_COLUMNS),
    ...(round.problem === null
      ? []
      : wrap(`! ${round.problem}`, TERMINAL_COLUMNS).map((line) => paint('red', line))),
    ...(rows.length === 0 ? ['no dataset yet'] : table([head, ...rows], paint)),
    ...(omitted === 0 ? [] : [`and ${omitted} more`]),
    ...sorted.flatMap((one) => notes(one, nowMs)),
  ];
}

/** Of what goes well nothing is said but its line. */
function notes({ dataset, state, why, lastError }: Dataset, nowMs: number): readonly string[] {
  const needsWords = state === 'conflict' || state === 'failed' || state === 'unknown' || state === 'waiting';
  const error =
    lastError === null || (state === 'failed' && lastError.why === why)
      ? []
      : [`${dataset}: ${agoText(nowMs - lastError.at)} ago: ${lastError.why}`];
  return [...(needsWords ? [`${dataset}: ${why}`] : []), ...error].flatMap((text) => {
    const [first = '', ...more] = wrap(text, TERMINAL_COLUMNS - INDENT);
    return [first, ...more.map((line) => `${' '.repeat(INDENT)}${line}`)];
  });
}

/** Age of the newest snapshot that both have. */
function lag({ common }: Dataset, nowMs: number): string {
  if (common === null) return 'no copy';
  return common.takenAt === null ? '?' : agoText(lagMs(common.takenAt, nowMs));
}
