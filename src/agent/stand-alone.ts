/**
 * For the audit: from when to when a tenure went on while DRBD stood alone, on the one copy that is being written. A split brain
 * is never recovered by anybody but an operator (O3), who must be able to see afterwards who was the holder meanwhile.
 */
import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import type { Epoch, Instant } from '../core/index.ts';
import { DEGRADED } from '../degraded.ts';
import type { ExecutorEvent } from '../executor/index.ts';
import type { Driver } from './driver.ts';

/**
 * D4: the log records transitions; the end of one that comes and goes is told no more often than this. Only the end waits: the log
 * may call a holder degraded that is not any more, and never the other way round.
 */
const END_EVERY_MS = 3_600_000;

/** What the log has been told under one epoch: the note of a tenure says nothing about the next one. */
interface Told {
  readonly epoch: Epoch;
  /** It waits for the end of it. */
  readonly isOpen: boolean;
  readonly endedAt: Instant | null;
}

export class StandAlone {
  readonly #driver: Pick<Driver, 'view' | 'propose'>;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** By resource. */
  readonly #told = new Map<string, Told>();

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
      const { epoch } = hold;
      const last = this.#told.get(name);
      const told: Told = last?.epoch === epoch ? last : { epoch, isOpen: false, endedAt: null };
      if (detail.startsWith(DEGRADED)) {
        const text = `degraded (epoch ${epoch}): ${name}: ${detail.slice(DEGRADED.length)}`;
        if (!told.isOpen && this.#tell('stands-alone', name, text))
          this.#told.set(name, { ...told, isOpen: true });
      } else if (told.isOpen && this.#mayEnd(told)) {
        const text = `no longer degraded (epoch ${epoch}): ${name} does not stand alone any more`;
        if (this.#tell('connected', name, text))
          this.#told.set(name, { epoch, isOpen: false, endedAt: this.#clock.now() });
      }
    }
  }

  #mayEnd({ endedAt }: Told): boolean {
    return endedAt === null || this.#clock.now() >= endedAt + END_EVERY_MS;
  }

  #tell(event: string, name: string, text: string): boolean {
    if ('refused' in this.#driver.propose({ kind: 'note', text })) return false;
    this.#log[event === 'connected' ? 'info' : 'error']({ event, name }, text);
    return true;
  }
}
