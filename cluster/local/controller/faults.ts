/**
 * Faults, switchable at run time. What happens to a call is decided once, when it arrives: the same seed and the
 * same order of calls (and the same faults set) give the same decisions. Only token buckets depend on time.
 */
import { z } from 'zod';
import { inCidr } from './cidr.ts';
import { RandomStream } from './random.ts';
import { MAX_VISIBILITY_DELAY_MS } from './store.ts';

const delayMs = z.number().min(0).max(600_000);
const match = {
  /** Action names, of EC2 or ELB; absent means all. */
  actions: z.array(z.string()).min(1).optional(),
  /** Source addresses or blocks (`127.31.2.1`, `127.31.2.0/24`); absent means all. */
  sources: z.array(z.string()).min(1).optional(),
  accessKeys: z.array(z.string()).min(1).optional(),
  /** Of the matching calls, drawn with the seed. */
  probability: z.number().min(0).max(1).default(1),
  /** Only so many more matching calls; absent means without end. */
  next: z.int().min(0).optional(),
};

const RuleSchema = z.discriminatedUnion('kind', [
  /** Never executed: the connection is reset, or nothing ever comes back. */
  z.strictObject({
    kind: z.literal('unreachable'),
    how: z.enum(['reset', 'blackhole']).default('reset'),
    ...match,
  }),
  /** The way there and back: half before the call is executed, half before the reply is sent. */
  z.strictObject({ kind: z.literal('latency'), ms: delayMs, jitterMs: delayMs.default(0), ...match }),
  /** Accepted, executed after `ms`, even when the client has gone away meanwhile. */
  z.strictObject({ kind: z.literal('late'), ms: delayMs, ...match }),
  /** Executed, but the reply is lost. */
  z.strictObject({
    kind: z.literal('lost-reply'),
    how: z.enum(['reset', 'silence']).default('reset'),
    ...match,
  }),
  z.strictObject({ kind: z.literal('unauthorized'), ...match }),
  /** The service's own answer to who calls too often, drawn; `throttle` has the bucket that empties. */
  z.strictObject({ kind: z.literal('throttled'), ...match }),
  /** Any other error; `executed` true is the "outcome unknown" case: it says InternalError and did it all the same. */
  z.strictObject({
    kind: z.literal('error'),
    code: z.string().default('InternalError'),
    message: z.string().default('An internal error has occurred'),
    status: z.int().min(400).max(599).default(500),
    executed: z.boolean().default(false),
    ...match,
  }),
]);

export const FaultsSchema = z.strictObject({
  /** Token bucket per action name; `*` gives every other action a bucket of its own with these numbers. */
  throttle: z
    .record(z.string(), z.strictObject({ ratePerSecond: z.number().min(0), burst: z.number().min(0) }))
    .default({}),
  /** Describes show the world of `delayMs` (plus up to `jitterMs`, so not even monotonic) ago. */
  visibility: z
    .strictObject({
      delayMs: z.number().min(0).max(MAX_VISIBILITY_DELAY_MS).default(0),
      jitterMs: z.number().min(0).max(MAX_VISIBILITY_DELAY_MS).default(0),
      /** A client (source address and access key) sees at least its own changes. */
      readYourWrites: z.boolean().default(true),
    })
    .prefault({}),
  rules: z.array(RuleSchema).max(100).default([]),
});

export type Faults = z.output<typeof FaultsSchema>;
export type FaultsInput = z.input<typeof FaultsSchema>;
type Rule = Faults['rules'][number];

export interface ArrivingCall {
  readonly action: string;
  readonly source: string;
  readonly accessKey: string | null;
  readonly nowMs: number;
}

export interface Decision {
  /** Names of the faults that touch this call, for the history. */
  readonly faults: readonly string[];
  readonly unreachable: 'reset' | 'blackhole' | null;
  readonly delayBeforeMs: number;
  readonly delayAfterMs: number;
  readonly isThrottled: boolean;
  readonly isUnauthorized: boolean;
  readonly error: { code: string; message: string; status: number; executed: boolean } | null;
  readonly lostReply: 'reset' | 'silence' | null;
  readonly viewDelayMs: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

export class FaultControl {
  readonly #seed: number;
  #faults: Faults;
  #generation = 0;
  #remaining: (number | undefined)[] = [];
  #streams: RandomStream[] = [];
  #viewStream: RandomStream;
  #buckets = new Map<string, Bucket>();

