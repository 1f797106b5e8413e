/**
 * Orders to fence (R5): stop the machine of a node that may still hold.
 *
 * 1. The cloud is told to stop only while the node that ordered it leads: until the instant that came with the order, and only if
 *    the round that this rests on was sent after the last suspend of this host (T3). Reading how far it has got is always allowed.
 * 2. One order at a time: a new one calls the old one off, and so does the end of the agent that gave it.
 * 3. Only `stopped` and `terminated` are confirmed; everything else, also an error, is not.
 */
import type { Clock } from '../clock.ts';
import { type Instant, instant, type NodeId } from '../core/index.ts';
import type { ActionContext } from '../resources/index.ts';
import { words } from './protocol.ts';
import { ResumeWatch, SuspendCheck } from './suspend-check.ts';

/** A stop without a shutdown takes seconds; a graceful one, where the cloud insists, minutes. */
export const FENCE_LIMIT_MS = 300_000;

export type FenceOutcome =
  | { readonly kind: 'confirmed'; readonly state: 'stopped' | 'terminated'; readonly ms: number }
  | { readonly kind: 'unconfirmed'; readonly why: string };

/** Stops machines; its mutating calls ask `mayMutate` of the orders right before they leave. */
export interface NodeFencer {
  fence(node: NodeId, context: ActionContext): Promise<FenceOutcome>;
}

export interface FenceOrdersOptions {
  readonly clock: Clock;
  readonly bootMs?: () => number;
  /** Null where no instance is configured. */
  readonly fencer: (mayMutate: () => boolean) => NodeFencer | null;
}

export interface FenceRequest {
  readonly node: NodeId;
  readonly until: Instant;
  readonly confirmedAt: Instant;
}

export interface FenceEnded {
  readonly outcome: 'stopped' | 'terminated' | 'unconfirmed';
  readonly detail: string;
  readonly ms: number;
}

export class FenceOrders {
  readonly #clock: Clock;
  readonly #resumes: ResumeWatch;
  readonly #fencer: NodeFencer | null;
  #running: AbortController | null = null;
  #until: Instant = instant(0);
  #confirmedAt: Instant = instant(0);

  constructor(options: FenceOrdersOptions) {
    this.#clock = options.clock;
    const now = (): Instant => options.clock.now();
    this.#resumes = new ResumeWatch(new SuspendCheck(now, options.bootMs), now);
    this.#fencer = options.fencer(() => this.#mayMutate());
  }

  /** Of the agent that is gone. */
  callOff(): void {
    this.#running?.abort();
    this.#until = instant(0);
  }

  async fence({ node, until, confirmedAt }: FenceRequest): Promise<FenceEnded> {
    const startedAt = this.#clock.now();
    const ended = (outcome: FenceEnded['outcome'], detail: string): FenceEnded => ({
      outcome,
      detail,
      ms: Math.round(this.#clock.now() - startedAt),
    });
    if (this.#fencer === null) return ended('unconfirmed', 'no instances are configured (fencing.instances)');
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    this.#until = until;
    this.#confirmedAt = confirmedAt;
    try {
      const deadline = instant(startedAt + FENCE_LIMIT_MS);
      const result = await this.#fencer.fence(node, { deadline, signal: running.signal });
      return result.kind === 'confirmed'
        ? ended(result.state, `${node} is ${result.state}`)
        : ended('unconfirmed', result.why);
    } catch (error) {
      return ended('unconfirmed', words(error));
    } finally {
      if (this.#running === running) this.#running = null;
    }
  }

  #mayMutate(): boolean {
    return this.#confirmedAt > this.#resumes.look() && this.#clock.now() < this.#until;
  }
}
