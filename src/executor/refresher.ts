/**
 * What a holder repeats as long as it holds: a floating address is announced again and again, because neighbours forget it, and a
 * node that was cut off may have told them otherwise: often at first, and at once after somebody else has answered for it. And
 * the second port asks its gateway, because a cable that is dead in one direction still has a carrier.
 */
import type { Clock } from '../clock.ts';
import type { Epoch } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { Resource } from '../resources/index.ts';
import type { LogLevel } from './guard-protocol.ts';
import type { Guard } from './guard-proxy.ts';
import { words } from './protocol.ts';

interface Pace {
  readonly first: number;
  readonly later: number;
}
const PACE_MS: ReadonlyMap<Resource['kind'], Pace> = new Map([
  ['virtual-ip', { first: 1000, later: 10_000 }],
  ['port', { first: 2000, later: 2000 }],
]);
const FIRST_MS = 40_000;
const LIMIT_MS = 3000;

export interface RefresherOptions {
  readonly graph: readonly { readonly name: string; readonly kind: Resource['kind'] }[];
  readonly guard: Guard;
  readonly clock: Clock;
  /** Something is not as it should be any more. */
  readonly onTrouble: () => void;
  readonly log: (level: LogLevel, fields: Readonly<Record<string, unknown>>) => void;
}

interface Entry {
  readonly name: string;
  readonly pace: Pace;
  nextAt: number;
  isRunning: boolean;
  isInTrouble: boolean;
}

export class Refresher {
  readonly #options: RefresherOptions;
  readonly #entries: readonly Entry[];
  #tenure: { readonly epoch: Epoch; readonly since: number } | null = null;

  constructor(options: RefresherOptions) {
    this.#options = options;
    this.#entries = options.graph.flatMap(({ name, kind }) => {
      const pace = PACE_MS.get(kind);
      return pace === undefined ? [] : [{ name, pace, nextAt: 0, isRunning: false, isInTrouble: false }];
    });
  }

  /** Every second or so. `held`: the epoch that holds everything, null while none does. */
  look(held: Epoch | null): void {
    const now = this.#options.clock.now();
    if (held === null) {
      this.#tenure = null;
      return;
    }
    if (this.#tenure?.epoch !== held) {
      this.#tenure = { epoch: held, since: now };
      for (const entry of this.#entries) entry.isInTrouble = false;
    }
    const phase = now < this.#tenure.since + FIRST_MS ? 'first' : 'later';
    for (const entry of this.#entries) {
      if (entry.isRunning || now < entry.nextAt) continue;
      entry.nextAt = now + entry.pace[phase];
      void this.#refresh(entry, held);
    }
  }

  async #refresh(entry: Entry, epoch: Epoch): Promise<void> {
    const { guard, log, onTrouble } = this.#options;
    const { name } = entry;
    entry.isRunning = true;
    try {
      const { outcome, said } = await guard.ask({ op: 'refresh', name, epoch, limitMs: LIMIT_MS });
      if (outcome !== 'well') entry.nextAt = 0;
      const isInTrouble = outcome === 'trouble' || (outcome === 'unclear' && entry.isInTrouble);
      if (isInTrouble === entry.isInTrouble) return;
      entry.isInTrouble = isInTrouble;
      log(isInTrouble ? 'error' : 'info', { event: isInTrouble ? 'trouble' : 'trouble-ended', name, said });
      onTrouble();
    } catch (error) {
      // A release has called it off.
      if (error instanceof QuorateError && error.code === 'order-ended') return;
      log('warn', { event: 'refresh-failed', name, why: words(error) });
    } finally {
      entry.isRunning = false;
    }
  }
}
