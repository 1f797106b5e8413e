/**
 * L7: the guard over a planned restart of its agent. The tenure is kept until a deadline (`handOver`); the next agent comes for it
 * (`awaitAdoption`), is bound by the lease of its own term (`bind`), and has it when the adoption is committed (`adopt`).
 */
import { assert, type Epoch, type Instant, instant, MAX_RESTART_MS, type Term } from '../core/index.ts';
import type { GuardOptions } from './guard-options.ts';
import { type GuardState, refused } from './guard-state.ts';

export interface GuardKeptOptions {
  readonly guard: GuardState;
  readonly state: GuardOptions['state'];
  /** T2: what every entry begins with. */
  readonly evaluate: () => void;
  readonly mayAct: (epoch: Epoch) => boolean;
  /** The instant at which to look again has changed. */
  readonly armDeadline: () => void;
}

export class GuardKept {
  readonly #options: GuardKeptOptions;
  readonly #guard: GuardState;

  constructor(options: GuardKeptOptions) {
    this.#options = options;
    this.#guard = options.guard;
  }

  /**
   * The agent goes and means to come back: until the deadline this tenure is as one whose lease was confirmed `L` before it.
   * Others wait for longer than that lasts. A suspend ends it as ever (T3): what was confirmed was so before.
   */
  handOver(epoch: Epoch, until: Instant): void {
    this.#options.evaluate();
    if (this.#guard.phase.kind !== 'tenure' || this.#guard.phase.tenure.epoch !== epoch)
      throw refused(`epoch ${epoch} is not held (L7)`);
    if (this.#guard.kept !== null) throw refused('a restart is under way already (L7)');
    const limit = this.#guard.now + MAX_RESTART_MS;
    if (until > limit) throw refused(`a restart of more than ${MAX_RESTART_MS} ms (L7)`);
    this.#guard.kept = { until, phase: 'alone' };
    this.#guard.until = until;
    this.#guard.publish(epoch);
    this.#options.armDeadline();
    this.#guard.log('info', { event: 'tenure-kept', epoch, forMs: Math.round(until - this.#guard.now) });
    this.#options.evaluate();
  }

  /** A new agent is there for what was kept: from here on it must not go (O1). The deadline stands. */
  awaitAdoption(epoch: Epoch): Instant {
    this.#options.evaluate();
    if (
      this.#guard.phase.kind !== 'tenure' ||
      this.#guard.phase.tenure.epoch !== epoch ||
      this.#guard.kept?.phase !== 'alone'
    )
      throw refused(`epoch ${epoch} is not kept (L7)`);
    this.#guard.kept = { ...this.#guard.kept, phase: 'asked' };
    return this.#guard.kept.until;
  }

  /**
   * Before the adoption is written, which ends the waiting of the others: from here on the lease of the new term bounds the
   * tenure as ever, besides the deadline.
   */
  async bind(epoch: Epoch, term: Term, until: Instant): Promise<void> {
    this.#options.evaluate();
    if (
      this.#guard.phase.kind !== 'tenure' ||
      this.#guard.phase.tenure.epoch !== epoch ||
      this.#guard.kept?.phase !== 'asked'
    )
      throw refused(`epoch ${epoch} is not kept for adoption (L7)`);
    assert(this.#guard.timing !== null, 'a tenure has a timing');
    this.#guard.kept = { ...this.#guard.kept, phase: 'bound' };
    this.#guard.phase = { kind: 'tenure', tenure: { ...this.#guard.phase.tenure, term } };
    this.#guard.until = instant(0);
    this.#guard.confirmedAt = instant(0);
    this.#guard.extend(until);
    this.#guard.publish(epoch);
    this.#options.armDeadline();
    await this.#options.state.update({ begunTerm: term }, 'written');
    this.#options.evaluate();
    if (!this.#options.mayAct(epoch)) throw refused(`the lease of term ${term} is over`);
  }

  /** The adoption is committed: no deadline any more but the lease. */
  adopt(epoch: Epoch, until: Instant): void {
    this.#options.evaluate();
    if (
      this.#guard.phase.kind !== 'tenure' ||
      this.#guard.phase.tenure.epoch !== epoch ||
      this.#guard.kept?.phase !== 'bound'
    )
      throw refused(`epoch ${epoch} is not kept for adoption (L7)`);
    this.#guard.kept = null;
    this.#guard.extend(until);
    this.#guard.publish(epoch);
    this.#guard.log('info', { event: 'tenure-adopted', epoch, term: this.#guard.phase.tenure.term });
  }
}
