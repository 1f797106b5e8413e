/** Everything outside that an agent is put together from: the real things in production, models in a simulation. */
import type { Clock } from '../clock.ts';
import type { Instant, NodeId, Timing } from '../core/index.ts';
import type { ExecutorClient } from '../executor/index.ts';
import type { DiskMarks, LogStore, RecoveredLog } from '../log/index.ts';
import type { Fitness, PeerTransport, PeerTransportOptions } from '../peer/index.ts';
import type { Backend } from './backend.ts';

export type Store = Pick<LogStore, 'persist' | 'close'>;
export type Transport = Pick<
  PeerTransport,
  'start' | 'setPeers' | 'send' | 'isUp' | 'formatOf' | 'sendBootstrap' | 'close'
>;

export interface AgentParts {
  readonly clock: Clock;
  /** Spreads the election windows of the nodes; nothing depends on its quality. */
  readonly seed: number;
  /** What the config says, for a node without a log and for `bootstrap`; afterwards the log's timing rules (L8). */
  readonly timing: Timing;
  readonly executor: ExecutorClient;
  openLog(): Promise<{ readonly store: Store; readonly recovered: RecoveredLog }>;
  /** D2: of the directory that `openLog` opens. */
  readonly diskMarks: DiskMarks;
  /** T3: when the host last went on after a suspend, as far as can be seen now; −∞ for never. */
  resumedAt(): number;
  /** Sentences for the status: what ends soon, or is not used. */
  certificateWarnings?(): readonly string[];
  /** L4; durable before it resolves. */
  bootPromiseStart(): Promise<Instant>;
  transport(
    handlers: Pick<
      PeerTransportOptions,
      'onMessage' | 'onStatement' | 'onBootstrap' | 'onLink' | 'onRemoved'
    > & {
      /** Asked by a peer (H6). */
      fitness(): Fitness | null;
      /** What the pools hold, packed; rejects with why that is not known. */
      pools(): Promise<string>;
    },
  ): Transport;
  /** H6: what a peer says of itself; null where its version does not say it. Rejects when it does not answer in time. */
  askFitness(peer: NodeId, address: string | null): Promise<Fitness | null>;
  /** Lets operators and DRBD's handlers ask; resolves with how that ends. */
  serve(backend: Backend): Promise<{ close(): Promise<void> }>;
}
