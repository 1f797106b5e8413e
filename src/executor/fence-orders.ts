/**
 * Orders to fence (R5): stop the machine of a node that may still hold.
 *
 * 1. The cloud is told to stop only while the node that ordered it leads: until the instant that came with the order, and not
 *    after a suspend of this host (T3). Reading how far it has got is always allowed.
 * 2. One order at a time: a new one calls the old one off.
 * 3. Only `stopped` and `terminated` are confirmed; everything else, also an error, is not.
 */
import type { Clock } from '../clock.ts';
import { type Instant, instant, type NodeId } from '../core/index.ts';
import type { ActionContext } from '../resources/index.ts';
import { words } from './protocol.ts';
import { isStillApart, ResumeWatch, SuspendCheck } from './suspend-check.ts';

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

export interface FenceEnded {
  readonly outcome: 'stopped' | 'terminated' | 'unconfirmed';
  readonly detail: string;
  readonly ms: number;
}

export class FenceOrders {
  readonly #clock: Clock;
  readonly #bootMs: (() => number) | undefined;
  readonly #fencer: NodeFencer | null;
  #running: AbortController | null = null;
  #until: Instant = instant(0);
  #distanceMs = Number.NaN;

  constructor(options: FenceOrdersOptions) {
    this.#clock = options.clock;
    this.#bootMs = options.bootMs;
    this.#fencer = options.fencer(() => this.#mayMutate());
  }

  async fence({ node, until }: { readonly node: NodeId; readonly until: Instant }): Promise<FenceEnded> {
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
    this.#distanceMs = new ResumeWatch(new SuspendCheck(() => this.#clock.now(), this.#bootMs), () =>
      this.#clock.now(),
    ).distanceMs;
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
    const now = (): Instant => this.#clock.now();
    return isStillApart(this.#distanceMs, now, this.#bootMs) && now() < this.#until;
  }
}
