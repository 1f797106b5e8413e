/**
 * What the sending side asks of the receiving one, whatever carries it.
 *
 * 1. Every call has a deadline and a signal; a call that fails has an unknown outcome: the sender reads again before it acts again.
 * 2. Every order carries the sender's epoch. The receiver refuses an older one than it knows, and everything while it holds itself.
 * 3. The receiver changes only datasets below the agreed pools, and destroys nothing that is held, that it cannot name by GUID, or that is the newest.
 */
import type { Writable } from 'node:stream';
import type { Epoch } from '../core/index.ts';
import type { Guid } from './pool.ts';
import type { PoolsReading } from './reading.ts';

export interface CallOptions {
  readonly signal: AbortSignal;
  /** Milliseconds for the whole call; of a stream: until it has started. */
  readonly limitMs: number;
}

export interface NamedSnapshot {
  readonly dataset: string;
  readonly name: string;
  readonly guid: Guid;
}

/** A dataset of the receiver that has what the sender does not have. */
export interface Tail {
  readonly dataset: string;
  /** The newest snapshot that both have. */
  readonly common: Guid;
}

/** A dataset of the receiver that is no part of what the sender has open and sends. */
export interface LeftOutThere {
  readonly dataset: string;
  /** Seconds since 1970, when it had everything for the last time; null: not known. For people. */
  readonly since: number | null;
}

/** One change on the receiver. */
export type ReceiverOrder =
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'abandon'; readonly dataset: string }
  /** Holds the newest common snapshot, and lets go of the hold of the one before. */
  | { readonly kind: 'hold'; readonly keep: NamedSnapshot; readonly letGo: readonly NamedSnapshot[] }
  /** Retention: what is not held any more. */
  | { readonly kind: 'prune'; readonly snapshots: readonly NamedSnapshot[] }
  /** What only the receiver has, of its own earlier tenure, is kept under another name (roles/aside.ts). */
  | { readonly kind: 'set-aside'; readonly pool: string; readonly tails: readonly Tail[] }
  /** Everything that is replicated of the pool has arrived, as it was at one moment: written down there, after it was seen. */
  | {
      readonly kind: 'complete';
      readonly pool: string;
      readonly snapshots: readonly NamedSnapshot[];
      /** Taken when the sender had shut the pool for a planned release. */
      readonly isFinal: boolean;
      /** More of the same moment follows: only looked for. */
      readonly hasMore?: boolean | undefined;
      /** No takeover there opens these. Only where the receiver has the feature `left-out`. */
      readonly leftOut?: readonly LeftOutThere[] | undefined;
    };

export interface ReceiveOrder {
  readonly dataset: string;
  /** Of the stream's last snapshot; the receiver checks it afterwards. */
  readonly snapshot: NamedSnapshot;
  readonly kind: 'full' | 'incremental' | 'resume';
  /** What a first stream makes there; of later ones the receiver knows. */
  readonly makes?: 'filesystem' | 'volume' | undefined;
  /** A run (`zfs send -I`): those that come before it in the stream, oldest first. Only where the receiver has the feature `runs`. */
  readonly before?: readonly NamedSnapshot[] | undefined;
  /** When it has arrived: held there, and then these let go, as by the order `hold`. Only with the feature `settles`. */
  readonly letGo?: readonly NamedSnapshot[] | undefined;
}

/** What a receiver takes beyond the first version of the protocol: it says so with what it has read, to whom asks. */
export const FEATURES = ['runs', 'settles', 'replays', 'left-out'] as const;
export type Feature = (typeof FEATURES)[number];

export type ReceiveEnd =
  | { readonly kind: 'received' }
  | {
      readonly kind: 'broken';
      readonly code: 'refused' | 'full' | 'connection' | 'stream' | 'aborted';
      readonly why: string;
    };

export interface Receiving {
  /** Given to the sending child as its stdout. Over SSH it is the pipe to ssh, so that no byte passes this process. */
  readonly sink: Writable;
  /** Never rejects. */
  readonly ended: Promise<ReceiveEnd>;
  abort(): void;
}

export interface ReceiverChannel {
  readonly name: 'ssh' | 'grpc' | 'local';
  /** As the last reading said; nothing before there is one, or where the other side is older than the question. */
  readonly features: ReadonlySet<Feature>;
  read(options: CallOptions): Promise<PoolsReading>;
  perform(epoch: Epoch, order: ReceiverOrder, options: CallOptions): Promise<void>;
  receive(epoch: Epoch, order: ReceiveOrder, options: CallOptions): Promise<Receiving>;
  close(): Promise<void>;
}
