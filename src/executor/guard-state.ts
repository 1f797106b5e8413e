/**
 * What the guard goes by: its phase, how long the tenure is confirmed (L1), and over a planned restart of the agent the deadline
 * besides (L7). Decides nothing; what follows from it is in guard-core, guard-kept, guard-release and guard-petting.
 */
import type { Clock } from '../clock.ts';
import { assert, type Epoch, type Instant, instant, type Term, type Timing } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { ReleaseMode } from '../resources/index.ts';
import type { GuardOptions } from './guard-options.ts';
import type { LogLevel, Released } from './guard-protocol.ts';
import { ResumeWatch } from './suspend-check.ts';

export interface Tenure {
  readonly epoch: Epoch;
  readonly term: Term;
  readonly abort: AbortController;
}

export type Phase =
  /** Nothing is known yet: nobody may act, nobody may vote (L3, L4). */
  | { readonly kind: 'unverified' }
  | { readonly kind: 'released' }
  | { readonly kind: 'tenure'; readonly tenure: Tenure }
  | {
      readonly kind: 'releasing';
      readonly mode: ReleaseMode;
      readonly epoch: Epoch | null;
      readonly result: Promise<Released>;
    };

/** L7: the tenure over a planned restart of the agent. */
export interface Kept {
  /** The deadline: whatever a lease says, it ends here until the new agent has adopted it. */
  readonly until: Instant;
  /**
   * `alone`: no agent is there, or the one before, which goes; `asked`: a new one has come, and nothing is different yet;
   * `bound`: its lease counts too.
   */
  readonly phase: 'alone' | 'asked' | 'bound';
}

export class GuardState {
  phase: Phase = { kind: 'unverified' };
  timing: Timing | null = null;
  /** End of the lease, and when the newest quorum round that it rests on was sent (L1). Kept while releasing. */
  until: Instant = instant(0);
  confirmedAt: Instant = instant(0);
  /** Renewals of an epoch whose order to begin is on its way. */
  early: { epoch: Epoch; until: Instant } | null = null;
  kept: Kept | null = null;
  /** R1: the release that runs has outlived `D`. */
  isOverdue = false;
  readonly resumes: ResumeWatch;
  readonly #options: GuardOptions;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.resumes = new ResumeWatch(options.suspendCheck(), () => options.clock.now());
  }

  get now(): Instant {
    return this.#options.clock.now();
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  /** `D`: the file's until an agent has said the cluster's. */
  get releaseMs(): number {
    return this.timing?.releaseMs ?? this.#options.releaseMs;
  }

  extend(until: Instant): void {
    assert(this.timing !== null, 'a lease needs a timing');
    // L1: q + L with q ≤ now. More can only be a mistake of the sender.
    const keptUntil = this.kept?.until ?? Number.POSITIVE_INFINITY;
    const bounded = Math.min(until, this.now + this.timing.leaseMs, keptUntil);
    if (bounded <= this.until) return;
    this.until = instant(bounded);
    this.confirmedAt = instant(bounded - this.timing.leaseMs);
  }

  /** For whoever reads the lease from memory, right before a call to the cloud (O2). */
  publish(epoch: Epoch): void {
    this.#options.lease.set(epoch, this.until, this.resumes.distanceMs);
  }

  /** The newest confirmation, or what the others' waiting for a restart is as good as (L7). */
  get restsOn(): Instant {
    if (this.kept === null || this.kept.phase === 'bound') return this.confirmedAt;
    const leaseMs = this.timing?.leaseMs ?? 0;
    return instant(Math.max(this.confirmedAt, this.kept.until - leaseMs));
  }

  log(level: LogLevel, fields: Readonly<Record<string, unknown>>): void {
    this.#options.report({ kind: 'log', level, fields });
  }
}

export function refused(why: string): QuorateError {
  return new QuorateError('order-refused', why);
}
