/** What an agent tells about itself: to operators, to role checks, to whoever collects metrics. Read at the instant of the question. */
import type { Config } from '../config/index.ts';
import type { NodeId } from '../core/index.ts';
import type { ExecutorClient } from '../executor/index.ts';
import type { PoolCopyFacts } from '../pool-copies.ts';
import type { CopyLoss } from '../state/index.ts';
import type { AgentParts } from './agent-parts.ts';
import type { Driver } from './driver.ts';
import type { Heard } from './heard.ts';
import { metricFactsOf } from './metrics.ts';
import { poolCopiesOf } from './pool-copies.ts';
import { roleFactsOf } from './role-facts.ts';
import { statusOf } from './status.ts';
import { statusFactsOf } from './status-facts.ts';

export interface AgentFactsOptions {
  readonly config: Config;
  readonly driver: Driver;
  readonly parts: Pick<AgentParts, 'certificateWarnings' | 'resumedAt' | 'clock'>;
  readonly executor: Pick<ExecutorClient, 'connected'>;
  readonly heard: Heard;
  readonly isUp: (peer: NodeId) => boolean;
  /** H6: what this holder goes on without, and why. */
  readonly degraded: () => ReadonlyMap<string, string>;
  /** Why it does not take what others may be ahead of, by resource. */
  readonly refusals: () => ReadonlyMap<string, string>;
  /** Of the own copies of replicated pools; null where nothing is known of them. */
  readonly copies: () => readonly CopyLoss[] | null;
  readonly isEnding: () => boolean;
}

const checkSentence = (check: string): string =>
  `the check "${check}" has failed here: "quorate doctor" says why, and what to do`;

export class AgentFacts {
  readonly #options: AgentFactsOptions;

  constructor(options: AgentFactsOptions) {
    this.#options = options;
  }

  status() {
    const { config, driver, parts, heard, isUp, degraded, refusals } = this.#options;
    return statusOf({
      config,
      driver,
      isUp,
      resources: heard.probes?.resources ?? [],
      lastTakeover: heard.takeovers.last,
      degraded: new Map([...degraded(), ...refusals()]),
      warnings: [...(parts.certificateWarnings?.() ?? []), ...(heard.failedChecks ?? []).map(checkSentence)],
      resync: heard.resync.running,
      replication: this.poolCopies(),
    });
  }

  poolCopies(): readonly PoolCopyFacts[] {
    const { config, driver, parts, heard, copies } = this.#options;
    return poolCopiesOf({
      config,
      tenure: driver.view.state.tenure,
      sent: heard.replication.facts,
      losses: copies(),
      wallMs: parts.clock.wallMs(),
    });
  }

  role() {
    const { driver, parts, executor, heard, degraded, isEnding } = this.#options;
    return roleFactsOf({
      driver,
      // The suspend first: what is found to have ended must not be newer than the lease that is judged by it.
      resumedAt: parts.resumedAt(),
      now: parts.clock.now(),
      isExecutorConnected: executor.connected,
      disk: heard.probes?.disk ?? null,
      isComplete: (epoch) => heard.completeness.isComplete(epoch),
      degraded: [...degraded().values()],
      isEnding: isEnding(),
    });
  }

  metrics() {
    const { driver, parts, heard, isUp } = this.#options;
    return metricFactsOf({
      driver,
      role: this.role(),
      counted: heard.counts,
      isUp,
      probes: heard.probes,
      failedChecks: heard.failedChecks,
      replication: heard.replication.facts.datasets,
      pools: this.poolCopies(),
      wallMs: parts.clock.wallMs(),
    });
  }

  statusPage() {
    const { driver, parts, heard } = this.#options;
    return statusFactsOf({
      driver,
      status: this.status(),
      metrics: this.metrics(),
      failedChecks: heard.failedChecks,
      takeovers: heard.takeovers.kept,
      wallMs: parts.clock.wallMs(),
    });
  }
}
