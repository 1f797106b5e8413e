/** What an agent may ask of its executor, and what it needs to reach it. Answers come as events (protocol.ts). */
import type { Epoch, Instant, NodeId, Term, Timing } from '../core/index.ts';
import type { ProcessId } from './processes.ts';
import type { ExecutorEvent } from './protocol.ts';
import type { ExecutorTap } from './tap.ts';

export interface TakeOrder {
  readonly epoch: Epoch;
  readonly term: Term;
  /** End of the lease. */
  readonly until: Instant;
  /** The release of the tenure before is proven in the log. */
  readonly previousReleased: boolean;
  /** The log proves it of everybody who has held before (R4, R5); only where `true`. */
  readonly hasProof?: boolean;
  /** O3: an operator's override lets this tenure promote old data; only where `true`. */
  readonly isForced?: boolean;
}

export interface FenceOrder {
  readonly id: number;
  readonly node: NodeId;
  /** End of the caller's lease, and when the newest round that it rests on was sent (L1). */
  readonly until: Instant;
  readonly confirmedAt: Instant;
}

export interface ExecutorClient {
  /**
   * `adopt` (L7): what the process before may have left to this one. Where the executor keeps that, the first event is `kept`
   * and nothing is released; otherwise it is a start like any other.
   */
  start(onEvent: (event: ExecutorEvent) => void, adopt?: Epoch | null): Promise<void>;
  /** O1: after `gone`. A new executor that takes over from the dead one, releases and verifies; then `ready`. */
  replace(): Promise<void>;
  /** Answered by `armed` or `arm-failed` with the same number. */
  arm(id: number): void;
  /** Nothing was taken after `arm`: closes the watchdog in order. A release does so by itself. */
  disarm(): void;
  take(order: TakeOrder): void;
  /** To the guard's own socket, with every confirmed round. */
  renew(epoch: Epoch, until: Instant): void;
  release(epoch: Epoch, mode: 'planned' | 'abrupt'): void;
  /** H6: keep what a failed takeover has got, and repair the rest. */
  keep(epoch: Epoch): void;
  /** R5; answered by `fence-ended` with the same number and node. */
  fence(order: FenceOrder): void;
  resumeIo(epoch: Epoch): void;
  /** Reads the replicated data now; answered by `data-read`. */
  look(): void;
  /** Answered by `copies-read` with the same number. */
  readCopies(id: number): void;
  /** Answered by `pools-read`, in pieces, or `pools-unread`, with the same number. */
  readPools(id: number): void;
  /** A round of snapshot replication now; null: of everything. */
  replicate(dataset: string | null): void;
  /** `dataNodes`: the others that a block layer mirrors; null: those of the config file. */
  setMembers(members: ReadonlyMap<NodeId, string>, dataNodes: readonly NodeId[] | null): void;
  /** Answered by `timing-applied` with the same values. */
  setTiming(timing: Timing): void;
  /** L7: can it keep a tenure while its agent is restarted? One of an older version cannot. */
  canKeep(): Promise<boolean>;
  /** L7: it keeps everything until then without an agent. Answered by `handed-over` or `hand-over-refused`. */
  handOver(epoch: Epoch, until: Instant): void;
  /** L7: what it has kept is bound to this term's lease. Answered by `bound`. */
  bind(epoch: Epoch, term: Term, until: Instant): void;
  /** L7: the adoption is committed. */
  adopt(epoch: Epoch, until: Instant): void;
  /**
   * `farewell`: no statement, and the executor ends too (unless it was told to stay). `abandon` breaks the channel as a
   * crash does: the executor releases, kills this process and tells the members (R4).
   */
  close(how?: 'farewell' | 'abandon'): Promise<void>;
  readonly connected: boolean;
}

export interface ExecutorClientOptions {
  readonly node: NodeId;
  readonly cluster: string;
  readonly configFile: string;
  readonly dataDir: string;
  /** Peer addresses of the other members. */
  readonly members: ReadonlyMap<NodeId, string>;
  readonly timing: Timing;
  /** dist/executor.mjs; found beside the running bundle where absent. */
  readonly program?: string;
  /** Further arguments for the executor, as `--self-fence sysrq`. */
  readonly args?: readonly string[];
  /** The process whose death the executor makes sure of; this one where absent. */
  readonly agentProcess?: ProcessId;
  /** Told of every order and report while somebody looks. */
  readonly tap?: ExecutorTap;
}
