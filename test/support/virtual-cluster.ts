/**
 * A cluster of cores in virtual time: a network that delays, loses, repeats and cuts, disks that complete late, executors
 * that hold and release, clocks that run at different rates. Everything is drawn from one seed.
 *
 * Not modelled here: DRBD, clouds, the executor's own failures. After every event it checks what must always hold:
 * at most one node physically holds; at most one leader a term; committed entries never change.
 */

import { seededRandom } from '../../src/core/random.ts';
import type { Observed, OpaqueMessage, TestConfig, TestDisk, TestNode } from './core-under-test.ts';
import { boot, newDisk } from './core-under-test.ts';

export interface Faults {
  /** Range of a message's delay, ms. */
  readonly delayMs: readonly [number, number];
  /** Probability that a message is lost; that it arrives twice. */
  readonly loss: number;
  readonly duplicate: number;
  readonly fsyncMs: readonly [number, number];
  /** Share of `releaseMs` that a release takes. */
  readonly release: readonly [number, number];
}

export const CALM: Faults = {
  delayMs: [0.2, 1],
  loss: 0,
  duplicate: 0,
  fsyncMs: [0.5, 2],
  release: [0.2, 0.6],
};
export const ROUGH: Faults = {
  delayMs: [0.2, 30],
  loss: 0.05,
  duplicate: 0.02,
  fsyncMs: [0.2, 15],
  release: [0.1, 1],
};

export function pair(overrides: Partial<TestConfig> = {}): TestConfig {
  return {
    members: [{ id: 'a' }, { id: 'b' }, { id: 'w', witness: true }],
    heartbeatMs: 100,
    leaseMs: 400,
    releaseMs: 120,
    guardMs: 10,
    watchdog: null,
    clockErrorRate: 0.005,
    seed: 1,
    ...overrides,
  };
}

interface Host {
  readonly id: string;
  readonly disk: TestDisk;
  /** Local clock = global × rate + offset. */
  readonly rate: number;
  readonly offset: number;
  node: TestNode | null;
  /** Counts boots: what was scheduled for an earlier life is void. */
  life: number;
  /** The resources are held, as an observer of the machine would see it. */
  holds: boolean;
  /** Lease end that the guard knows, local. */
  guardUntil: number;
  isReleasing: boolean;
  /** The agent gets no time until this global instant. */
  pausedUntil: number;
  backlog: ((node: TestNode) => void)[];
}

interface Event {
  readonly at: number;
  readonly order: number;
  readonly act: () => void;
}

export class VirtualCluster {
  now = 0;
  readonly config: TestConfig;
  faults: Faults;
  readonly hosts = new Map<string, Host>();
  /** `from>to` pairs that get nothing through. */
  readonly cuts = new Set<string>();
  /** Sees each message before it is sent; false drops it. */
  filter: (message: OpaqueMessage) => boolean = () => true;
  readonly story: string[] = [];
  fsyncPaused = new Set<string>();
  readonly #random: () => number;
  #queue: Event[] = [];
  #order = 0;
  readonly #leaders = new Map<number, string>();
  readonly #committed: string[] = [];
  readonly #checked = new Map<string, number>();
  #wake = new Map<string, number>();

  constructor(config: TestConfig, faults: Faults = CALM, ids: string[] = config.members.map(({ id }) => id)) {
    this.config = config;
    this.faults = faults;
    this.#random = seededRandom(config.seed, 'cluster');
    for (const id of ids) this.boot(id);
  }

  // --- faults ---

