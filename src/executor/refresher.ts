/**
 * What a holder repeats as long as it holds: a floating address is announced again and again, because neighbours forget it, and a
 * node that was cut off may have told them otherwise. Often at first, and at once after somebody else has answered for it.
 */
import type { Clock } from '../clock.ts';
import type { Epoch } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { Resource } from '../resources/index.ts';
import type { LogLevel } from './guard-protocol.ts';
import type { Guard } from './guard-proxy.ts';
import { words } from './protocol.ts';

const REFRESHED_KINDS: ReadonlySet<Resource['kind']> = new Set(['virtual-ip']);
const PACE_MS = { first: 1000, later: 10_000 } as const;
const FIRST_MS = 40_000;
const LIMIT_MS = 3000;
const CONFLICT = 'conflict:';

export interface RefresherOptions {
  readonly graph: readonly { readonly name: string; readonly kind: Resource['kind'] }[];
  readonly guard: Guard;
  readonly clock: Clock;
  readonly log: (level: LogLevel, fields: Readonly<Record<string, unknown>>) => void;
}

interface Entry {
  readonly name: string;
  nextAt: number;
  isRunning: boolean;
  hasConflict: boolean;
}

export class Refresher {
  readonly #options: RefresherOptions;
  readonly #entries: readonly Entry[];
  #tenure: { readonly epoch: Epoch; readonly since: number } | null = null;

  constructor(options: RefresherOptions) {
    this.#options = options;
    this.#entries = options.graph
      .filter(({ kind }) => REFRESHED_KINDS.has(kind))
      .map(({ name }) => ({ name, nextAt: 0, isRunning: false, hasConflict: false }));
  }

  /** Every second or so. `held`: the epoch that holds everything, null while none does. */
  look(held: Epoch | null): void {
    const now = this.#options.clock.now();
    if (held === null) {
      this.#tenure = null;
      return;
    }
    if (this.#tenure?.epoch !== held) this.#tenure = { epoch: held, since: now };
    const paceMs = now < this.#tenure.since + FIRST_MS ? PACE_MS.first : PACE_MS.later;
    for (const entry of this.#entries) {
      if (entry.isRunning || now < entry.nextAt) continue;
      entry.nextAt = now + paceMs;
      void this.#refresh(entry, held);
    }
  }

  async #refresh(entry: Entry, epoch: Epoch): Promise<void> {
    const { guard, log } = this.#options;
    const { name } = entry;
    entry.isRunning = true;
    try {
      const said = await guard.ask({ op: 'refresh', name, epoch, limitMs: LIMIT_MS });
      const hasConflict = said.startsWith(CONFLICT);
      if (hasConflict) entry.nextAt = 0;
      if (hasConflict !== entry.hasConflict)
        log(hasConflict ? 'error' : 'info', {
          event: hasConflict ? 'conflict' : 'conflict-ended',
          name,
          said,
        });
      entry.hasConflict = hasConflict;
    } catch (error) {
      // A release has called it off.
      if (error instanceof QuorateError && error.code === 'order-ended') return;
      log('warn', { event: 'refresh-failed', name, why: words(error) });
    } finally {
      entry.isRunning = false;
    }
  }
}
