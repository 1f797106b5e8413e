/**
 * Virtual time for a whole cluster in one process: a queue of events, one generator of chance per subject, one hash over
 * everything that happened.
 *
 * 1. Between two events every promise that can settle has settled: the real asynchronous code runs to its next wait.
 * 2. The same seed and the same faults give the same events in the same order: `hash` says so.
 * 3. The first violation ends the run; what product code does with the error cannot hide it.
 */
import TinyQueue from 'tinyqueue';
import { type Random, seededRandom } from '../../../src/core/random.ts';

export interface Scheduled {
  readonly at: number;
  readonly order: number;
  /** Null once it was called off. */
  act: (() => void) | null;
}

export interface Violation {
  readonly rule: string;
  readonly what: string;
  /** Virtual time, ms. */
  readonly at: number;
}

const MAX_STORY = 4_000;
/** An event that causes itself without end: more of them than any real run has. */
const MAX_EVENTS = 3_000_000;
/** Lets signals, progress, and the reports of unhandled rejections through. */
const BREATHE_EVERY = 500;

export class World {
  /** Real time, ms: what no node can read. */
  now = 0;
  readonly seed: number;
  readonly story: string[] = [];
  readonly marks = new Set<string>();
  /** Also what agents and executors log, for people who look for a cause. */
  isVerbose = false;
  violation: Violation | null = null;
  /** Run after every event. */
  everyEvent: () => void = () => undefined;
  /** Run after every event that changed what they look at. */
  readonly checks: (() => void)[] = [];
  /** Models count it up when something changed that a check looks at. */
  changes = 0;
  events = 0;
  readonly #queue = new TinyQueue<Scheduled>(
    [],
    (left, right) => left.at - right.at || left.order - right.order,
  );
  readonly #streams = new Map<string, Random>();
  #order = 0;
  #hash = 0x811c9dc5;
  #checked = -1;

  constructor(seed: number) {
    this.seed = seed;
  }

  /** Chance of one subject: what another one draws does not change it, so that a shrunk schedule stays comparable. */
  random(subject: string): Random {
    let stream = this.#streams.get(subject);
    if (stream === undefined) {
      stream = seededRandom(this.seed, subject);
      this.#streams.set(subject, stream);
    }
    return stream;
  }

  after(delayMs: number, act: () => void): Scheduled {
    this.#order += 1;
    const scheduled = { at: this.now + Math.max(0, delayMs), order: this.#order, act };
    this.#queue.push(scheduled);
    return scheduled;
  }

  /** Runs everything up to this instant, or up to the first violation. */
  async run(until: number): Promise<void> {
    for (;;) {
      const next = this.#queue.peek();
      if (next === undefined || next.at > until || this.violation !== null) break;
      this.#queue.pop();
      if (next.act === null) continue;
      this.now = next.at;
      this.events += 1;
      this.#mix(Math.round(next.at * 1_000));
      next.act();
      await settled();
      if (this.events % BREATHE_EVERY === 0) await new Promise((resolve) => setImmediate(resolve));
      if (this.events > MAX_EVENTS) this.fail('simulator', 'the events have no end');
      this.#check();
    }
    this.now = Math.max(this.now, until);
  }

  /** Until the condition holds, looked at every few ms; false when the time is over. */
  async runUntil(isSo: () => boolean, limitMs: number, stepMs = 25): Promise<boolean> {
    const end = this.now + limitMs;
    while (!isSo()) {
      if (this.now >= end || this.violation !== null) return false;
      await this.run(Math.min(end, this.now + stepMs));
    }
    return true;
  }

  #check(): void {
    this.everyEvent();
    if (this.#checked === this.changes) return;
    this.#checked = this.changes;
    for (const check of this.checks) if (this.violation === null) check();
  }

  fail(rule: string, what: string): void {
    if (this.violation !== null) return;
    this.violation = { rule, what, at: Math.round(this.now * 1_000) / 1_000 };
    this.say('!', what);
  }

  say(who: string, what: string): void {
    if (this.story.length >= MAX_STORY) this.story.splice(0, MAX_STORY / 2);
    this.story.push(`${this.now.toFixed(1).padStart(9)}  ${who.padEnd(3)} ${what}`);
    for (let position = 0; position < what.length; position += 1) this.#mix(what.charCodeAt(position));
  }

  #mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ (value | 0), 0x01000193);
  }

  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }
}

/**
 * Every promise that can settle has settled. A tick comes after the queue of promises has run dry, but only if it was asked
 * for from within that queue: from an event of Node's own it would come before.
 */
function settled(): Promise<void> {
  return new Promise((resolve) => queueMicrotask(() => process.nextTick(resolve)));
}

export const between = (random: Random, [low, high]: readonly [number, number]): number =>
  low + random() * (high - low);