  boot(id: string, disk: TestDisk = this.hosts.get(id)?.disk ?? newDisk()): TestNode {
    const before = this.hosts.get(id);
    if (before?.holds)
      throw new Error(`${id} still holds; an agent starts only after a verified release (L4)`);
    const error = this.config.clockErrorRate;
    const host: Host = {
      id,
      disk,
      rate: before?.rate ?? 1 + error * (2 * this.#random() - 1),
      offset: before?.offset ?? 1000 * this.#random(),
      node: null,
      life: (before?.life ?? 0) + 1,
      holds: false,
      guardUntil: 0,
      isReleasing: false,
      pausedUntil: 0,
      backlog: [],
    };
    this.hosts.set(id, host);
    host.node = boot(id, this.config, disk, this.local(host));
    this.#after(host);
    return host.node;
  }

  /** `releases`: the agent dies, its executor releases and tells the peers (R4). */
  crash(
    id: string,
    unsynced: 'keep' | 'lose' | { keep: number } = 'lose',
    executor: 'dies' | 'releases' = 'dies',
  ): void {
    const host = this.host(id);
    const statements = host.node?.crash(unsynced, executor) ?? [];
    host.node = null;
    host.life += 1;
    host.backlog = [];
    host.isReleasing = false;
    this.#say(`${id} crashes, its executor ${executor}`);
    if (executor === 'dies') host.holds = false;
    else if (host.holds) this.#release(host, () => this.#send(statements));
    this.check();
  }

  /** The agent gets no time; its executor goes on. */
  pause(id: string, ms: number): void {
    const host = this.host(id);
    host.pausedUntil = this.now + ms;
    this.#say(`${id} is paused for ${ms.toFixed(0)} ms`);
    const { life } = host;
    this.at(ms, () => {
      if (host.life !== life || host.node === null || this.now < host.pausedUntil) return;
      for (const act of host.backlog.splice(0)) act(host.node);
      this.#after(host);
    });
  }

  cut(from: string, to: string, both = true): void {
    this.cuts.add(`${from}>${to}`);
    if (both) this.cuts.add(`${to}>${from}`);
  }
  isolate(id: string): void {
    for (const other of this.hosts.keys()) if (other !== id) this.cut(id, other);
  }
  heal(): void {
    this.cuts.clear();
  }

  // --- reading ---

  host(id: string): Host {
    const host = this.hosts.get(id);
    if (host === undefined) throw new Error(`no host ${id}`);
    return host;
  }
  node(id: string): TestNode {
    const { node } = this.host(id);
    if (node === null) throw new Error(`${id} is down`);
    return node;
  }
  local(host: Host): number {
    return this.now * host.rate + host.offset;
  }
  /** The node's state after giving it the present time. */
  see(id: string) {
    const host = this.host(id);
    this.#input(host, (node) => node.advance(this.local(host)));
    return this.node(id).observe();
  }
  get holders(): string[] {
    return [...this.hosts.values()].filter((host) => host.holds).map((host) => host.id);
  }
  get leader(): string | null {
    const leaders = [...this.hosts.values()].filter(({ node }) =>
      ['leader', 'caretaker'].includes(node?.observe().role ?? ''),
    );
    return (
      leaders.sort((x, y) => (y.node?.observe().term ?? 0) - (x.node?.observe().term ?? 0))[0]?.id ?? null
    );
  }

  // --- acting ---

  act<T>(id: string, what: (node: TestNode, nowMs: number) => T): T {
    const host = this.host(id);
    const result = what(this.node(id), this.local(host));
    this.#after(host);
    return result;
  }

  at(delayMs: number, act: () => void): void {
    this.#order += 1;
    const event = { at: this.now + delayMs, order: this.#order, act };
    let [low, high] = [0, this.#queue.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#queue[middle];
      if (
        other !== undefined &&
        (other.at > event.at || (other.at === event.at && other.order > event.order))
      )
        low = middle + 1;
      else high = middle;
    }
    this.#queue.splice(low, 0, event); // latest first
  }

  run(ms: number): void {
    const until = this.now + ms;
    while ((this.#queue.at(-1)?.at ?? Number.POSITIVE_INFINITY) <= until) this.#next();
    this.now = until;
  }

  /** Runs until the condition holds, and says after how many ms; throws with the story when the deadline passes. */
  until(what: string, condition: () => boolean, deadlineMs = 20_000): number {
    const start = this.now;
    while (!condition()) {
      const next = this.#queue.at(-1);
      if (next === undefined || next.at > start + deadlineMs) {
        throw new Error(
          `seed ${this.config.seed}: not within ${deadlineMs} ms: ${what}\n${this.story.slice(-40).join('\n')}`,
        );
      }
      this.#next();
    }
    return this.now - start;
  }

  /** Until one node holds and the others know it. */
  settle(): string {
    this.until('one holder', () => this.holders.length === 1 && this.leader === this.holders[0]);
    const [holder] = this.holders;
    return holder ?? '';
  }

  // --- the machine ---

  #next(): void {
    const event = this.#queue.pop();
    if (event === undefined) return;
    this.now = Math.max(this.now, event.at);
    event.act();
    this.check();
  }

  #input(host: Host, act: (node: TestNode) => void): void {
    if (host.node === null) return;
    if (this.now < host.pausedUntil) host.backlog.push(act);
    else {
      act(host.node);
      this.#after(host);
    }
  }

  /** What a driver does after every step: send, sync, hold, release, and wake at the next deadline. */
  #after(host: Host): void {
    const { node, life } = host;
    if (node === null) return;
    this.#send(node.takeOutbox());
    this.#sync(host);
    const seen = node.observe();
    if (seen.mayHold) {
      if (!host.holds) this.#say(`${host.id} holds epoch ${seen.epoch} in term ${seen.term}`);
      host.holds = true;
      host.guardUntil = Math.max(host.guardUntil, seen.leaseUntilMs ?? 0);
      this.#watchLease(host);
    }
    if (seen.releasing && !host.isReleasing) this.#release(host, () => {});
    const due = node.nextDeadlineMs();
    if (due === null) return;
    const at = (due - host.offset) / host.rate;
    const key = `${host.id}/${life}`;
    if (this.#wake.get(key) === at) return;
    this.#wake.set(key, at);
    this.at(Math.max(0, at - this.now) + 1e-6, () => {
      if (host.life !== life) return;
      this.#wake.delete(key);
      this.#input(host, (alive) => alive.advance(this.local(host)));
    });
  }

  /** T4: the guard starts the release at the deadline, whatever the agent does. */
  #watchLease(host: Host): void {
    const { life, guardUntil } = host;
    const late = this.#random() * this.config.guardMs;
    this.at(Math.max(0, (guardUntil + late - this.local(host)) / host.rate), () => {
      if (host.life === life && host.guardUntil === guardUntil && host.holds && !host.isReleasing)
        this.#release(host, () => {});
    });
  }

  #release(host: Host, then: () => void): void {
    host.isReleasing = true;
    const takes = this.#between(this.faults.release) * this.config.releaseMs;
    const { life } = host;
    this.at(takes / host.rate, () => {
      if (host.life !== life) return;
      host.isReleasing = false;
      if (host.holds) this.#say(`${host.id} has released`);
      host.holds = false;
      then();
      this.#input(host, (node) => node.released(this.local(host)));
    });
  }

