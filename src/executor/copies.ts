/**
 * What the copies of replicated pools say of themselves, for the node that is about to take them over; marked otherwise than what a
 * release must verify, because it changes nothing.
 */
import { systemClock } from '../clock.ts';
import { type Config, replicatedPools } from '../config/index.ts';
import { readCopyWords } from '../replication/index.ts';
import type { CopyWords } from '../state/index.ts';
import { ChildRunner } from './commands.ts';
import { kernelFiles } from './kernel-files.ts';

const END_LIMIT_MS = 100;

export class CopiesReader {
  readonly #pools: readonly string[];
  readonly #commands: ChildRunner;
  readonly #stopping = new AbortController();

  constructor(config: Pick<Config, 'resources' | 'dataDir'>) {
    this.#pools = replicatedPools(config);
    this.#commands = new ChildRunner(`copies of ${config.dataDir}`, systemClock);
  }

  /** Never rejects for what the system says. */
  read(): Promise<readonly CopyWords[]> {
    const { signal } = this.#stopping;
    const parts = { commands: this.#commands, clock: systemClock, kernel: kernelFiles, signal };
    return Promise.all(this.#pools.map((pool) => readCopyWords(pool, parts)));
  }

  stop(): Promise<unknown> {
    this.#stopping.abort();
    return this.#commands.killInFlight(END_LIMIT_MS);
  }
}
