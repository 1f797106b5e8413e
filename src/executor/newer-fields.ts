/**
 * Fields of events that came after version 1 of the channel. An agent of before drops the connection at one that it does not know,
 * which ends its tenure (O1): so they are left out unless the agent has said that it reads them.
 */
import type { SentEvent } from './protocol.ts';

/** `copy-of`: GUID and dataset of a complete copy's snapshot, in `copies-read`; `replication-kept`: `kept` of a report. */
export const NEWER_FIELDS = ['copy-of', 'replication-kept'] as const;
export type NewerField = (typeof NEWER_FIELDS)[number];

/** The event as an agent reads it that knows these fields only. */
export function asKnown(event: SentEvent, known: ReadonlySet<string>): SentEvent {
  const knows = (field: NewerField): boolean => known.has(field);
  if (event.kind === 'copies-read' && !knows('copy-of'))
    return { ...event, copies: event.copies.map(withoutOf) };
  if (event.kind === 'replication' && event.report.kept !== undefined && !knows('replication-kept')) {
    const { kept: _, ...report } = event.report;
    return { ...event, report };
  }
  return event;
}

type CopyWords = Extract<SentEvent, { kind: 'copies-read' }>['copies'][number];

function withoutOf(words: CopyWords): CopyWords {
  if (words.kind !== 'read' || words.complete === null) return words;
  const { of: _, ...complete } = words.complete;
  return { ...words, complete };
}
