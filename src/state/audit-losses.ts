/**
 * What takeovers of pools that are replicated by snapshots went on without: the window between the newest whole copy and the takeover, as
 * the holder has written it down (`lossText`), and what of it was found on the old holder later (`keptText`). Pure.
 *
 * The notes are read again here, so their makers stand in data-loss.ts and the two are tested against each other. A note about an
 * epoch that was never granted says nothing.
 */
import type { Entry } from '../core/index.ts';

export interface AuditLoss {
  /** Of the tenure that went on from an older copy. */
  readonly epoch: number;
  readonly node: string;
  readonly pool: string;
  /** ISO 8601, the old holder's wall clock; null: not known. */
  readonly upTo: string | null;
  /** How old that was when it was decided to go on from it; null: not known. */
  readonly ageMs: number | null;
  /** Who wrote what is in the window; null: not known. */
  readonly from: string | null;
  /** Why nothing is known of the window; null where something is. */
  readonly why: string | null;
  /** On the old holder, once it was back; null: it was not seen yet. */
  readonly kept: { readonly node: string; readonly bytes: number; readonly datasets: number } | null;
  /** Of the grant, ms since 1970. */
  readonly grantedAt: number | null;
}

/** Names of pools and datasets may have spaces. */
const SINCE =
  /^epoch (\d+): (.+?) goes on from @.+? of ([\d-]+T[\d:.]+Z|null), ([\d.]+) s old: what (\S+) wrote after that in epoch \d+ is on /;
const UNKNOWN = /^epoch (\d+): (.+?) goes on from what is here, and what is lost is not known: (.+)$/s;
const KEPT =
  /^epoch (\d+): kept on (\S+), of (.+?), up to \d+: (\d+) bytes that only \S+ had, in (\d+) datasets?, /;

/** In the order of the log. */
export function lossesOf(entries: readonly Entry[]): AuditLoss[] {
  const grants = new Map<number, { readonly node: string; readonly at: number | null }>();
  const losses = new Map<string, AuditLoss>();
  for (const { index, body } of entries) {
    if (body.kind === 'tenure-granted') grants.set(index, { node: body.node, at: body.at });
    if (body.kind !== 'note') continue;
    const loss = lossIn(body.text, grants);
    if (loss !== null) losses.set(`${loss.epoch} ${loss.pool}`, loss);
    const kept = keptIn(body.text);
    const known = kept === null ? undefined : losses.get(`${kept.epoch} ${kept.pool}`);
    // A later one is the sum of all that is kept then.
    if (kept !== null && known !== undefined)
      losses.set(`${kept.epoch} ${kept.pool}`, { ...known, kept: kept.what });
  }
  return [...losses.values()];
}

function lossIn(
  text: string,
  grants: ReadonlyMap<number, { readonly node: string; readonly at: number | null }>,
): AuditLoss | null {
  const since = SINCE.exec(text);
  const unknown = since === null ? UNKNOWN.exec(text) : null;
  const [, number = '', pool = ''] = since ?? unknown ?? [];
  const grant = grants.get(Number(number));
  if (grant === undefined || pool === '') return null;
  const base = { epoch: Number(number), node: grant.node, pool, kept: null, grantedAt: grant.at };
  if (unknown !== null) return { ...base, upTo: null, ageMs: null, from: null, why: unknown[3] ?? null };
  const [upTo = 'null', seconds = '', from = ''] = since?.slice(3) ?? [];
  return {
    ...base,
    ...{ upTo: upTo === 'null' ? null : upTo, ageMs: Number(seconds) * 1000, from, why: null },
  };
}

function keptIn(text: string) {
  const found = KEPT.exec(text);
  if (found === null) return null;
  const [, number, node = '', pool = '', bytes, datasets] = found;
  return {
    ...{ epoch: Number(number), pool },
    what: { node, bytes: Number(bytes), datasets: Number(datasets) },
  };
}
