/** What an agent has heard from its executor and seen in its log, kept and counted for whoever asks. */
import type { Clock } from '../clock.ts';
import type { Config } from '../config/index.ts';
import type { CoreEvent, Entry } from '../core/index.ts';
import type { ExecutorClient, ExecutorEvent } from '../executor/index.ts';
import { Completeness } from './completeness.ts';
import { MetricCounts } from './metrics.ts';
import { ReplicationView } from './replication-view.ts';
import { ResyncView } from './resync-view.ts';
import { TakeoverHistory } from './takeover-history.ts';

type Probes = Extract<ExecutorEvent, { kind: 'probes' }>;

export class Heard {
  readonly takeovers = new TakeoverHistory();
  readonly completeness = new Completeness();
  readonly counts = new MetricCounts();
  readonly replication: ReplicationView;
  readonly resync: ResyncView;
  #probes: Probes | null = null;
  #failedChecks: readonly string[] | null = null;

  constructor(config: Config, executor: ExecutorClient, clock: Clock) {
    this.replication = new ReplicationView(config, executor);
    this.resync = new ResyncView(clock);
  }

  get probes(): Probes | null {
    return this.#probes;
  }

  /** Null: it has not told of any yet. */
  get failedChecks(): readonly string[] | null {
    return this.#failedChecks;
  }

  /** `releaseMs`: the D that a release is measured by. */
  onExecutorEvent(event: ExecutorEvent, releaseMs: number): void {
    if (event.kind === 'probes') this.#probes = event;
    if (event.kind === 'doctor') this.#failedChecks = event.failed;
    // What its predecessor has found is told again by it, or not at all.
    if (event.kind === 'gone') this.#failedChecks = null;
    this.completeness.onExecutorEvent(event);
    this.replication.onExecutorEvent(event);
    this.resync.onExecutorEvent(event);
    this.counts.onExecutorEvent(event, releaseMs);
  }

  onCoreEvent(event: CoreEvent): void {
    this.counts.onCoreEvent(event);
  }

  onCommitted(entry: Entry): void {
    this.takeovers.onCommitted(entry);
    this.counts.onCommitted(entry);
  }

  /** Committed before this process began. */
  onRecovered(entry: Entry): void {
    this.takeovers.onCommitted(entry);
    this.counts.onRecovered(entry);
  }
}
