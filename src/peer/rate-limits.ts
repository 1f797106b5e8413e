/** How often something that costs may begin: by address, and altogether for addresses that nobody has vouched for. */

/** `burst` at once, then `perSecond`. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/** Addresses that are remembered; beyond it the one that was heard longest ago starts afresh, within the limit for all. */
const MAX_ADDRESSES = 4096;

interface Bucket {
  left: number;
  at: number;
}

export class RateLimits {
  readonly #perAddress: Rate;
  readonly #others: Rate;
  /** The one heard longest ago first. */
  readonly #buckets = new Map<string, Bucket>();
  #all: Bucket | null = null;

  constructor(perAddress: Rate, others: Rate) {
    this.#perAddress = perAddress;
    this.#others = others;
  }

  /** False: not now, and nothing is used up. `favoured`: the limit for all does not count. */
  take(address: string, favoured: boolean, nowMs: number): boolean {
    const own = refilled(this.#buckets.get(address) ?? null, this.#perAddress, nowMs);
    this.#buckets.delete(address);
    this.#buckets.set(address, own);
    this.#forget();
    if (own.left < 1) return false;
    if (!favoured) {
      this.#all = refilled(this.#all, this.#others, nowMs);
      if (this.#all.left < 1) return false;
      this.#all.left -= 1;
    }
    own.left -= 1;
    return true;
  }

  #forget(): void {
    if (this.#buckets.size <= MAX_ADDRESSES) return;
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}

function refilled(bucket: Bucket | null, { burst, perSecond }: Rate, nowMs: number): Bucket {
  if (bucket === null) return { left: burst, at: nowMs };
  const left = Math.min(burst, bucket.left + ((nowMs - bucket.at) / 1000) * perSecond);
  return { left, at: nowMs };
}
