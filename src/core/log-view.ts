/**
 * The log as consensus sees it: all entries in memory (they are few and small, D4), chained by hash.
 *
 * Invariants: indexes run from 1 without a gap; terms never decrease; each `previous` is the hash before it;
 * nothing at or below a commit index is ever replaced (the caller asserts it, the log checks contiguity).
 */

import type { Membership } from './cluster-state.ts';
import type { Entry, EntryBody } from './entry.ts';
import { GENESIS, makeEntry } from './entry.ts';
import type { ChainHash, Digest, LogIndex, Term } from './types.ts';
import { assert, logIndex, term } from './types.ts';

export class LogView {
  readonly #digest: Digest;
  readonly #entries: Entry[] = [];
  /** Indexes of `config` entries, ascending: the newest one rules from the moment it is appended (Raft §4.1). */
  readonly #configs: LogIndex[] = [];

  constructor(digest: Digest, entries: readonly Entry[]) {
    this.#digest = digest;
    for (const entry of entries) this.#push(entry);
  }

  get lastIndex(): LogIndex {
    return logIndex(this.#entries.length);
  }
  get lastTerm(): Term {
    return this.#entries.at(-1)?.term ?? term(0);
  }
  get lastHash(): ChainHash {
    return this.#entries.at(-1)?.hash ?? GENESIS;
  }

  /** The entry at `index`, null when the log does not reach it. */
  at(index: LogIndex): Entry | null {
    return this.#entries[index - 1] ?? null;
  }
  /** Term at `index`; 0 before the log; null behind its end. */
  termAt(index: LogIndex): Term | null {
    return index === 0 ? term(0) : (this.at(index)?.term ?? null);
  }
  hashAt(index: LogIndex): ChainHash | null {
    return index === 0 ? GENESIS : (this.at(index)?.hash ?? null);
  }
  slice(from: LogIndex, limit: number): readonly Entry[] {
    return this.#entries.slice(from - 1, from - 1 + limit);
  }
  get all(): readonly Entry[] {
    return this.#entries;
  }

  /** Raft §5.4.1: is a log that ends at (lastTerm, lastIndex) at least as new as this one? */
  isUpToDate(lastTerm: Term, lastIndex: LogIndex): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  /** Does this log end strictly before one that ends at (lastTerm, lastIndex)? */
  isOlderThan(lastTerm: Term, lastIndex: LogIndex): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex > this.lastIndex);
  }

  /** Index of the newest `config` entry; 0 when there is none. */
  get configIndex(): LogIndex {
    return this.#configs.at(-1) ?? logIndex(0);
  }
  get membership(): Membership {
    const body = this.at(this.configIndex)?.body;
    return body?.kind === 'config' ? body : { members: [], removed: [] };
  }

  /** First index of the run of entries of the term at `index`. */
  firstOfTermAt(index: LogIndex): LogIndex {
    const wanted = this.termAt(index);
    let first = index;
    while (first > 1 && this.termAt(logIndex(first - 1)) === wanted) first = logIndex(first - 1);
    return first;
  }
  /** Last index whose term is at most `limit`. */
  lastIndexAtOrBelow(limit: Term, from: LogIndex): LogIndex {
    let index = logIndex(Math.min(from, this.lastIndex));
    while (index > 0 && (this.termAt(index) ?? 0) > limit) index = logIndex(index - 1);
    return index;
  }

  appendOwn(ownTerm: Term, body: EntryBody): Entry {
    const entry = makeEntry(this.#digest, logIndex(this.lastIndex + 1), ownTerm, this.lastHash, body);
    this.#push(entry);
    return entry;
  }

  /** Replaces everything from the first entry's index on. */
  replaceFrom(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(
      first.index >= 1 && first.index <= this.lastIndex + 1,
      `append at ${first.index} would leave a gap`,
    );
    this.#entries.length = first.index - 1;
    while ((this.#configs.at(-1) ?? 0) >= first.index) this.#configs.pop();
    for (const entry of entries) this.#push(entry);
  }

  #push(entry: Entry): void {
    assert(
      entry.index === this.#entries.length + 1,
      `entry ${entry.index} does not follow ${this.#entries.length}`,
    );
    assert(entry.previous === this.lastHash, `the chain breaks at entry ${entry.index}`);
    assert(entry.term >= this.lastTerm, `the term falls at entry ${entry.index}`);
    this.#entries.push(entry);
    if (entry.body.kind === 'config') this.#configs.push(entry.index);
  }
}
