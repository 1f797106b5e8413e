/**
 * Hosts and the threads that run on them.
 *
 * Modelled: power (off: everything volatile is gone), freezes of a whole host, of a process or of one thread, suspend (the
 * monotonic clock stands still, the boot clock does not, T3), clocks whose rate is wrong, jumps of the wall clock, the
 * watchdog's reset. A frozen thread finds everything that came meanwhile when it goes on: timers first or messages first.
 * Not modelled: how long code takes to run; a step takes no time.
 */
import type { Clock, Timer } from '../../../src/clock.ts';
import { sleepOn } from '../../../src/clock.ts';
import { instant } from '../../../src/core/index.ts';
import type { Random } from '../../../src/core/random.ts';
import type { World } from './world.ts';

/** A thread's timer is late by up to this, as an event loop's is. */
const TIMER_LATENESS_MS = 0.8;
const WALL_START_MS = 1_800_000_000_000;

/** What must happen on a host when its power goes, comes, or its time stops. */
export interface HostPart {
  powerOff?(): void;
  powerOn?(): void;
  frozen?(): void;
  thawed?(): void;
}

export class Host {
  readonly id: string;
  readonly world: World;
  readonly #random: Random;
  readonly #rate: number;
  readonly parts: HostPart[] = [];
  isOn = true;
  boots = 1;
  #bootedAt: number;
  #suspendedMs = 0;
  #wallOffsetMs = 0;
  #frozenUntil = 0;
  #suspendedUntil = 0;
  readonly threads = new Set<Thread>();

  constructor(world: World, id: string, clockErrorRate: number) {
    this.world = world;
    this.id = id;
    this.#random = world.random(`host ${id}`);
    this.#rate = 1 + clockErrorRate * (2 * this.#random() - 1);
    this.#bootedAt = -1_000 - 60_000 * this.#random();
  }

  /** CLOCK_MONOTONIC, in whole ns: the sum alone may fall by its last bit. */
  get monotonicMs(): number {
    const ms = (this.world.now - this.#bootedAt) * this.#rate - this.#suspendedMs;
    return Math.round(ms * 1e6) / 1e6;
  }
  /** CLOCK_BOOTTIME, in steps of 10 ms (T3). */
  get bootMs(): number {
    return Math.floor((this.monotonicMs + this.#suspendedMs) / 10) * 10;
  }
  get wallMs(): number {
    return Math.round(WALL_START_MS + this.world.now + this.#wallOffsetMs);
  }
  get rate(): number {
    return this.#rate;
  }
  get isFrozen(): boolean {
    return this.world.now < this.#frozenUntil;
  }
  /** CLOCK_MONOTONIC stands still (T3). */
  get isSuspended(): boolean {
    return this.isOn && this.world.now < this.#suspendedUntil;
  }
  /** Its programs and its kernel get time. */
  get isRunning(): boolean {
    return this.isOn && !this.isFrozen;
  }

  say(what: string): void {
    this.world.say(this.id, what);
  }

  jumpWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  freeze(ms: number): void {
    if (!this.isOn) return;
    const until = this.world.now + ms;
    if (until <= this.#frozenUntil) return;
    const wasFrozen = this.isFrozen;
    this.#frozenUntil = until;
    this.world.changes += 1;
    if (!wasFrozen) for (const part of this.parts) part.frozen?.();
    const boots = this.boots;
    this.world.after(ms, () => {
      if (this.boots !== boots || !this.isOn || this.world.now < this.#frozenUntil) return;
      this.say('goes on');
      this.world.changes += 1;
      for (const part of this.parts) part.thawed?.();
      for (const thread of this.threads) thread.goOn();
    });
  }

  /** As a freeze; CLOCK_MONOTONIC does not count it. */
  suspend(ms: number): void {
    if (!this.isOn) return;
    this.freeze(ms);
    const { now } = this.world;
    const freshMs = now + ms - Math.max(now, this.#suspendedUntil);
    if (freshMs <= 0) return;
    this.#suspendedUntil = now + ms;
    this.#suspendedMs += freshMs * this.#rate;
  }

  powerOff(): void {
    if (!this.isOn) return;
    this.isOn = false;
    this.#frozenUntil = 0;
    this.world.changes += 1;
    for (const thread of [...this.threads]) thread.end();
    for (const part of this.parts) part.powerOff?.();
  }

  powerOn(): void {
    if (this.isOn) return;
    this.isOn = true;
    this.boots += 1;
    this.#bootedAt = this.world.now - 0.001;
    this.#suspendedMs = 0;
    this.#suspendedUntil = 0;
    this.world.changes += 1;
    for (const part of this.parts) part.powerOn?.();
  }

  thread(name: string): Thread {
    const thread = new Thread(this, name, this.world.random(`thread ${this.id} ${name}`));
    this.threads.add(thread);
    return thread;
  }
}

interface Waiting {
  readonly isTimer: boolean;
  readonly act: () => void;
}

/** One event loop. When it ends, nothing that was meant for it happens any more. */
export class Thread {
  readonly host: Host;
  readonly name: string;
  readonly clock: Clock;
  readonly #random: Random;
  #isAlive = true;
  #frozenUntil = 0;
  #waiting: Waiting[] = [];

  constructor(host: Host, name: string, random: Random) {
    this.host = host;
    this.name = name;
    this.#random = random;
    const after = (ms: number, act: () => void): Timer => this.#timer(ms, act);
    this.clock = {
      now: () => instant(host.monotonicMs),
      wallMs: () => host.wallMs,
      after,
      sleep: (ms, signal) => sleepOn({ after }, ms, signal),
    };
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }
  get isFrozen(): boolean {
    return this.host.isFrozen || this.host.world.now < this.#frozenUntil;
  }

  end(): void {
    this.#isAlive = false;
    this.#waiting = [];
    this.host.threads.delete(this);
  }

  freeze(ms: number): void {
    const { world } = this.host;
    this.#frozenUntil = Math.max(this.#frozenUntil, world.now + ms);
    world.after(ms, () => this.goOn());
  }

  goOn(): void {
    if (!this.#isAlive || this.isFrozen || this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    // An event loop may come to its timers or to its sockets first.
    const timersFirst = this.#random() < 0.5;
    const ordered = [
      ...waiting.filter(({ isTimer }) => isTimer === timersFirst),
      ...waiting.filter(({ isTimer }) => isTimer !== timersFirst),
    ];
    for (const { act, isTimer } of ordered) this.host.world.after(0, () => this.#deliver(act, isTimer));
  }

  /** From elsewhere, after this long. */
  post(delayMs: number, act: () => void): void {
    this.host.world.after(delayMs, () => this.#deliver(act, false));
  }

  #deliver(act: () => void, isTimer: boolean): void {
    if (!this.#isAlive) return;
    if (this.isFrozen) {
      this.#waiting.push({ act, isTimer });
      return;
    }
    act();
  }

  #timer(ms: number, act: () => void): Timer {
    const { host } = this;
    const due = host.monotonicMs + Math.max(0, ms);
    let isOver = false;
    const fire = (): void => {
      if (isOver) return;
      isOver = true;
      act();
    };
    const wait = (): ReturnType<Host['world']['after']> =>
      host.world.after(
        (due - host.monotonicMs) / host.rate + this.#random() * TIMER_LATENESS_MS + 1e-6,
        () => {
          // A suspend has kept the monotonic clock back.
          if (host.monotonicMs < due) scheduled = wait();
          else this.#deliver(fire, true);
        },
      );
    let scheduled = wait();
    return {
      cancel: () => {
        isOver = true;
        scheduled.act = null;
      },
    };
  }
}
