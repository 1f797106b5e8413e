/**
 * What a log entry can say. The log is the audit (D4): entries record transitions, not progress.
 *
 * Format rules: `kind` and field names are on disk and on the wire for ever; a new field is optional for readers;
 * an unknown kind is refused with a sentence by the codec, never skipped.
 */
import type { ChainHash, Digest, DurationMs, Epoch, LogIndex, NodeId, Term } from './types.ts';

export interface Member {
  readonly id: NodeId;
  /** A witness votes and stores the log but never holds (W1). */
  readonly witness: boolean;
  /** A learner receives the log but has no vote (E5). */
  readonly learner: boolean;
  /** HOST:PORT of its peer service, for nodes whose own config file does not list it; not there in logs from before. */
  readonly peer?: string;
  readonly zone?: string;
  /** Its data comes by snapshots: no block layer mirrors it, so that it is never in the in-sync set (H3). */
  readonly snapshots?: true;
}

/** Who has changed the members or the timing, and how; not there in the first entry and in logs from before. */
export interface ConfigChange {
  readonly what: 'add' | 'promote' | 'remove' | 'settings';
  /** Null: the whole cluster. */
  readonly node: NodeId | null;
  readonly who: string;
  readonly why: string;
  readonly request: string | null;
  readonly at: number | null;
}

/** Timing as cluster state (L8), in ms; symbols of safety.md. `promiseMs` is what L5 derives, or longer. */
export interface Timing {
  readonly heartbeatMs: DurationMs;
  readonly leaseMs: DurationMs;
  readonly releaseMs: DurationMs;
  readonly guardMs: DurationMs;
  readonly watchdog: { readonly timeoutMs: DurationMs; readonly petWindowMs: DurationMs } | null;
  readonly clockErrorRate: number;
  readonly promiseMs: DurationMs;
}

/** Why an election was started. */
export type ElectionReason =
  | 'boot'
  | 'leader-silent'
  | 'released'
  | 'transfer'
  | 'caretaker'
  | 'retry'
  | 'operator';

/** Why a tenure ended. */
export type ReleaseReason =
  | 'switchover'
  | 'lease-lost'
  | 'shutdown'
  | 'agent-died'
  | 'stale-data'
  | 'failure'
  | 'operator';

