/**
 * A hardware watchdog, outside the host: unpetted for `W`, it cuts the power, and the host boots again.
 *
 * Modelled: it goes on while the host is frozen; a process that dies leaves it ticking; only the orderly close stops it.
 * Not modelled: one that does not fire, and whole seconds.
 */
import { QuorateError } from '../../../src/errors.ts';
import type { Watchdog } from '../../../src/executor/watchdog.ts';
import type { Host, HostPart, Thread } from '../engine/host.ts';
import type { Scheduled } from '../engine/world.ts';

export class WatchdogDevice implements HostPart {
  readonly #host: Host;
  readonly #timeoutMs: number;
  readonly #onFire: () => void;
  readonly #rate: number;
  #petAt: number | null = null;
  #due: Scheduled | null = null;
  #opener: Thread | null = null;

  constructor(host: Host, timeoutMs: number, clockErrorRate: number, onFire: () => void) {
    this.#host = host;
    this.#timeoutMs = timeoutMs;
    this.#onFire = onFire;
    this.#rate = 1 + clockErrorRate * (2 * host.world.random(`watchdog ${host.id}`)() - 1);
    host.parts.push(this);
  }

  powerOff(): void {
    this.#stop();
    this.#opener = null;
  }

  async open(thread: Thread): Promise<Watchdog> {
    if (this.#opener?.isAlive === true) throw new QuorateError('watchdog-unusable', 'the device is busy');
    this.#opener = thread;
    this.#pet();
    return {
      timeoutMs: this.#timeoutMs,
      canDisarm: true,
      pet: () => this.#pet(),
      disarm: async () => {
        this.#stop();
        this.#opener = null;
      },
      onLost: () => undefined,
    };
  }

  #pet(): void {
    const { world } = this.#host;
    this.#petAt = world.now;
    if (this.#due === null) this.#arm(this.#timeoutMs / this.#rate);
  }

  #arm(waitMs: number): void {
    const { world } = this.#host;
    this.#due = world.after(waitMs, () => {
      this.#due = null;
      if (this.#petAt === null) return;
      const leftMs = this.#petAt + this.#timeoutMs / this.#rate - world.now;
      if (leftMs > 1e-6) return this.#arm(leftMs);
      this.#petAt = null;
      this.#host.say('the watchdog fires');
      world.marks.add('watchdog-fires');
      this.#onFire();
    });
  }

  #stop(): void {
    this.#petAt = null;
    if (this.#due !== null) this.#due.act = null;
    this.#due = null;
  }
}
