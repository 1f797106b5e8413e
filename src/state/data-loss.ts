/**
 * What a takeover of a pool that is replicated by snapshots would lose, from the log and from what the own copy says of itself.
 * Pure. The copy's words are no progress in the log (D4): they stand in the pool, and are read when they are needed.
 *
 * Ages are by the wall clock, the holder's against one's own (T3 forbids that for everything that decides who holds; this only makes
 * it refuse more or less). What lies in the future, or is not known, counts as too old.
 */
import type { Entry, Epoch, LogIndex, NodeId } from '../core/index.ts';

/** Of one pool, as this node has it. */
export type CopyWords =
  | {
      readonly kind: 'read';
      readonly pool: string;
      /** The last tenure in which this node itself may have written to it. */
      readonly written: number | null;
      /** The newest moment of which everything has arrived from another holder. */
      readonly complete: CompleteCopy | null;
    }
  | { readonly kind: 'unknown'; readonly pool: string; readonly why: string };

export interface CompleteCopy {
  /** Of the tenure that it was sent in. */
  readonly epoch: number;
  readonly snapshot: string;
  /** The holder's wall clock, ms since 1970. */
  readonly takenAtMs: number;
  /** Taken when that holder had shut the pool. It may have opened it again: only a release in the log that names it counts. */
  readonly isFinal: boolean;
  /** One of the snapshots of that moment, by its GUID; null or not there: what it is called is all that is known. */
  readonly of?: { readonly guid: string; readonly dataset: string } | null | undefined;
}

export type CopyLoss =
  | { readonly kind: 'nothing'; readonly pool: string }
  | {
      readonly kind: 'since';
      readonly pool: string;
      readonly from: NodeId;
      readonly epoch: Epoch;
      readonly snapshot: string;
      readonly takenAtMs: number;
      readonly ageMs: number;
      readonly of: NonNullable<CompleteCopy['of']> | null;
    }
  | { readonly kind: 'unknown'; readonly pool: string; readonly why: string };

interface Tenure {
  readonly epoch: number;
  readonly node: NodeId;
}

/** `committed`: the log up to where it is committed. */
export function copyLoss(
  committed: readonly Entry[],
  self: NodeId,
  words: CopyWords,
  wallMs: number | null,
): CopyLoss {
  const { pool } = words;
  if (words.kind === 'unknown') return { kind: 'unknown', pool, why: words.why };
  for (const { epoch, node } of tenuresIn(committed).toReversed()) {
    if (node === self) {
      // Its word is written before anything can be: without it this node has written nothing then.
      if (words.written === epoch) return { kind: 'nothing', pool };
      continue;
    }
    const { complete } = words;
    if (complete?.epoch !== epoch)
      return {
        kind: 'unknown',
        pool,
        why: `nothing whole has come from ${node} since it holds (epoch ${epoch})`,
      };
    const { snapshot, takenAtMs } = complete;
    if (complete.isFinal && isReleasedWith(committed, epoch, snapshot)) return { kind: 'nothing', pool };
    if (wallMs === null || takenAtMs > wallMs)
      return { kind: 'unknown', pool, why: `${pool}@${snapshot} is from a time that has not come here` };
    const ageMs = wallMs - takenAtMs;
    const of = complete.of ?? null;
    return { kind: 'since', pool, from: node, epoch: epoch as Epoch, snapshot, takenAtMs, ageMs, of };
  }
  // Nobody but this node has ever held, or nobody at all.
  return { kind: 'nothing', pool };
}

/** How the evidence of a planned release begins, whose last snapshot has arrived on the other side. */
export const lastSnapshotEvidence = (snapshot: string): string => `last snapshot @${snapshot} has arrived; `;

function isReleasedWith(committed: readonly Entry[], epoch: number, snapshot: string): boolean {
  return committed.some(
    ({ body }) =>
      body.kind === 'tenure-released' &&
      body.epoch === epoch &&
      body.evidence.startsWith(lastSnapshotEvidence(snapshot)),
  );
}

function tenuresIn(committed: readonly Entry[]): readonly Tenure[] {
  return committed.flatMap(({ index, body }) =>
    body.kind === 'tenure-granted' ? [{ epoch: index, node: body.node }] : [],
  );
}