export type EntryBody =
  /** First entry of every log, and each membership or timing change. `inSync` only in the first (H7). */
  | {
      readonly kind: 'config';
      readonly members: readonly Member[];
      readonly removed: readonly NodeId[];
      readonly timing: Timing;
      readonly inSync: readonly NodeId[] | null;
      readonly cluster: string;
      /** L8: what the timing shall become, while `timing` is a step on the way there. */
      readonly goal?: Timing;
      readonly change?: ConfigChange;
    }
  /** First entry of every term (E4). `detectMs`: last sign of the old leader → campaign; null when there was none. */
  | {
      readonly kind: 'elected';
      readonly leader: NodeId;
      readonly votes: readonly NodeId[];
      readonly reason: ElectionReason;
      readonly detectMs: number | null;
      readonly electMs: number;
      readonly caretaker: boolean;
      /** Wall clock in ms since 1970, for people only (T3); null where unknown. */
      readonly at: number | null;
    }
  | { readonly kind: 'tenure-granted'; readonly node: NodeId; readonly at: number | null }
  /** Proposed after verified local release (R2), or by a new leader that holds proof of it (R4). */
  | {
      readonly kind: 'tenure-released';
      readonly epoch: Epoch;
      readonly node: NodeId;
      readonly reason: ReleaseReason;
      readonly evidence: string;
      readonly successor: NodeId | null;
      readonly at: number | null;
    }
  /** The takeover of `epoch` ended: for the audit and `lastTakeover`. */
  | {
      readonly kind: 'takeover-done';
      readonly epoch: Epoch;
      readonly node: NodeId;
      readonly ok: boolean;
      readonly totalMs: number;
      readonly steps: readonly { readonly name: string; readonly ms: number; readonly result: string }[];
      readonly at: number | null;
    }
  | { readonly kind: 'peer-outdated'; readonly peer: NodeId; readonly epoch: Epoch }
  | { readonly kind: 'peer-in-sync'; readonly peer: NodeId; readonly epoch: Epoch }
  /** A node whose own disk failed takes itself out (H3). */
  | { readonly kind: 'node-outdated'; readonly node: NodeId; readonly epoch: Epoch }
  /** A damaged node has its log again (D2). `markerIndex`/`markerTerm` name the damage that it ends. */
  | {
      readonly kind: 'repaired';
      readonly node: NodeId;
      readonly markerIndex: LogIndex;
      readonly markerTerm: Term;
    }
  /** R5: how the fencing of the holder of `epoch`, which had not proven its release, ended. */
  | {
      readonly kind: 'fenced';
      readonly epoch: Epoch;
      readonly node: NodeId;
      /** Only `stopped` and `terminated` prove that it writes no more. */
      readonly outcome: 'stopped' | 'terminated' | 'unconfirmed';
      readonly detail: string;
      readonly ms: number;
      readonly at: number | null;
    }
  /** Somebody asked for something through the admin interface, whatever came of it. */
  | {
      readonly kind: 'operator';
      readonly who: string;
      readonly action: string;
      /** Of a switchover with an id: the node that shall hold. */
      readonly to?: NodeId;
      /** The id that the caller gave, so that the request is not done twice; null or not there: none. */
      readonly request?: string;
      readonly at: number | null;
    }
  /** How the request of entry `of` ended, where no other entry says it. */
  | {
      readonly kind: 'operator-result';
      readonly of: LogIndex;
      readonly ok: boolean;
      readonly result: string;
      readonly at: number | null;
    }
  /** H7: from here on nobody is granted a tenure, and nothing moves by itself; or that is over. `request`: see `operator`. */
  | {
      readonly kind: 'pause';
      readonly paused: boolean;
      readonly who: string;
      readonly why: string;
      readonly request: string | null;
      readonly at: number | null;
    }
  /** From here on `node` is granted no tenure, whatever its data is; or it is again. It votes and has the log all the same. */
  | {
      readonly kind: 'standby';
      readonly node: NodeId;
      readonly standby: boolean;
      readonly who: string;
      readonly why: string;
      readonly request: string | null;
      readonly at: number | null;
    }
  /** O3: an operator's override: from here on `node` alone is in sync, whatever `mayLose` says is lost by that. */
  | {
      readonly kind: 'forced';
      readonly who: string;
      readonly why: string;
      readonly mayLose: string;
      readonly node: NodeId;
      readonly request?: string;
      /**
       * The majority of the voters is gone for good, and `node` goes on alone: the next entry makes it the only member. Written to a
       * stopped node's log, by nobody's vote. `fenced`: all others, which cannot act any more, by the word of `who`.
       */
      readonly newCluster?: { readonly fenced: readonly NodeId[] };
      readonly at: number | null;
    }
  /** L7: from here on the agent of `node` may be away for so long, and its executor keeps the tenure. `request`: see `operator`. */
  | {
      readonly kind: 'restart-begun';
      readonly epoch: Epoch;
      readonly node: NodeId;
      readonly durationMs: DurationMs;
      readonly who?: string;
      readonly request?: string;
      readonly at?: number | null;
    }
  /** L7: the agent of `node` is back, or has not gone: the tenure is that of the term of this entry. */
  | { readonly kind: 'tenure-adopted'; readonly epoch: Epoch; readonly node: NodeId }
  /** A planned move at a later time, of the tenure `epoch` only. Its index is its id. `request`: see `operator`. */
  | {
      readonly kind: 'switchover-scheduled';
      /** Null: the best other data node at that time. */
      readonly to: NodeId | null;
      readonly epoch: Epoch;
      /** Wall clock in ms since 1970: when to begin, and never a reason why it is safe (T3). */
      readonly dueAt: number;
      /** Later than that it is not begun. */
      readonly graceMs: DurationMs;
      readonly who: string;
      readonly why: string;
      readonly request: string | null;
      readonly at: number | null;
    }
  /** The one of entry `of` begins, and never again. */
  | {
      readonly kind: 'switchover-begun';
      readonly of: LogIndex;
      readonly to: NodeId;
      readonly at: number | null;
    }
  /** How the one of entry `of` ended. `who`: who has cancelled it; null: nobody did. */
  | {
      readonly kind: 'switchover-ended';
      readonly of: LogIndex;
      readonly outcome: 'done' | 'cancelled' | 'expired' | 'refused';
      readonly who: string | null;
      readonly why: string;
      readonly request: string | null;
      readonly at: number | null;
    }
  /** L8, place kept: a voter has persisted the larger promise. */
  | { readonly kind: 'timing-persisted'; readonly node: NodeId; readonly promiseMs: DurationMs }
  | { readonly kind: 'note'; readonly text: string };

export type EntryKind = EntryBody['kind'];

export interface Entry {
  readonly index: LogIndex;
  readonly term: Term;
  /** Chain hash of the entry before this one; `GENESIS` for the first. */
  readonly previous: ChainHash;
  /** Chain hash of the log up to and including this entry: `digest(canonical(entry without hash))`. */
  readonly hash: ChainHash;
  readonly body: EntryBody;
}

/** `previous` of the first entry. */
export const GENESIS = '0'.repeat(64) as ChainHash;

/** JSON with sorted keys and no spaces: equal values have equal texts, whatever route their objects took. */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  // A loop, because every entry comes here several times on its way to a commit.
  let fields = '';
  for (const key of Object.keys(value).sort()) {
    const field: unknown = (value as Record<string, unknown>)[key];
    if (field === undefined) continue;
    fields += `${fields === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(field)}`;
  }
  return `{${fields}}`;
}

const bodyTexts = new WeakMap<EntryBody, string>();

/**
 * `canonicalJson` of a body, which an entry needs for its hash, for each peer and for the disk: made once. Bodies are never
 * changed once they are made; what is read back from a disk or a peer is an object of its own, with a text of its own.
 */
export function bodyText(body: EntryBody): string {
  const known = bodyTexts.get(body);
  if (known !== undefined) return known;
  const text = canonicalJson(body);
  bodyTexts.set(body, text);
  return text;
}

/** The chain hash of an entry (D1). `quorate-entry-1` names the format: another format gets another prefix. */
export function hashEntry(digest: Digest, entry: Omit<Entry, 'hash'>): ChainHash {
  return digest(
    `quorate-entry-1\n${entry.index}\n${entry.term}\n${entry.previous}\n${bodyText(entry.body)}`,
  ) as ChainHash;
}

export function makeEntry(
  digest: Digest,
  index: LogIndex,
  term: Term,
  previous: ChainHash,
  body: EntryBody,
): Entry {
  const unhashed = { index, term, previous, body };
  return { ...unhashed, hash: hashEntry(digest, unhashed) };
}
