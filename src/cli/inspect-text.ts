/** What was seen, as lines for people. */
import type { Inspected } from '../admin/index.ts';
import { describe, type InspectItem } from '../inspect/index.ts';
import { clip, humanMs, type Paint } from './output.ts';

/** Time, direction, other end, kind, size, latency; what follows is what was said. */
const WIDTHS = { end: 9, kind: 16, bytes: 7, latency: 8 } as const;
const HEAD_COLUMNS = 'HH:MM:SS.mmm'.length + WIDTHS.end + WIDTHS.kind + WIDTHS.bytes + WIDTHS.latency + 10;

export function inspectHeading(paint: Paint): string {
  const { end, kind, bytes, latency } = WIDTHS;
  const columns = `${'TIME'.padEnd(12)}  ${'OTHER END'.padEnd(end + 2)}  ${'KIND'.padEnd(kind)}  ${'BYTES'.padStart(bytes)}  ${'LATENCY'.padStart(latency)}  WHAT`;
  return paint('dim', columns);
}

/** `columns`: of the terminal; null where nothing is cut off. */
export function inspectLine(item: Inspected, paint: Paint, columns: number | null): string {
  if ('dropped' in item) return paint('red', missingSentence(item.dropped));
  const { end, kind, bytes, latency } = WIDTHS;
  const isBad = item.outcome !== null && item.outcome !== 'ok';
  const arrow = item.direction === 'sent' ? '→' : '←';
  const what = describe(item);
  const line = [
    timeOf(item.atMs),
    `${arrow} ${clip(otherEnd(item), end).padEnd(end)}`,
    // Calls have long names: they take from the room in front of the size.
    item.kind + (item.bytes === null ? '' : ` ${item.bytes}`).padStart(kind + 2 + bytes - item.kind.length),
    (item.latencyMs === null ? '' : humanMs(item.latencyMs)).padStart(latency),
    columns === null ? what : clip(what, Math.max(20, columns - HEAD_COLUMNS)),
  ]
    .join('  ')
    .trimEnd();
  return isBad ? paint('yellow', line) : line;
}

export const missingSentence = (count: number): string =>
  `… ${count} ${count === 1 ? 'message is' : 'messages are'} missing here: this viewer did not keep up`;

function otherEnd({ channel, peer, detail }: InspectItem): string {
  if (channel === 'peer') return peer ?? '?';
  return channel === 'executor' ? 'executor' : String(detail.service ?? 'cloud');
}

/** UTC, as in the log and in the audit. */
const timeOf = (atMs: number): string => new Date(atMs).toISOString().slice(11, 23);

/** One JSON document of one line. */
export function inspectJson(item: Inspected): string {
  if ('dropped' in item) return JSON.stringify({ dropped: item.dropped });
  const { atMs, channel, direction, peer, kind, bytes, latencyMs, outcome, detail } = item;
  const at = new Date(atMs).toISOString();
  const latency = latencyMs === null ? null : Number(latencyMs.toFixed(3));
  return JSON.stringify({ at, channel, direction, peer, kind, bytes, latencyMs: latency, outcome, detail });
}
