/**
 * For the audit: from when to when a tenure went on while DRBD stood alone, on the one copy that is being written. A split brain
 * is never recovered by anybody but an operator (O3), who must be able to see afterwards who was the holder meanwhile.
 */
import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import type { Instant } from '../core/index.ts';
import { DEGRADED } from '../degraded.ts';
import type { ExecutorEvent } from '../executor/index.ts';
import type { Driver } from './driver.ts';

/** D4: the log records transitions; one that comes and goes is told no more often than this. */
const TELL_EVERY_MS = 3_600_000;

export class StandAlone {
  readonly #driver: Pick<Driver, 'view' | 'propose'>;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** By resource: when the log was told, and whether it waits for the end of it. */
  readonly #told = new Map<string, { readonly at: Instant; isOpen: boolean }>();

  constructor(driver: Pick<Driver, 'view' | 'propose'>, clock: Clock, log: Logger) {
    this.#driver = driver;
    this.#clock = clock;
    this.#log = log;
  }

  onProbes({ resources }: Extract<ExecutorEvent, { kind: 'probes' }>): void {
    const { mayHold, hold } = this.#driver.view;
    if (!mayHold || hold.kind !== 'held') return;
    for (const { name, kind, probe, detail } of resources) {
      if (kind !== 'drbd' || probe === 'unknown') continue;
      const told = this.#told.get(name);
      if (detail.startsWith(DEGRADED)) {
        const isTold = told !== undefined && (told.isOpen || this.#clock.now() < told.at + TELL_EVERY_MS);
        const text = `degraded (epoch ${hold.epoch}): ${name}: ${detail.slice(DEGRADED.length)}`;
        if (isTold || !this.#tell('stands-alone', name, text)) continue;
        this.#told.set(name, { at: this.#clock.now(), isOpen: true });
      } else if (told?.isOpen === true) {
        const text = `no longer degraded (epoch ${hold.epoch}): ${name} does not stand alone any more`;
        if (this.#tell('connected', name, text)) told.isOpen = false;
      }
    }
  }

  #tell(event: string, name: string, text: string): boolean {
    if ('refused' in this.#driver.propose({ kind: 'note', text })) return false;
    this.#log[event === 'connected' ? 'info' : 'error']({ event, name }, text);
    return true;
  }
}
