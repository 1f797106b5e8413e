/**
 * The durable log of a node.
 *
 * 1. `persist` resolves when one synced batch, and after it one marker, are durable (D1). Nothing else is synced on the way.
 * 2. Calls that arrive in one turn of the event loop, or during a write, become one write. They resolve in their order.
 * 3. The first error or time-out ends the store: this call and all later ones reject (D3). It is never tried again: after a
 *    failed fsync the kernel may call lost pages clean.
 */
import { resolve as absolute } from 'node:path';
import { type Clock, systemClock } from '../clock.ts';
import type { Digest, Persist } from '../core/index.ts';
import { assert, InvariantError } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { type LogMedium, openDirectory } from './data-directory.ts';
import { withDeadline } from './deadline.ts';
import { LogWriter } from './log-writer.ts';
import { type RecoveredLog, recover } from './recover.ts';
import type { StoredLog } from './stored-log.ts';
import { readDirectoryCopy } from './verify.ts';

/** One batch, or one marker: far beyond any healthy disk, well below what a person waits for. */
export const WRITE_TIMEOUT_MS = 5000;
export const OPEN_TIMEOUT_MS = 30_000;
/** Persists that wait for the write before them. The core waits for completions, so more is its bug. */
export const MAX_WAITING_PERSISTS = 10_000;

export interface LogStoreOptions {
  readonly digest: Digest;
  /** Reads a copy of the directory and changes nothing; `persist` is refused. For a dead agent's directory, or a copy. */
  readonly readOnly?: boolean;
  readonly writeTimeoutMs?: number;
  /** For tests: what the store writes to, made from the real thing. */
  readonly wrapMedium?: (medium: LogMedium) => LogMedium;
}

/**
 * When a write begins after the call that asks for it; every call until then is part of it. What the turn of the call has sent
 * is by then on the wire: HTTP/2 hands its frames to the socket when the turn is over, and the followers' disks, which a commit
 * waits for, should not wait for this one to be given its work (measured 0.14 ms of a commit).
 */
const afterThisTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Waiting {
  readonly persists: readonly Persist[];
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

const readOnlyMedium: LogMedium = {
  writeBatch: () => Promise.reject(new InvariantError('a log that was opened read-only cannot be written')),
  writeMarker: () => Promise.reject(new InvariantError('a log that was opened read-only cannot be written')),
  close: () => Promise.resolve(),
};

export class LogStore {
  readonly #directory: string;
  readonly #medium: LogMedium;
  readonly #writer: LogWriter;
  readonly #writeTimeoutMs: number;
  readonly #clock: Clock;
  readonly #mayBegin: (() => Promise<void>) | null;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | null = null;
  #failure: Error | null = null;

  private constructor(
    directory: string,
    medium: LogMedium,
    writer: LogWriter,
    writeTimeoutMs: number,
    clock: Clock,
    mayBegin: (() => Promise<void>) | null,
  ) {
    this.#directory = directory;
    this.#medium = medium;
    this.#writer = writer;
    this.#writeTimeoutMs = writeTimeoutMs;
    this.#clock = clock;
    this.#mayBegin = mayBegin;
  }

  /**
   * @throws QuorateError `data-directory-unwritable`, `data-directory-locked`, `data-directory-missing` (read-only),
   *   `log-unreadable`, `log-format-unknown`, `hard-state-unreadable`, `storage-failed` (the disk hangs)
   */
  static async open(
    path: string,
    options: LogStoreOptions,
  ): Promise<{ readonly store: LogStore; readonly recovered: RecoveredLog }> {
    const directory = absolute(path);
    const opening = options.readOnly
      ? openReadOnly(directory, options.digest)
      : openWritable(directory, options.digest);
    const { medium, writer, recovered } = await withDeadline(
      opening,
      OPEN_TIMEOUT_MS,
      systemClock,
      () =>
        new QuorateError('storage-failed', `opening the log in ${directory} took over ${OPEN_TIMEOUT_MS} ms`),
    );
    const wrapped = options.wrapMedium?.(medium) ?? medium;
    return {
      store: new LogStore(
        directory,
        wrapped,
        writer,
        options.writeTimeoutMs ?? WRITE_TIMEOUT_MS,
        systemClock,
        afterThisTurn,
      ),
      recovered,
    };
  }

  /** On a disk that somebody else has opened, a model of one in a simulation, which has no turns: `stored` is what it has. */
  static over(
    medium: LogMedium,
    stored: StoredLog,
    options: { readonly digest: Digest; readonly directory: string; readonly clock: Clock },
  ): { readonly store: LogStore; readonly recovered: RecoveredLog } {
    const recovered = recover(stored, options.digest);
    const writer = new LogWriter(stored, recovered);
    return {
      store: new LogStore(options.directory, medium, writer, WRITE_TIMEOUT_MS, options.clock, null),
      recovered,
    };
  }

  /** @throws (rejects) QuorateError `storage-failed`; InvariantError for persists that do not continue the log */
  persist(persists: readonly Persist[]): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (persists.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      assert(this.#waiting.length < MAX_WAITING_PERSISTS, 'too many persists wait for the disk');
      this.#waiting.push({ persists, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  /** Waits for what was begun. A dead store closes too, as far as its disk lets it. */
  async close(): Promise<void> {
    await this.#writing;
    const failed = this.#failure !== null;
    this.#failure ??= new QuorateError('storage-failed', `the log in ${this.#directory} is closed`);
    try {
      await this.#inTime(this.#medium.close(), 'closing the log');
    } catch (error) {
      if (!failed) throw error;
    }
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      if (this.#mayBegin !== null) await this.#mayBegin();
      const group = this.#waiting;
      this.#waiting = [];
      try {
        await this.#write(group.flatMap(({ persists }) => persists));
      } catch (error) {
        this.#fail(error, group);
        break;
      }
      for (const { resolve } of group) resolve();
    }
    this.#writing = null;
  }

  async #write(persists: readonly Persist[]): Promise<void> {
    const { batch, marker } = this.#writer.plan(persists);
    await this.#inTime(this.#medium.writeBatch(batch), 'a batch');
    await this.#inTime(this.#medium.writeMarker(marker), 'a marker');
  }

  #inTime(operation: Promise<void>, what: string): Promise<void> {
    return withDeadline(operation, this.#writeTimeoutMs, this.#clock, () => this.#tooLate(what));
  }

  #tooLate(what: string): QuorateError {
    return new QuorateError(
      'storage-failed',
      `${what} of the log in ${this.#directory} was not durable after ${this.#writeTimeoutMs} ms`,
    );
  }

  #fail(error: unknown, group: readonly Waiting[]): void {
    const failure =
      error instanceof InvariantError || error instanceof QuorateError
        ? error
        : new QuorateError(
            'storage-failed',
            `writing the log in ${this.#directory} failed: ${(error as Error).message}`,
            {
              cause: error,
              context: { directory: this.#directory },
            },
          );
    this.#failure = failure;
    for (const { reject } of [...group, ...this.#waiting]) reject(failure);
    this.#waiting = [];
  }
}

interface Opened {
  readonly medium: LogMedium;
  readonly writer: LogWriter;
  readonly recovered: RecoveredLog;
}

async function openWritable(directory: string, digest: Digest): Promise<Opened> {
  const { medium, stored, problems, settleSalvage } = await openDirectory(directory);
  let keep = true;
  try {
    const recovered = recover(stored, digest);
    keep = recovered.status === 'damaged';
    return {
      medium,
      writer: new LogWriter(stored, recovered),
      recovered: { ...recovered, problems: [...problems, ...recovered.problems] },
    };
  } catch (error) {
    await medium.close();
    throw error;
  } finally {
    await settleSalvage(keep);
  }
}

async function openReadOnly(directory: string, digest: Digest): Promise<Opened> {
  const { stored, problems } = await readDirectoryCopy(directory);
  const recovered = recover(stored, digest);
  return {
    medium: readOnlyMedium,
    writer: new LogWriter(stored, recovered),
    recovered: { ...recovered, problems: [...problems, ...recovered.problems] },
  };
}
