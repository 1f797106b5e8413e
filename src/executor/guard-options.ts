/** What the guard is put together from: the real things in its thread, models in a simulation. */
import type { Clock } from '../clock.ts';
import type { Resource } from '../resources/index.ts';
import type { PlanResource } from '../takeover/index.ts';
import type { GuardReport } from './guard-protocol.ts';
import type { SharedLease } from './shared-lease.ts';
import type { ExecutorState } from './state-file.ts';
import type { SuspendCheck } from './suspend-check.ts';
import type { VerifiedReleaseOptions } from './verified-release.ts';
import type { Watchdog } from './watchdog.ts';

export interface GuardOptions {
  /** All of them, for the graph; only the local ones have an entry in `local`. */
  readonly graph: readonly PlanResource[];
  readonly local: ReadonlyMap<string, Resource>;
  readonly clock: Clock;
  readonly lease: SharedLease;
  readonly state: {
    readonly state: ExecutorState;
    update(change: Partial<ExecutorState>, how: 'written' | 'durable'): Promise<void>;
  };
  readonly children: VerifiedReleaseOptions['children'];
  readonly watchdog: {
    readonly device: string;
    readonly mode: 'required' | 'automatic';
    readonly open: (device: string) => Promise<Watchdog>;
  } | null;
  readonly suspendCheck: () => SuspendCheck;
  /** Neither a refusal nor an operating error of a command: this thread must end, and the process with it (D3, style 5). */
  readonly fatal: (error: unknown) => void;
  /** Off outside real hosts (R1). */
  readonly selfFence: (why: string) => void;
  readonly report: (report: GuardReport) => void;
  /** `D` until an agent says the cluster's. */
  readonly releaseMs: number;
}