  constructor(seed: number, faults: FaultsInput = {}) {
    this.#seed = seed;
    this.#viewStream = new RandomStream(seed, 'view');
    this.#faults = FaultsSchema.parse({});
    this.set(faults);
  }

  /** Replaces all faults, refills the buckets and counters. Throws ZodError on nonsense. */
  set(input: FaultsInput): void {
    this.#faults = FaultsSchema.parse(input);
    this.#generation++;
    this.#remaining = this.#faults.rules.map((rule) => rule.next);
    const name = (what: string) => `faults ${this.#generation} ${what}`;
    this.#streams = this.#faults.rules.map((_, index) => new RandomStream(this.#seed, name(`rule ${index}`)));
    this.#viewStream = new RandomStream(this.#seed, name('view'));
    this.#buckets = new Map();
  }

  /** As set, with `next` counted down. */
  get(): Faults {
    const rules = this.#faults.rules.map((rule, index) => {
      const next = this.#remaining[index];
      return next === undefined ? rule : { ...rule, next };
    });
    return { ...this.#faults, rules };
  }

  decide(call: ArrivingCall): Decision {
    let decision: Decision = {
      faults: [],
      unreachable: null,
      delayBeforeMs: 0,
      delayAfterMs: 0,
      isThrottled: false,
      isUnauthorized: false,
      error: null,
      lostReply: null,
      viewDelayMs: this.#viewDelayMs(),
    };
    for (const [index, rule] of this.#faults.rules.entries()) {
      if (!matches(rule, call) || !this.#strikes(rule, index)) continue;
      decision = { ...this.#apply(rule, index, decision), faults: [...decision.faults, rule.kind] };
    }
    // A call that never arrives takes no token.
    if (decision.unreachable === null && !this.#takeToken(call)) {
      decision = { ...decision, isThrottled: true, faults: [...decision.faults, 'throttle'] };
    }
    return decision;
  }

  #strikes(rule: Rule, index: number): boolean {
    const remaining = this.#remaining[index];
    if (remaining === 0) return false;
    if ((this.#streams[index]?.next() ?? 0) >= rule.probability) return false;
    if (remaining !== undefined) this.#remaining[index] = remaining - 1;
    return true;
  }

  #apply(rule: Rule, index: number, before: Decision): Decision {
    switch (rule.kind) {
      case 'unreachable':
        return { ...before, unreachable: rule.how };
      case 'latency': {
        const ms = rule.ms + (this.#streams[index]?.next() ?? 0) * rule.jitterMs;
        return {
          ...before,
          delayBeforeMs: before.delayBeforeMs + ms / 2,
          delayAfterMs: before.delayAfterMs + ms / 2,
        };
      }
      case 'late':
        return { ...before, delayBeforeMs: before.delayBeforeMs + rule.ms };
      case 'lost-reply':
        return { ...before, lostReply: rule.how };
      case 'unauthorized':
        return { ...before, isUnauthorized: true };
      case 'throttled':
        return { ...before, isThrottled: true };
      case 'error':
        return { ...before, error: rule };
    }
  }

  #viewDelayMs(): number {
    const { delayMs: least, jitterMs } = this.#faults.visibility;
    return jitterMs === 0 ? least : least + this.#viewStream.next() * jitterMs;
  }

  #takeToken({ action, nowMs }: ArrivingCall): boolean {
    const { throttle } = this.#faults;
    // Own properties only: the action's name comes from outside, and may be "constructor".
    const limit = Object.hasOwn(throttle, action) ? throttle[action] : throttle['*'];
    if (limit === undefined) return true;
    const bucket = this.#buckets.get(action) ?? { tokens: limit.burst, atMs: nowMs };
    const refill = ((nowMs - bucket.atMs) / 1000) * limit.ratePerSecond;
    const tokens = Math.min(limit.burst, bucket.tokens + refill);
    const isTaken = tokens >= 1;
    this.#buckets.set(action, { tokens: isTaken ? tokens - 1 : tokens, atMs: nowMs });
    return isTaken;
  }
}

function matches(rule: Rule, call: ArrivingCall): boolean {
  if (rule.actions !== undefined && !rule.actions.includes(call.action)) return false;
  if (rule.sources !== undefined && !rule.sources.some((block) => inCidr(call.source, block))) return false;
  return (
    rule.accessKeys === undefined || (call.accessKey !== null && rule.accessKeys.includes(call.accessKey))
  );
}
