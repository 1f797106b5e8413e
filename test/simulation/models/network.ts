/**
 * The network between hosts.
 *
 * Modelled: delay, loss, duplication, reordering (each message has a delay of its own), cuts of one direction, a path that
 * stalls without closing and then lets everything through, a path that is slow for a while.
 * Not modelled: bandwidth, TCP's own retransmission, TLS, and the order that one gRPC stream keeps: what arrives here in any
 * order is more than what the streams allow.
 */
import { QuorateError } from '../../../src/errors.ts';
import type { World } from '../engine/world.ts';
import { between } from '../engine/world.ts';

export interface NetworkWeather {
  readonly delayMs: readonly [number, number];
  /** Probability that a message is lost; that it arrives twice. */
  readonly loss: number;
  readonly duplicate: number;
}

const CALL_LIMIT_MS = 1_000;

interface Path {
  cutUntil: number;
  stalledUntil: number;
  slowUntil: number;
  slowMs: readonly [number, number];
}

export class Network {
  readonly #world: World;
  readonly #random: () => number;
  readonly #paths = new Map<string, Path>();
  weather: NetworkWeather;
  /** Told when a path changes: DRBD's connections watch it. */
  readonly watchers: (() => void)[] = [];

  constructor(world: World, weather: NetworkWeather) {
    this.#world = world;
    this.#random = world.random('network');
    this.weather = weather;
  }

  /** Delivers after a delay, or never, or twice. */
  send(from: string, to: string, deliver: () => void): void {
    if (this.#random() < this.weather.loss) return;
    this.#carry(from, to, deliver);
    if (this.#random() < this.weather.duplicate) this.#carry(from, to, deliver);
  }

  #carry(from: string, to: string, deliver: () => void): void {
    const path = this.#path(from, to);
    const { now } = this.#world;
    if (now < path.cutUntil) return;
    const slowMs = now < path.slowUntil ? between(this.#random, path.slowMs) : 0;
    const delayMs = Math.max(between(this.#random, this.weather.delayMs) + slowMs, path.stalledUntil - now);
    this.#world.after(delayMs, () => {
      if (this.#world.now >= this.#path(from, to).cutUntil) deliver();
    });
  }

  /** Over a connection: what meets a cut is sent again when the path is open; the caller knows whether the connection lasts. */
  reliably(from: string, to: string, deliver: () => void): void {
    const path = this.#path(from, to);
    const { now } = this.#world;
    const blockedUntil = Math.max(path.cutUntil, path.stalledUntil);
    const delayMs = between(this.#random, this.weather.delayMs) + Math.max(0, blockedUntil - now);
    this.#world.after(delayMs, () => {
      if (this.#world.now >= this.#path(from, to).cutUntil) deliver();
      else this.reliably(from, to, deliver);
    });
  }

  /** A unary call: there and back, or an error after a while. */
  call<Answer = void>(
    from: string,
    to: string,
    act: (done: (answer: Answer) => void, fail: (error: unknown) => void) => void,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const limit = this.#world.after(CALL_LIMIT_MS, () => reject(new QuorateError('peer-unreachable', to)));
      const back = (settle: () => void): void =>
        this.send(to, from, () => {
          limit.act = null;
          settle();
        });
      this.send(from, to, () =>
        act(
          (answer) => back(() => resolve(answer)),
          (error) => back(() => reject(error)),
        ),
      );
    });
  }

  isOpen(from: string, to: string): boolean {
    const path = this.#path(from, to);
    return this.#world.now >= path.cutUntil && this.#world.now >= path.stalledUntil;
  }

  cut(from: string, to: string, ms: number): void {
    const path = this.#path(from, to);
    path.cutUntil = Math.max(path.cutUntil, this.#world.now + ms);
    this.#changed(ms);
  }
  stall(from: string, to: string, ms: number): void {
    const path = this.#path(from, to);
    path.stalledUntil = Math.max(path.stalledUntil, this.#world.now + ms);
    this.#changed(ms);
  }
  slow(from: string, to: string, ms: number, slowMs: readonly [number, number]): void {
    Object.assign(this.#path(from, to), { slowUntil: this.#world.now + ms, slowMs });
  }

  heal(): void {
    this.#paths.clear();
    this.#changed(0);
  }

  #changed(untilMs: number): void {
    for (const watch of this.watchers) watch();
    this.#world.after(untilMs + 0.001, () => {
      for (const watch of this.watchers) watch();
    });
  }

  #path(from: string, to: string): Path {
    const key = `${from}>${to}`;
    let path = this.#paths.get(key);
    if (path === undefined) {
      path = { cutUntil: 0, stalledUntil: 0, slowUntil: 0, slowMs: [0, 0] };
      this.#paths.set(key, path);
    }
    return path;
  }
}
