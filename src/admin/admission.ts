/**
 * How often one caller may ask, and how much at a time, by the identity in its certificate: a script that has gone wild must cost
 * neither a heartbeat nor another operator's turn.
 */
import { QuorateError } from '../errors.ts';

export type CallKind = 'question' | 'order';

/** `burst` at once, then `perSecond`. A question costs a fraction of a millisecond, and whoever waits for something asks in a loop. */
export const RATES: Readonly<Record<CallKind, { readonly burst: number; readonly perSecond: number }>> = {
  question: { burst: 2000, perSecond: 1000 },
  order: { burst: 20, perSecond: 2 },
};
/** Calls of one identity at a time, streams among them. */
export const MAX_CALLS = 64;
/** Identities that are remembered; beyond it the one that was heard longest ago starts afresh. */
const MAX_IDENTITIES = 1024;

interface Caller {
  calls: number;
  readonly left: Record<CallKind, number>;
  seenAtMs: number;
}

export class Admission {
  readonly #nowMs: () => number;
  /** The one heard longest ago first. */
  readonly #callers = new Map<string, Caller>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /**
   * Takes a call in; what is returned says that it has ended, and may be called twice.
   * @throws QuorateError `too-many-requests`
   */
  enter(identity: string, kind: CallKind): () => void {
    const caller = this.#refilled(identity);
    if (caller.calls >= MAX_CALLS) throw tooMany(`${identity} has ${MAX_CALLS} calls under way`, 1000);
    if (caller.left[kind] < 1) {
      const waitMs = Math.ceil(((1 - caller.left[kind]) / RATES[kind].perSecond) * 1000);
      throw tooMany(`${identity} asks more often than ${RATES[kind].perSecond} times a second`, waitMs);
    }
    caller.left[kind] -= 1;
    caller.calls += 1;
    let isIn = true;
    return () => {
      if (isIn) caller.calls -= 1;
      isIn = false;
    };
  }

  #refilled(identity: string): Caller {
    const now = this.#nowMs();
    const known = this.#callers.get(identity);
    const caller = known ?? {
      calls: 0,
      left: { question: RATES.question.burst, order: RATES.order.burst },
      seenAtMs: now,
    };
    for (const kind of ['question', 'order'] as const) {
      const refill = ((now - caller.seenAtMs) / 1000) * RATES[kind].perSecond;
      caller.left[kind] = Math.min(RATES[kind].burst, caller.left[kind] + refill);
    }
    caller.seenAtMs = now;
    this.#callers.delete(identity);
    this.#callers.set(identity, caller);
    if (this.#callers.size > MAX_IDENTITIES) this.#forgetOldest();
    return caller;
  }

  #forgetOldest(): void {
    for (const [identity, { calls }] of this.#callers) {
      if (calls > 0) continue;
      this.#callers.delete(identity);
      return;
    }
  }
}

function tooMany(message: string, retryAfterMs: number): QuorateError {
  return new QuorateError('too-many-requests', message, {
    context: { facts: { retry_after_ms: String(retryAfterMs) } },
  });
}
