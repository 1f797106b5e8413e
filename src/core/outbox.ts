/**
 * Effects of one step, and the rule "persist, then send" (E2): a `DurableMessage` can leave only through
 * `afterPersist`, and a completion counts only for what is still in the log.
 */
import type { Entry } from './entry.ts';
import type { HardState } from './hard-state.ts';
import type { CoreEvent, Effect } from './io.ts';
import type { DurableMessage, Message } from './messages.ts';
import type { Instant, LogIndex, Term } from './types.ts';
import { assert } from './types.ts';

interface Pending {
  readonly id: number;
  readonly hardState: HardState;
  readonly startedAt: Instant;
  /** Last index that this persist makes durable and that nothing has overwritten since. */
  lastIndex: LogIndex;
  readonly waiting: Message[];
}

export class Outbox {
  #effects: Effect[] = [];
  #nextId = 1;
  readonly #pending: Pending[] = [];
  /** Messages that wait for the persist that this step will end with. */
  #waiting: Message[] = [];
  #durable: HardState;
  #durableIndex: LogIndex;

  constructor(durable: HardState, durableIndex: LogIndex) {
    this.#durable = durable;
    this.#durableIndex = durableIndex;
  }

  /** Last index up to which the log in memory is on disk. */
  get durableIndex(): LogIndex {
    return this.#durableIndex;
  }
  get durableHardState(): HardState {
    return this.#durable;
  }
  /** Since when the oldest persist has been under way; null when none is. */
  get waitingSince(): Instant | null {
    return this.#pending[0]?.startedAt ?? null;
  }

  emit(effect: Effect): void {
    this.#effects.push(effect);
  }
  event(event: CoreEvent): void {
    this.emit({ kind: 'event', event });
  }
  send(message: Exclude<Message, DurableMessage>): void {
    this.emit({ kind: 'send', message });
  }
  /** Leaves once everything that this node has decided up to now is durable. */
  afterPersist(message: Message): void {
    this.#waiting.push(message);
  }

  /** The log was cut before `from`: completions of what stood there are void (E2). */
  overwrittenFrom(from: LogIndex): void {
    const kept = (from - 1) as LogIndex;
    if (this.#durableIndex > kept) this.#durableIndex = kept;
    for (const pending of this.#pending) if (pending.lastIndex > kept) pending.lastIndex = kept;
  }

  /** Ends a step: one persist for all that changed in it. */
  flush(
    hardState: HardState,
    entries: readonly Entry[],
    isDirty: boolean,
    lastIndex: LogIndex,
    now: Instant,
  ): Effect[] {
    const newest = this.#pending.at(-1);
    if (isDirty) {
      const id = this.#nextId;
      this.#nextId += 1;
      this.#pending.push({ id, hardState, startedAt: now, lastIndex, waiting: this.#waiting });
      this.emit({ kind: 'persist', persist: { id, hardState, entries } });
    } else if (newest !== undefined) {
      newest.waiting.push(...this.#waiting);
    } else {
      for (const message of this.#waiting) this.emit({ kind: 'send', message });
    }
    this.#waiting = [];
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** Everything up to `id` is durable; messages of an older term than `term` have become void. */
  persisted(id: number, term: Term): void {
    while (this.#pending[0] !== undefined && this.#pending[0].id <= id) {
      const done = this.#pending.shift();
      assert(done !== undefined, 'a pending persist vanished');
      this.#durable = done.hardState;
      if (done.lastIndex > this.#durableIndex) this.#durableIndex = done.lastIndex;
      for (const message of done.waiting) if (message.term >= term) this.emit({ kind: 'send', message });
    }
  }

  /** D3: nothing that waited may ever leave. */
  drop(): void {
    this.#pending.length = 0;
    this.#waiting = [];
    this.#effects = this.#effects.filter((effect) => effect.kind !== 'send');
  }
}
