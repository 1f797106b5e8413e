/** The plan for people: what needs them first, each dataset with its reason. */
import { assertNever } from '../core/index.ts';
import type { DiscoverDocument, DiscoveredTask } from '../replication/index.ts';
import { type Colour, humanBytes, type Paint, TERMINAL_COLUMNS, wrap } from './output.ts';

type Word = DiscoveredTask['decision'];

const ORDER: readonly Word[] = [
  'conflict',
  'resume',
  'full',
  'incremental',
  'bookmark',
  'nothing',
  'excluded',
];

const WORDS: Readonly<Record<Word, { readonly text: string; readonly colour: Colour }>> = {
  conflict: { text: 'CONFLICT', colour: 'red' },
  resume: { text: 'resume', colour: 'yellow' },
  full: { text: 'full', colour: 'yellow' },
  incremental: { text: 'incremental', colour: 'yellow' },
  bookmark: { text: 'bookmark', colour: 'yellow' },
  nothing: { text: 'nothing', colour: 'green' },
  excluded: { text: 'excluded', colour: 'dim' },
};

const INDENT = 13;

export function renderDiscovery(document: DiscoverDocument, paint: Paint): string[] {
  return [
    ...wrap(`${document.cluster}: ${directionText(document)}`, TERMINAL_COLUMNS),
    ...document.pools.flatMap((pool) => ['', ...poolLines(pool, paint)]),
    '',
    ...wrap('Nothing was changed. How far it is: "quorate replication status".', TERMINAL_COLUMNS),
  ];
}

function directionText({ from, to, because }: DiscoverDocument): string {
  const way = `from ${from} to ${to}`;
  switch (because) {
    case 'holds':
      return `${way}, because ${from} holds`;
    case 'asked':
      return `${way}, as asked`;
    case 'assumed':
      return `${way}, assumed: nobody is known to hold`;
    default:
      return assertNever(because);
  }
}

function poolLines({ pool, state, why, tasks }: DiscoverDocument['pools'][number], paint: Paint): string[] {
  if (state !== 'planned')
    return hanging(`${state}`.padEnd(INDENT), state === 'by-drbd' ? 'dim' : 'red', `${pool}: ${why}`, paint);
  const bytes = tasks.reduce((sum, task) => sum + task.bytes, 0);
  const counts = ORDER.flatMap((word) => {
    const count = tasks.filter(({ decision }) => decision === word).length;
    return count === 0 ? [] : [`${count} ${word}`];
  });
  const sorted = ORDER.flatMap((word) => tasks.filter(({ decision }) => decision === word));
  return [
    ...wrap(`${pool}: ${counts.join(', ')}; ${humanBytes(bytes)} to send`, TERMINAL_COLUMNS),
    ...sorted.flatMap((task) => taskLines(task, paint)),
  ];
}

function taskLines(task: DiscoveredTask, paint: Paint): string[] {
  const { dataset, renamedFrom, decision, why, bytes, warnings } = task;
  const { text, colour } = WORDS[decision];
  const name = renamedFrom === null ? dataset : `${dataset} (until now ${renamedFrom})`;
  const size = bytes === 0 ? '' : `, ${humanBytes(bytes)}`;
  return [
    ...hanging(text.padEnd(INDENT), colour, `${name}${size}: ${why}`, paint),
    ...warnings.flatMap((warning) => hanging(''.padEnd(INDENT), 'yellow', `! ${warning}`, paint)),
  ];
}

function hanging(label: string, colour: Colour, text: string, paint: Paint): string[] {
  const [first = '', ...more] = wrap(text, TERMINAL_COLUMNS - INDENT);
  return [`${paint(colour, label)}${first}`, ...more.map((line) => `${' '.repeat(INDENT)}${line}`)];
}
