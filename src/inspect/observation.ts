/**
 * One thing seen, as it waits for a viewer: cheap to make, because it is made on the way of a message. It keeps what the
 * agent has anyway; of the entries of an append and of the readings of pools it keeps only how much there was.
 */
import type { Append, Instant, Message } from '../core/index.ts';
import type { CallReport, ExecutorEvent, SeenOrder, SeenReport } from '../executor/index.ts';
import type { SeenMessage } from '../peer/index.ts';
import type { Channel, Direction } from './kinds.ts';

export interface Observation {
  /** CLOCK_MONOTONIC of the host, ms. */
  readonly at: Instant;
  readonly channel: Channel;
  readonly direction: Direction;
  /** Null: no node is at the other end. */
  readonly peer: string | null;
  readonly kind: string;
  /** Null: not known, or never encoded. */
  readonly bytes: number | null;
  /** Of an answer: since what it answers; null where that was not seen, or there is no such thing. */
  readonly latencyMs: number | null;
  /** Null: it left, or arrived, and that is all. */
  readonly outcome: string | null;
  /** The fields of it; not yet fit to be shown. */
  readonly content: object | null;
  /** What it keeps in memory, roughly, in bytes. */
  readonly weight: number;
}

/** Memory of an observation without its texts. */
const BASE_WEIGHT = 300;

export function ofMessage(seen: SeenMessage, at: Instant, latencyMs: number | null): Observation {
  const { direction, peer, kind, bytes, outcome, message } = seen;
  const content = message === null ? null : withoutPayload(message);
  const isSmall = message === null || message.kind === 'append';
  const weight = BASE_WEIGHT + (isSmall ? 0 : (bytes ?? 0));
  return { at, channel: 'peer', direction, peer, kind, bytes, latencyMs, outcome, content, weight };
}

export function ofLine(seen: SeenOrder | SeenReport, at: Instant, latencyMs: number | null): Observation {
  const { direction, content, bytes, outcome } = seen;
  return {
    at,
    channel: 'executor',
    direction,
    peer: null,
    kind: content.kind,
    bytes,
    latencyMs,
    outcome,
    content: content.kind === 'pools-read' ? countedPools(content) : content,
    weight: BASE_WEIGHT + (content.kind === 'pools-read' ? 0 : bytes),
  };
}

export function ofCall({ at, direction, name, bytes, latencyMs, outcome, ...rest }: CallReport): Observation {
  const { client, id, attempts } = rest;
  const content = { service: client.replace(/Client$/, ''), call: id, attempts };
  const weight = BASE_WEIGHT;
  return {
    at,
    channel: 'cloud',
    direction,
    peer: null,
    kind: name,
    bytes,
    latencyMs,
    outcome,
    content,
    weight,
  };
}

/** As a list of its own: the entries themselves would keep what the log has cut off. */
function withoutPayload(message: Message): object {
  return message.kind === 'append' ? countedEntries(message) : message;
}

const MOST_KINDS = 8;

function countedEntries({ entries, ...rest }: Append): object {
  const kinds = entries.slice(0, MOST_KINDS).map(({ body }) => body.kind);
  return { ...rest, entries: entries.length, kinds };
}

function countedPools({ text, ...rest }: Extract<ExecutorEvent, { kind: 'pools-read' }>): object {
  return { ...rest, characters: text.length };
}
