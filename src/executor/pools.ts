/**
 * Reads the pools of the config's `replication`, for this node's operator and for the other node's. It changes nothing, and
 * it is no part of what a release must verify: its commands are marked otherwise than the guard's.
 */
import { systemClock } from '../clock.ts';
import type { Config } from '../config/index.ts';
import { type PoolsReading, packReading, type ReadingParts, readPools } from '../replication/index.ts';
import { ChildRunner } from './commands.ts';
import { kernelFiles } from './kernel-files.ts';
import { type SentEvent, words } from './protocol.ts';

/** Of a packed reading, in one line of the channel. */
const PIECE_CHARACTERS = 32 * 1024;
const END_LIMIT_MS = 100;

export class PoolsReader {
  readonly #names: readonly string[];
  readonly #commands: ChildRunner;
  readonly #withLeftOut: boolean;
  readonly #stopping = new AbortController();
  #reading: Promise<PoolsReading> | null = null;

  constructor(
    { replication, dataDir }: Pick<Config, 'replication' | 'dataDir'>,
    { withLeftOut = false }: Pick<ReadingParts, 'withLeftOut'> = {},
  ) {
    this.#names = replication?.pools ?? [];
    this.#withLeftOut = withLeftOut;
    this.#commands = new ChildRunner(`pools of ${dataDir}`, systemClock);
  }

  /** Who asks while one is made gets that one. */
  read(): Promise<PoolsReading> {
    this.#reading ??= readPools(this.#names, {
      commands: this.#commands,
      kernel: kernelFiles,
      clock: systemClock,
      signal: this.#stopping.signal,
      withLeftOut: this.#withLeftOut,
    }).finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  /** Answers the order with this number, in as many pieces as it takes. */
  async answer(id: number, send: (event: SentEvent) => void): Promise<void> {
    try {
      const packed = await packReading(await this.read());
      const count = Math.ceil(packed.length / PIECE_CHARACTERS);
      for (let piece = 0; piece < count; piece++) {
        const text = packed.slice(piece * PIECE_CHARACTERS, (piece + 1) * PIECE_CHARACTERS);
        send({ kind: 'pools-read', id, text, isLast: piece === count - 1 });
      }
    } catch (error) {
      send({ kind: 'pools-unread', id, why: words(error) });
    }
  }

  stop(): Promise<unknown> {
    this.#stopping.abort();
    return this.#commands.killInFlight(END_LIMIT_MS);
  }
}
