/** What a viewer gets to see: the form of `quorate inspect --json`, and of an `InspectItem` on the wire. */
import { z } from 'zod';
import { CHANNELS, DIRECTIONS } from './kinds.ts';
import type { Observation } from './observation.ts';
import { shown, shownText } from './redact.ts';

const detailSchema = z.record(z.string(), z.unknown());

/** Of the wire; what is not there is null. */
export const itemSchema = z.object({
  atMs: z.number(),
  channel: z.enum(CHANNELS),
  direction: z.enum(DIRECTIONS),
  peer: z.string().nullable().default(null),
  kind: z.string(),
  bytes: z.number().nullable().default(null),
  latencyMs: z.number().nullable().default(null),
  outcome: z.string().nullable().default(null),
  detail: z
    .string()
    .transform((text): unknown => JSON.parse(text))
    .pipe(detailSchema),
});

export type InspectItem = z.output<typeof itemSchema>;

/** Null is left out: protobuf has none. */
export interface WireItem {
  readonly atMs?: number;
  readonly channel?: string;
  readonly direction?: string;
  readonly peer?: string;
  readonly kind?: string;
  readonly bytes?: number;
  readonly latencyMs?: number;
  readonly outcome?: string;
  readonly detail?: string;
  readonly dropped: number;
}

/** What says who and what is in fields of its own. */
const SAID_ALREADY: ReadonlySet<string> = new Set(['kind', 'from', 'to']);

export function wireItem(seen: Observation, atMs: number): WireItem {
  const { channel, direction, peer, kind, bytes, latencyMs, outcome } = seen;
  const fit = outcome === null ? null : shownText(outcome);
  return {
    atMs,
    channel,
    direction,
    kind,
    detail: JSON.stringify(detailOf(seen)),
    dropped: 0,
    ...(peer === null ? {} : { peer }),
    ...(bytes === null ? {} : { bytes }),
    ...(latencyMs === null ? {} : { latencyMs }),
    ...(fit === null ? {} : { outcome: fit }),
  };
}

/** Instants of this host's monotonic clock, which nobody else can read: shown as how far away they were. */
const INSTANTS: ReadonlySet<string> = new Set(['until', 'confirmedAt', 'readAt']);

function detailOf({ content, at }: Observation): unknown {
  const fields = Object.entries(content ?? {})
    .filter(([name]) => !SAID_ALREADY.has(name))
    .map(([name, value]): [string, unknown] =>
      INSTANTS.has(name) && typeof value === 'number' ? [`${name}InMs`, rounded(value - at)] : [name, value],
    );
  return shown(Object.fromEntries(fields));
}

const rounded = (ms: number): number => Math.round(ms * 1000) / 1000;

/** Of a hash of the chain, as `quorate status` shows it. */
const HASH_DIGITS = 12;

/** On one line: `term=3 seq=120 renounced=false`. */
export function describe({ detail, outcome }: Pick<InspectItem, 'detail' | 'outcome'>): string {
  const fields = Object.entries(detail)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `${name}=${word(value)}`);
  return (outcome === null || outcome === 'ok' ? fields : [outcome, ...fields]).join(' ');
}

function word(value: unknown): string {
  if (typeof value === 'number') return String(Number(value.toFixed(1)));
  if (typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)) return value.slice(0, HASH_DIGITS);
  if (typeof value === 'string' && /^[^\s"=]+$/.test(value)) return value;
  return JSON.stringify(value);
}
