import type { NodeStatus, ResourceStatus, StatusDocument } from '../admin/index.ts';
import { DEGRADED } from '../degraded.ts';
import { isPoolInTrouble, poolSentence } from '../pool-copies.ts';
import { resyncSentence } from '../resync.ts';
import { scheduledSentence } from '../scheduled.ts';
import {
  type Cell,
  type Colour,
  clip,
  humanMs,
  type Paint,
  TERMINAL_COLUMNS,
  table,
  wrap,
} from './output.ts';

/** The lines of `quorate status`, at most 80 columns wide. */
/** @param wallMs null: without ages, where the lines stay while time goes by */
export function renderStatus(status: StatusDocument, paint: Paint, wallMs: number | null): string[] {
  const { lastTakeover } = status;
  return [
    ...summary(status, paint),
    ...scheduledLines(status, paint),
    ...status.resync.flatMap((one) =>
      wrap(resyncSentence(one), TERMINAL_COLUMNS).map((line) =>
        paint('yellow', clip(line, TERMINAL_COLUMNS)),
      ),
    ),
    ...status.replication.flatMap((pool) => poolLines(pool, wallMs, paint)),
    ...status.resources.flatMap((resource) => degradedLines(resource, paint)),
    ...status.warnings.flatMap((warning) =>
      wrap(`warning: ${warning}`, TERMINAL_COLUMNS).map((line) => paint('yellow', line)),
    ),
    '',
    ...table(
      [header('NODE', 'KIND', 'ZONE', 'ROLE', 'DATA', 'LOG', 'CHAIN'), ...status.nodes.map(nodeRow)],
      paint,
    ),
    ...(status.resources.length === 0
      ? []
      : [
          '',
          ...table(
            [header('RESOURCE', 'KIND', 'STATE', 'DETAIL'), ...status.resources.map(resourceRow)],
            paint,
          ),
        ]),
    ...(lastTakeover === null ? [] : ['', ...takeoverLines(lastTakeover, paint)]),
  ];
}

function summary(status: StatusDocument, paint: Paint): string[] {
  const holder =
    status.holder === null
      ? paint('red', 'nobody holds')
      : paint('green', `${status.holder} holds${status.epoch === null ? '' : ` (epoch ${status.epoch})`}`);
  const leader =
    status.leader === null ? paint('red', 'no leader') : `${status.leader} leads term ${status.term}`;
  const { remainingMs } = status.lease;
  const notes = [
    ...(status.quorum === false ? [paint('red', 'no quorum')] : []),
    ...(status.paused ? [paint('yellow', 'paused: no automatic takeover')] : []),
    ...(remainingMs === null ? [] : [`lease ${humanMs(remainingMs)}`]),
    `${status.commitIndex} entries committed`,
  ];
  return [
    `${paint('bold', clip(status.cluster, 40))}: ${holder}, ${leader}`,
    paint('dim', `as ${status.observer} sees it: `) + notes.join(', '),
  ];
}

function scheduledLines({ scheduled }: StatusDocument, paint: Paint): string[] {
  if (scheduled === null) return [];
  const colour = scheduled.state === 'ended' ? 'red' : 'yellow';
  return wrap(scheduledSentence(scheduled), TERMINAL_COLUMNS).map((line) => paint(colour, line));
}

function poolLines(
  pool: StatusDocument['replication'][number],
  wallMs: number | null,
  paint: Paint,
): string[] {
  const lines = wrap(`replication: ${poolSentence(pool, wallMs)}`, TERMINAL_COLUMNS);
  return isPoolInTrouble(pool) ? lines.map((line) => paint('yellow', line)) : lines;
}

/** H6: the one thing that somebody has to do something about. */
function degradedLines({ detail }: ResourceStatus, paint: Paint): string[] {
  if (detail?.startsWith(DEGRADED) !== true) return [];
  return wrap(detail, TERMINAL_COLUMNS).map((line) => paint('red', line));
}

const header = (...titles: string[]): Cell[] => titles.map((text) => ({ text, colour: 'dim' }));

const NODE_COLOURS: Readonly<Partial<Record<string, Colour>>> = {
  leader: 'green',
  unreachable: 'red',
  damaged: 'red',
  candidate: 'yellow',
  caretaker: 'yellow',
};

function nodeRow(node: NodeStatus): Cell[] {
  const role = node.reachable === false ? 'unreachable' : (node.role ?? 'unknown');
  const colour = NODE_COLOURS[role];
  return [
    { text: node.id },
    { text: node.kind },
    { text: node.zone ?? '-' },
    { text: node.standby ? `${role}, standby` : role, ...(colour === undefined ? {} : { colour }) },
    dataCell(node),
    { text: node.matchIndex === null ? '?' : String(node.matchIndex) },
    { text: node.chain === null ? '?' : node.chain.slice(0, 12) },
  ];
}

function dataCell(node: NodeStatus): Cell {
  if (node.kind === 'witness') return { text: '-' };
  if (node.inSync === null) return { text: 'unknown', colour: 'yellow' };
  return node.inSync ? { text: 'in sync' } : { text: 'outdated', colour: 'red' };
}

const PROBE_COLOURS: Readonly<Record<ResourceStatus['probe'], Colour>> = {
  held: 'green',
  'not-held': 'dim',
  unknown: 'yellow',
};

function resourceRow(resource: ResourceStatus): Cell[] {
  return [
    { text: resource.name },
    { text: resource.kind },
    { text: resource.probe, colour: PROBE_COLOURS[resource.probe] },
    { text: resource.detail ?? '' },
  ];
}

function takeoverLines(takeover: NonNullable<StatusDocument['lastTakeover']>, paint: Paint): string[] {
  const facts = [
    `last takeover: epoch ${takeover.epoch}`,
    ...(takeover.reason === null ? [] : [takeover.reason]),
    ...(takeover.startedAt === null ? [] : [takeover.startedAt]),
    ...(takeover.totalMs === null ? [] : [humanMs(takeover.totalMs)]),
  ];
  const steps = takeover.steps.map((step): Cell[] => [
    { text: `  ${step.name}` },
    { text: humanMs(step.ms) },
    { text: step.result },
  ]);
  return [clip(facts.join(', '), TERMINAL_COLUMNS), ...table(steps, paint)];
}