/** Null: a takeover may go on by itself. */
export function whyTooMuchIsLost(loss: CopyLoss, mostMs: number): string | null {
  switch (loss.kind) {
    case 'nothing':
      return null;
    case 'unknown':
      return `what a takeover of ${loss.pool} would lose is not known: ${loss.why}`;
    case 'since': {
      if (loss.ageMs <= mostMs) return null;
      const { pool, snapshot, from, ageMs } = loss;
      return `${pool}@${snapshot}, the newest that has come whole from ${from}, is ${seconds(ageMs)} old, and max_data_loss is ${seconds(mostMs)}`;
    }
  }
}

/** For the audit: from where a tenure goes on. Null: from everything. */
export function lossText(loss: CopyLoss, isoTime: (ms: number) => string | null): string | null {
  switch (loss.kind) {
    case 'nothing':
      return null;
    case 'unknown':
      return `${loss.pool} goes on from what is here, and what is lost is not known: ${loss.why}`;
    case 'since': {
      const { pool, snapshot, from, epoch, takenAtMs, ageMs, of } = loss;
      const guid = of === null ? '' : ` (GUID ${of.guid} of ${of.dataset})`;
      const moment = `@${snapshot}${guid} of ${isoTime(takenAtMs)}, ${seconds(ageMs)} old`;
      return `${pool} goes on from ${moment}: what ${from} wrote after that in epoch ${epoch} is on ${from} only (single datasets may be newer here), how many bytes is unknown until ${from} is back`;
    }
  }
}

/** What the old holder had of that window (KeptTails): read again by the audit (audit-losses.ts), as the sentence above. */
export const keptBegin = (epoch: number, node: string, pool: string): string =>
  `epoch ${epoch}: kept on ${node}, of ${pool}, up to `;

export function keptText(
  begin: string,
  kept: {
    readonly upTo: number;
    readonly bytes: number;
    readonly datasets: number;
    readonly largest: string;
  },
  node: string,
  isSomeDropped: boolean,
): string {
  const { upTo, bytes, datasets, largest } = kept;
  const what = `${bytes} bytes that only ${node} had, in ${datasets} dataset${datasets === 1 ? '' : 's'}`;
  const dropped = isSomeDropped ? `, without what ${node} was let destroy of it` : '';
  return `${begin}${upTo}: ${what}, the most in ${largest}${dropped}; setting it aside destroyed nothing`;
}

const seconds = (ms: number): string => `${(Math.ceil(ms / 100) / 10).toString()} s`;

// ---- an operator accepts it

const ACCEPTED = 'accepts the loss of a takeover by ';

const MAY_LOSE = ' (may lose: ';

export const acceptedText = (node: NodeId, why: string, mayLose: string): string =>
  `${ACCEPTED}${node}: ${why}${MAY_LOSE}${mayLose})`;

/** What an operator has accepted to lose; null: the action is another one. */
export function acceptedLoss(action: string): string | null {
  if (!action.startsWith(ACCEPTED)) return null;
  const at = action.lastIndexOf(MAY_LOSE);
  return at < 0 ? '' : action.slice(at + MAY_LOSE.length, -1);
}

/** Since the last grant, and for this node: an operator's word counts for one takeover, and not for the next. */
export function isLossAccepted(committed: readonly Entry[], node: NodeId): boolean {
  const granted = committed.findLast(({ body }) => body.kind === 'tenure-granted')?.index ?? (0 as LogIndex);
  return committed.some(({ index, body }) => {
    if (index <= granted) return false;
    if (body.kind === 'forced') return body.node === node;
    return body.kind === 'operator' && body.action.startsWith(`${ACCEPTED}${node}: `);
  });
}

// ---- an operator has what is kept of a lost window destroyed

const lets = (node: string): string => `lets ${node} destroy what it has kept: `;

/** How the entry begins that lets a node do it; DATASET=GUID, so that one word is for one thing. */
export const dropText = (node: string, datasets: readonly string[]): string =>
  `${lets(node)}${datasets.join(' ')} (`;

/** Whether a node was let destroy something of what it has kept under this name: POOL/.diverged/EPOCH. */
export const isDropAllowed = (committed: readonly Entry[], node: string, place: string): boolean =>
  committed.some(
    ({ body }) =>
      body.kind === 'operator' &&
      body.action.startsWith(lets(node)) &&
      ['/', '.'].some((next) => body.action.includes(` ${place}${next}`)),
  );
