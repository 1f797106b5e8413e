/**
 * The entry of an order that moves the resources. In mid-upgrade a voter that answers may be of a version that cannot read a request
 * id in the log: an operator in an outage must be able to give the order all the same, so it is written without, and this process alone
 * knows the id (api.md, Request ids).
 *
 * 1. Where every voter that answers can read it, the id is in the log.
 * 2. Otherwise the order names its node and the epoch that it is to end. An epoch ends once, so that a repeat to whoever leads next,
 *    also after somebody has moved it back, is refused and moves nothing: at most once holds without the id.
 * 3. An entry is known by term and index: one that overwrites it has not its id.
 */
import type { SwitchoverCheck } from '../admin/index.ts';
import type { Entry, EntryBody, LogIndex, NodeId, Proposal } from '../core/index.ts';
import { requestIdOf } from '../state/index.ts';
import type { Driver } from './driver.ts';
import { openEpoch, refusedFor } from './refusals.ts';

/** Ids of entries that are not in the log; the oldest is forgotten, as one of the log's own would be. */
const MAX_IDS = 1024;

export type MovingEntry = Extract<Proposal, { kind: 'operator' | 'forced' }>;

export interface MoveOrder {
  readonly requestId: string;
  /** Whether the caller has named the node; a switchover may leave it to the leader. */
  readonly isNamed: boolean;
  readonly to: NodeId;
  /** Compared by the caller, in the same step. Null: whichever. */
  readonly expectedEpoch: number | null;
}

export interface WrittenOrder {
  readonly index: LogIndex;
  /** There was one, and it is known to this agent only. */
  readonly idNotInLog: boolean;
}

export class OrderEntries {
  readonly #driver: Driver;
  /** By `term:index`, the oldest first. */
  readonly #ids = new Map<string, { readonly id: string; readonly to: NodeId }>();

  #onFailed: (index: LogIndex, why: string) => void = () => undefined;

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  /**
   * Resolves when it is committed. Nothing is awaited before it has its place in the log.
   * @throws QuorateError as `Driver.commit`; `refused-unsafe` where a repeat could not be told from a new order
   */
  async write(entry: MovingEntry, order: MoveOrder, limitMs: number): Promise<WrittenOrder> {
    const { requestId, to } = order;
    if (requestId === '') return { index: await this.#driver.commit(entry, limitMs), idNotInLog: false };
    const whole: MovingEntry = { ...entry, ...withId(entry.kind, requestId, to) };
    const old = this.#driver.lacking(whole);
    if (old.length === 0) return { index: await this.#driver.commit(whole, limitMs), idNotInLog: false };
    this.#requireTellable(order, old);
    const place = this.#driver.place(entry);
    this.#keep(`${place.term}:${place.index}`, { id: requestId, to });
    await this.#driver.committed(place, limitMs);
    return { index: place.index, idNotInLog: true };
  }

  /** Told of each order whose failure the log cannot say, by the index of its entry. */
  onFailed(listener: (index: LogIndex, why: string) => void): void {
    this.#onFailed = listener;
  }

  /** `of` has failed. In the log, where every voter that answers can read that; otherwise in the memory of this process. */
  sayFailed(of: LogIndex, why: string, at: number): void {
    // mark: operator-result
    const said = this.#driver.propose({ kind: 'operator-result', of, ok: false, result: why, at });
    if ('refused' in said && said.isFormat === true) this.#onFailed(of, why);
  }

  /** The entry as it would be with its id, for whoever remembers requests. */
  named(entry: Entry): Entry {
    const kept = this.#find(entry);
    const { body } = entry;
    if (kept === null || (body.kind !== 'operator' && body.kind !== 'forced')) return entry;
    const named: EntryBody = { ...body, ...withId(body.kind, kept.id, kept.to) };
    return { ...entry, body: named };
  }

  idOf(entry: Entry): string | null {
    return requestIdOf(entry.body) ?? this.#find(entry)?.id ?? null;
  }

  /** It is known here, and the log does not have it. */
  isKept(id: string): boolean {
    for (const kept of this.#ids.values()) if (kept.id === id) return true;
    return false;
  }

  #find({ term, index }: Entry): { readonly id: string; readonly to: NodeId } | null {
    return this.#ids.size === 0 ? null : (this.#ids.get(`${term}:${index}`) ?? null);
  }

  #keep(key: string, kept: { readonly id: string; readonly to: NodeId }): void {
    this.#ids.set(key, kept);
    const [oldest] = this.#ids.keys();
    if (this.#ids.size > MAX_IDS && oldest !== undefined) this.#ids.delete(oldest);
  }

  /** @throws QuorateError `refused-unsafe` where only the id would tell a repeat from a new order */
  #requireTellable({ isNamed, to, expectedEpoch }: MoveOrder, old: readonly NodeId[]): void {
    const { view } = this.#driver;
    const why = `${old.join(' and ')} cannot read the request id yet and must be upgraded first; until then`;
    const missing: SwitchoverCheck[] = [];
    if (!isNamed)
      missing.push({
        name: 'format',
        ok: false,
        detail: `${why} name the node (--to ${to}): without it a repeat would move it back`,
      });
    if (expectedEpoch === null)
      missing.push({
        name: 'epoch needed',
        ok: false,
        detail:
          `${why} a request with an id must say which epoch it is to end, so that a repeat moves nothing: look at ` +
          `"quorate status" and give --expect-epoch (now it would be ${openEpoch(view)}); of a repeat the epoch of the first time`,
      });
    if (missing.length > 0) throw refusedFor('it was', missing, view.self, 'refused-unsafe');
  }
}

/** Of a failover the node is in the entry anyway. */
function withId(kind: MovingEntry['kind'], request: string, to: NodeId) {
  return kind === 'operator' ? { to, request } : { request };
}
