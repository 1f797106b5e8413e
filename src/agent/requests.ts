/**
 * Each request of an operator at most once, whoever leads when it comes again. What counts is the log: an id that stands in it,
 * committed or not, is not done again; its caller is told what became of it.
 */
import type { Clock } from '../clock.ts';
import { type Entry, logIndex, type NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import {
  isSameRequest,
  NO_REQUESTS,
  type RequestKind,
  type RequestRecord,
  rememberRequests,
} from '../state/index.ts';
import type { Driver } from './driver.ts';
import type { OrderEntries } from './order-entries.ts';
import { idNotInLog } from './refusals.ts';

const ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._:-]{7,63}$/;
/** Orders that are under way at the same time; more are refused. There is one cluster to move. */
const MAX_UNDER_WAY = 32;

export interface Asked {
  /** Empty: the caller does not mind it being done again. */
  readonly id: string;
  readonly kind: RequestKind;
  /** Null: none was named. */
  readonly node: NodeId | null;
}

export interface RequestsOptions {
  readonly driver: Driver;
  readonly clock: Clock;
  /** Ids that the log has not, in mid-upgrade. */
  readonly entries: OrderEntries;
  readonly limitMs: number;
}

export class Requests {
  readonly #options: RequestsOptions;
  #memory = NO_REQUESTS;
  readonly #underWay = new Map<string, { readonly asked: Asked; readonly end: Promise<unknown> }>();
  #waiting: (() => void)[] = [];

  /** Everything that is committed already was committed before anybody could ask. */
  constructor(options: RequestsOptions) {
    this.#options = options;
    const { log, commitIndex } = options.driver.view;
    for (const entry of log.slice(logIndex(1), commitIndex))
      this.#memory = rememberRequests(this.#memory, entry);
    options.entries.onFailed((index, why) => this.#fail((record) => record.index === index, why));
  }

  onCommitted(entry: Entry): void {
    this.#memory = rememberRequests(this.#memory, this.#options.entries.named(entry));
    this.#wake();
  }

  /**
   * `run` where the log does not have the id; otherwise `again` with what became of it, once that is known. Nothing is awaited
   * between the look and `run`.
   * @throws QuorateError `usage` for an id that cannot be one, or that was another request's
   */
  async once<Outcome>(
    asked: Asked,
    run: () => Promise<Outcome>,
    again: (record: RequestRecord) => Outcome,
  ): Promise<Outcome> {
    const { id } = asked;
    if (id === '') return run();
    if (!ID_PATTERN.test(id))
      throw new QuorateError(
        'usage',
        'a request id is 8 to 64 letters, digits and . _ : - and begins with one of the first two',
      );
    const other = this.#underWay.get(id);
    if (other !== undefined) {
      if (other.asked.kind !== asked.kind || other.asked.node !== asked.node) throw reused(asked);
      // mark: request-joined
      return other.end as Promise<Outcome>; // of the same kind, so of the same type
    }
    const pending = this.#find(id) ?? this.#findPending(id);
    if (pending !== null) {
      const record = await this.#telling(id, pending);
      if (!isSameRequest(record, asked.kind, asked.node)) throw reused(asked);
      // mark: request-known
      return again(await this.#telling(id, this.#ended(record)));
    }
    if (this.#underWay.size >= MAX_UNDER_WAY)
      throw new QuorateError('too-many-requests', `${MAX_UNDER_WAY} orders are under way`);
    const end = this.#telling(id, run());
    this.#underWay.set(id, { asked, end });
    try {
      return await end;
    } catch (error) {
      this.#noteFailed(id, error);
      throw error;
    } finally {
      this.#underWay.delete(id);
    }
  }

  isKnown(id: string): boolean {
    return id !== '' && this.#find(id) !== null;
  }

  /** Of an id that the log has not, nor has it the failure: an older voter could not read that either. */
  #noteFailed(id: string, error: unknown): void {
    if (!this.#options.entries.isKept(id)) return;
    if (!(error instanceof QuorateError) || error.code === 'timed-out-unknown') return;
    this.#fail((record) => record.id === id, error.message);
  }

  #fail(isIt: (record: RequestRecord) => boolean, why: string): void {
    const outcome = { kind: 'failed', why } as const;
    const records = this.#memory.records.map((record) =>
      isIt(record) && record.outcome.kind === 'open' ? { ...record, outcome } : record,
    );
    this.#memory = { ...this.#memory, records };
    this.#wake();
  }

  /** Who does not know how it ended must know, too, that the id alone will not tell a repeat from a new order. */
  async #telling<Outcome>(id: string, end: Outcome | Promise<Outcome>): Promise<Outcome> {
    try {
      return await end;
    } catch (error) {
      const isUnknown = error instanceof QuorateError && error.code === 'timed-out-unknown';
      throw isUnknown && this.#options.entries.isKept(id) ? idNotInLog(error) : error;
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const look of waiting) look();
  }

  #find(id: string): RequestRecord | null {
    return this.#memory.records.find((record) => record.id === id) ?? null;
  }

  /** Of this leader or of the one before it: whether it counts shows when it is committed. Null at once where there is none. */
  #findPending(id: string): Promise<RequestRecord> | null {
    const { driver, entries, limitMs } = this.#options;
    const { log, commitIndex } = driver.view;
    const pending = log
      .slice(logIndex(commitIndex + 1), Number.POSITIVE_INFINITY)
      .find((entry) => entries.idOf(entry) === id);
    if (pending === undefined) return null;
    return driver.committed(pending, limitMs).then(() => {
      const record = this.#find(id);
      if (record === null)
        throw new QuorateError('timed-out-unknown', `request ${id} is not in the log any more`);
      return record;
    });
  }

  /** Rejects `timed-out-unknown` at the limit. */
  async #ended(record: RequestRecord): Promise<RequestRecord> {
    const { clock, limitMs } = this.#options;
    const until = clock.now() + limitMs;
    for (;;) {
      const now = this.#find(record.id) ?? record;
      if (now.outcome.kind !== 'open') return now;
      const leftMs = until - clock.now();
      if (leftMs <= 0)
        throw new QuorateError(
          'timed-out-unknown',
          `request ${record.id} (entry ${record.index}) has not ended`,
        );
      await new Promise<void>((resolve) => {
        const timer = clock.after(leftMs, resolve);
        this.#waiting.push(() => {
          timer.cancel();
          resolve();
        });
      });
    }
  }
}

function reused({ id, kind }: Asked): QuorateError {
  return new QuorateError(
    'request-id-reused',
    `request id ${id} was given to another request than this ${kind}`,
  );
}
