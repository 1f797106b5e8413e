/**
 * H6: whether the repairs of a resource last. What has read as held for a minute without a break is well again; until then every
 * repair counts, however long it took: a start that hangs for a minute each time is as much in vain as one that fails at once.
 * One that finds the cause outside of this host is enough: no command of ours plugs a cable in again.
 */
import type { Instant } from '../core/index.ts';
import type { Probe } from '../resources/index.ts';

/** So many repairs, with no such calm in between, are in vain. */
const STUCK_REPAIRS = 3;
const CALM_MS = 60_000;

interface Entry {
  count: number;
  /** What the last one said. */
  why: string;
  heldSince: Instant | null;
  isBeyondRepair: boolean;
}

export class RepairHistory {
  readonly #entries = new Map<string, Entry>();

  /** With every look at the resources. */
  observe(observed: ReadonlyMap<string, Probe>, now: Instant): void {
    for (const [name, entry] of this.#entries) {
      const probe = observed.get(name);
      // Unknown is neither well nor lost.
      if (probe === 'held') entry.heldSince ??= now;
      else if (probe === 'not-held') entry.heldSince = null;
      if (entry.heldSince !== null && now - entry.heldSince >= CALM_MS) this.#entries.delete(name);
    }
  }

  add(name: string, why: string, isBeyondRepair = false): void {
    const count = (this.#entries.get(name)?.count ?? 0) + 1;
    this.#entries.set(name, { count, why, heldSince: null, isBeyondRepair });
  }

  /** Null as long as there is hope. */
  inVain(name: string): { readonly count: number; readonly why: string } | null {
    const entry = this.#entries.get(name);
    if (entry === undefined) return null;
    return entry.isBeyondRepair || entry.count >= STUCK_REPAIRS ? entry : null;
  }

  clear(): void {
    this.#entries.clear();
  }
}
