/**
 * What every resource in the cloud does alike: attempts until the order's time is over, a short jitter between them,
 * reading before acting again, and the errors that a user meets.
 *
 * 1. A call is one attempt of the SDK with its own time-out (O2); trying again is decided here, inside the order.
 * 2. After an unknown outcome, and after a refusal because of an owner, the next attempt reads first (O2).
 * 3. What another attempt cannot change, and a lease that is over, end it at once.
 */
import type { Clock } from '../clock.ts';
import { QuorateError } from '../errors.ts';
import { type Ec2CallOptions, Ec2Failure } from './ec2.ts';
import type { ActionContext, ProbeResult } from './types.ts';

export const MUTATE_TIMEOUT_MS = 2000;
export const READ_TIMEOUT_MS = 1000;
/** How long our own success outweighs a reading that disagrees: EC2 is eventually consistent (d.0, 3). */
export const SETTLE_MS = 2000;
/** Attempts of one order; its deadline and the lease are the real bound. */
export const MAX_ATTEMPTS = 40;
/** With less left an order does not try again: a call that its end cuts off has an unknown outcome, and the last one had a reason. */
const LEAST_LEFT_MS = 100;
const THROTTLE_JITTER_MS = { least: 50, most: 200 } as const;

export interface CloudSetting {
  /** The resource's name, for messages. */
  readonly name: string;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  /** Who is called, for messages. */
  readonly endpoint: string;
}

/** What the attempts of one order know of each other. */
export interface Attempt {
  /** Something may have been executed, or somebody has it: look first, then set this to false. */
  mustRead: boolean;
}

export class CloudAttempts {
  readonly #setting: CloudSetting;

  constructor(setting: CloudSetting) {
    this.#setting = setting;
  }

  /** Calls `act` until it succeeds; throws a QuorateError when it cannot, or when the order's time is over. */
  async untilDone<Result>(
    context: ActionContext,
    act: (attempt: Attempt) => Promise<Result>,
  ): Promise<Result> {
    const attempt: Attempt = { mustRead: false };
    let last: Ec2Failure | null = null;
    for (let count = 1; count <= MAX_ATTEMPTS && this.#mayTry(context, count); count++) {
      try {
        return await act(attempt);
      } catch (error) {
        if (!(error instanceof Ec2Failure)) throw error;
        last = error;
        if (error.kind === 'permanent' || error.kind === 'aborted') throw this.refusal(error);
        // Whatever may have been executed, or was refused because of its owner: look first (O2).
        if (error.kind === 'unknown-outcome' || error.kind === 'already-associated') attempt.mustRead = true;
        if (error.kind !== 'already-associated') await this.pause(context);
      }
    }
    throw last === null
      ? new QuorateError('order-ended', `${this.#setting.name}: the order's time is over`)
      : this.refusal(last);
  }

  #mayTry(context: ActionContext, count: number): boolean {
    const leftMs = context.deadline - this.#setting.clock.now();
    return !context.signal.aborted && leftMs > (count === 1 ? 0 : LEAST_LEFT_MS);
  }

  isOver(context: ActionContext): boolean {
    return context.signal.aborted || this.#setting.clock.now() >= context.deadline;
  }

  /** The options of one call: its own limit, or what is left of the order. */
  call(context: ActionContext, limitMs: number): Ec2CallOptions {
    const left = Math.max(1, context.deadline - this.#setting.clock.now());
    return { signal: context.signal, timeoutMs: Math.min(limitMs, left) };
  }

  reading(context: ActionContext): Ec2CallOptions {
    return this.call(context, READ_TIMEOUT_MS);
  }

  mutating(context: ActionContext): Ec2CallOptions {
    return this.call(context, MUTATE_TIMEOUT_MS);
  }

  /** 50 to 200 ms: the SDK's own back-off of up to a second is too long for a takeover (ec2.md, 4). */
  pause(context: ActionContext): Promise<void> {
    const { least, most } = THROTTLE_JITTER_MS;
    const jitterMs = least + this.#setting.random() * (most - least);
    return this.#setting.clock.sleep(jitterMs, context.signal);
  }

  /** H4: what cannot be read is unknown, whatever the reason. */
  unknown(error: unknown): ProbeResult {
    if (error instanceof Ec2Failure) return { probe: 'unknown', detail: this.refusal(error).message };
    return { probe: 'unknown', detail: error instanceof Error ? error.message : String(error) };
  }

  refusal(failure: Ec2Failure): QuorateError {
    const { name, endpoint } = this.#setting;
    const context = { code: failure.code, endpoint };
    const said = `${failure.code}: ${failure.message}`;
    switch (failure.kind) {
      case 'unreachable':
        return new QuorateError(
          'cloud-unreachable',
          `${name}: no answer from ${endpoint} (${failure.code})`,
          {
            cause: failure,
            context,
          },
        );
      case 'unknown-outcome':
        return new QuorateError('cloud-unknown-outcome', `${name}: ${said}`, { cause: failure, context });
      case 'throttled':
        return new QuorateError('cloud-throttled', `${name}: ${said}`, { cause: failure, context });
      case 'aborted':
        return new QuorateError('order-ended', `${name}: the call was aborted`, { cause: failure, context });
      case 'already-associated':
      case 'permanent':
        return new QuorateError('cloud-refused', `${name}: ${said}`, { cause: failure, context });
    }
  }
}
