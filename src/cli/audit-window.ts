/** `--since`, `--until` and `--node` of `quorate audit`: texts → the window, or why they are none. */
import type { Entry, NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { AuditDocument, AuditWindow } from '../state/index.ts';
import { parseNodeOption } from './node-option.ts';

export interface WindowOptions {
  readonly since?: string;
  readonly until?: string;
  readonly node?: string;
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };
const DAY_MS = 86_400_000;
const DURATION = /^(\d{1,6}(?:\.\d{1,3})?)(s|min|h|d)$/;
const INSTANT = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)(Z|[+-]\d{2}:\d{2})?)?$/;
const FORMS =
  'write a time as 2026-01-02T03:04:05Z (UTC where no zone is given), a day as 2026-01-02, or how long ago as 90min (s, min, h, d)';

/** @param nowMs what "90min" is counted back from, in ms since 1970 */
export function readWindow(options: WindowOptions, nowMs: number): AuditWindow {
  const since = options.since === undefined ? null : readMoment('--since', options.since, nowMs, 'begin');
  const until = options.until === undefined ? null : readMoment('--until', options.until, nowMs, 'end');
  if (since !== null && until !== null && since > until)
    throw new QuorateError('usage', `--since ${options.since} is later than --until ${options.until}`);
  return {
    since,
    until,
    node: options.node === undefined ? null : parseNodeOption('--node', options.node),
  };
}

/** A node that the log has never named is a slip, and must not look like a node to which nothing happened. */
export function checkNode(window: AuditWindow, known: ReadonlySet<NodeId>): void {
  if (window.node === null || known.has(window.node)) return;
  const names = known.size === 0 ? 'it names none' : `it names ${[...known].sort().join(', ')}`;
  throw new QuorateError('usage', `--node ${window.node}: the log names no such node; ${names}`);
}

/** A day alone is its first instant for `--since`, its last for `--until`. */
function readMoment(option: string, text: string, nowMs: number, side: 'begin' | 'end'): number {
  const ago = durationIn(text);
  if (ago !== null) return nowMs - ago;
  const { midnight, at } = instantIn(option, text, FORMS);
  if (at !== null) return at;
  return side === 'begin' ? midnight : midnight + DAY_MS - 1;
}

/** A point in time, to the minute at least. */
export function readInstant(option: string, text: string): number {
  const forms = 'write it as 2026-01-02T03:04:05Z (UTC where no zone is given)';
  const { at } = instantIn(option, text, forms);
  if (at === null) throw refusal(option, text, 'has no time of the day', forms);
  return at;
}

export function readDuration(option: string, text: string): number {
  const ms = durationIn(text);
  if (ms === null) throw refusal(option, text, 'is not a duration', 'write it as 90min (s, min, h, d)');
  return ms;
}

function durationIn(text: string): number | null {
  const [, count, unit = ''] = DURATION.exec(text) ?? [];
  return count === undefined ? null : Number(count) * (UNIT_MS[unit] ?? Number.NaN);
}

/** `at` null: a day alone. */
function instantIn(option: string, text: string, forms: string) {
  const [, day, time, zone = 'Z'] = INSTANT.exec(text) ?? [];
  if (day === undefined) throw refusal(option, text, 'is not a time', forms);
  const midnight = Date.parse(`${day}T00:00Z`);
  // Some dates that no calendar has are moved to the next month instead of being refused.
  if (!Number.isFinite(midnight) || !new Date(midnight).toISOString().startsWith(day))
    throw refusal(option, text, 'is not in the calendar', forms);
  if (time === undefined) return { midnight, at: null };
  const at = Date.parse(`${day}T${time}${zone}`);
  if (!Number.isFinite(at)) throw refusal(option, text, 'is not a time of the day', forms);
  return { midnight, at };
}

const refusal = (option: string, text: string, why: string, forms: string): QuorateError =>
  new QuorateError('usage', `${option}: ${JSON.stringify(text.slice(0, 60))} ${why}; ${forms}`);

/** For people: what is shown and what is not; empty for the whole log. */
export function windowSentences({ window, chain }: AuditDocument): string[] {
  if (window === undefined) return [];
  const { since, until, node, leftOut } = window;
  const span =
    since === null && until === null
      ? []
      : [`from ${since ?? 'the beginning'} to ${until ?? 'the end of the log'}`];
  const asked = [...span, ...(node === null ? [] : [`only what concerns ${node}, or no node in particular`])];
  const counted = (count: number, one: string, more: string): string[] =>
    count === 0 ? [] : [`${count} ${count === 1 ? one : more}`];
  const missing = [
    ...(leftOut.entries === 0 ? [] : [`${leftOut.entries} of ${chain.entries} entries`]),
    ...counted(leftOut.terms, 'election', 'elections'),
    ...counted(leftOut.tenures, 'tenure', 'tenures'),
    ...counted(leftOut.operators, "operator's action", "operators' actions"),
  ];
  return [
    `Shown: ${asked.join(', ')}.`,
    `Left out: ${missing.length === 0 ? 'nothing' : missing.join(', ')}. The chain and the violations are of the whole log.`,
  ];
}

/** Every node that the log names. */
export function nodesOf(entries: readonly Entry[]): Set<NodeId> {
  const nodes = new Set<NodeId>();
  for (const { body } of entries) {
    const named =
      body.kind === 'config'
        ? [...body.members.map(({ id }) => id), ...body.removed]
        : body.kind === 'elected'
          ? [body.leader, ...body.votes]
          : 'node' in body
            ? [body.node]
            : [];
    for (const node of named) nodes.add(node);
  }
  return nodes;
}