  readonly #syncing = new Map<string, number>();
  #sync(host: Host): void {
    const { node, life } = host;
    const key = `${host.id}/${life}`;
    if (
      node === null ||
      this.#syncing.has(key) ||
      node.pendingFsyncs() === 0 ||
      this.fsyncPaused.has(host.id)
    )
      return;
    this.#syncing.set(key, life);
    this.at(this.#between(this.faults.fsyncMs), () => {
      this.#syncing.delete(key);
      if (host.life !== life || host.node === null) return;
      if (host.node.pendingFsyncs() > 0)
        this.#input(host, (alive) => alive.pendingFsyncs() > 0 && alive.fsyncDone(this.local(host)));
    });
  }

  #send(messages: OpaqueMessage[]): void {
    for (const message of messages) {
      if (!this.filter(message)) continue;
      const copies = this.#random() < this.faults.duplicate ? 2 : 1;
      for (let copy = 0; copy < copies; copy += 1) {
        if (this.#random() < this.faults.loss) continue;
        const body = structuredClone(message);
        this.at(this.#between(this.faults.delayMs), () => {
          if (this.cuts.has(`${message.from}>${message.to}`)) return;
          const host = this.hosts.get(message.to);
          if (host !== undefined) this.#input(host, (node) => node.deliver(body, this.local(host)));
        });
      }
    }
  }

  #between([low, high]: readonly [number, number]): number {
    return low + this.#random() * (high - low);
  }
  random(): number {
    return this.#random();
  }
  #say(text: string): void {
    this.story.push(`${this.now.toFixed(1).padStart(9)}  ${text}`);
  }

  // --- what must always hold ---

  check(): void {
    if (this.holders.length > 1) this.#fail(`two holders: ${this.holders.join(', ')}`);
    for (const host of this.hosts.values()) {
      const seen = host.node?.observe();
      if (seen === undefined) continue;
      if (seen.role === 'leader' || seen.role === 'caretaker') {
        const known = this.#leaders.get(seen.term) ?? host.id;
        if (known !== host.id) this.#fail(`two leaders in term ${seen.term}: ${known}, ${host.id}`);
        if (!this.#leaders.has(seen.term)) this.#say(`${host.id} leads term ${seen.term}`);
        this.#leaders.set(seen.term, host.id);
      }
      if (seen.commitIndex > seen.lastIndex)
        this.#fail(`${host.id} commits ${seen.commitIndex} past ${seen.lastIndex}`);
      this.#checkCommitted(host, seen);
    }
  }
  /** Compares what is newly committed here with what anybody has committed; a new life is compared from the start. */
  #checkCommitted(host: Host, seen: Observed): void {
    const key = `${host.id}/${host.life}`;
    for (let index = (this.#checked.get(key) ?? 0) + 1; index <= seen.commitIndex; index += 1) {
      const entry = seen.entries[index - 1];
      const text = `${entry?.term} ${entry?.kind} ${entry?.text}`;
      const known = this.#committed[index] ?? text;
      if (known !== text) this.#fail(`committed entry ${index} changes: ${known} → ${text} on ${host.id}`);
      this.#committed[index] = text;
    }
    this.#checked.set(key, seen.commitIndex);
  }
  #fail(what: string): never {
    throw new Error(
      `seed ${this.config.seed}, ${this.now.toFixed(3)} ms: ${what}\n${this.story.slice(-40).join('\n')}`,
    );
  }
}
