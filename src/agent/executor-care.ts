/** That there is an executor: started before the first vote (L4), and another one whenever it dies (O1). */
import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import type { Adoptable } from '../core/index.ts';
import type { ExecutorClient, ExecutorEvent } from '../executor/index.ts';

/** A release that cannot be verified must not keep the agent from answering: it goes on, and votes for nobody (L3). */
const READY_PATIENCE_MS = 3_000;
const REPLACE_RETRY_MS = 500;

export interface ExecutorCareOptions {
  readonly executor: ExecutorClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onEvent: (event: ExecutorEvent) => void;
  /** Also an agent that is ending owes a release, as long as it does not know that nothing is held. */
  readonly isNeeded: () => boolean;
}

export class ExecutorCare {
  readonly #options: ExecutorCareOptions;
  #onReady: (() => void) | null = null;
  #isReplacing = false;

  constructor(options: ExecutorCareOptions) {
    this.#options = options;
  }

  /**
   * L4: no vote before the executor has verified that nothing is held. Where that takes long (a tool is missing or hangs),
   * the agent starts as one that has lost its executor: it answers operators, and votes for nobody until it is ready.
   */
  async start(adopt: Adoptable | null): Promise<() => boolean> {
    let isReady = false;
    const ready = new Promise<void>((resolve) => {
      this.#onReady = () => {
        isReady = true;
        resolve();
      };
    });
    await this.#options.executor.start((event) => this.#options.onEvent(event), adopt?.epoch ?? null);
    const isWaited = new AbortController();
    await Promise.race([ready, this.#options.clock.sleep(READY_PATIENCE_MS, isWaited.signal)]);
    isWaited.abort();
    if (!isReady) {
      const why =
        'it cannot be shown that nothing is held here: this node votes for nobody until it can (L3)';
      this.#options.log.error({ event: 'release-unverified' }, why);
    }
    return () => isReady;
  }

  /** It holds nothing, or has kept what it held (L7). */
  onReady(): void {
    this.#onReady?.();
    this.#onReady = null;
  }

  /** O1: a new executor that releases. Until it has, this node votes for nobody; its watchdog is not petted either. */
  async replace(): Promise<void> {
    if (this.#isReplacing) return;
    this.#isReplacing = true;
    // Until one is connected: it may die as soon as it is there.
    while (this.#options.isNeeded() && !this.#options.executor.connected) {
      this.#options.log.error(
        { event: 'executor-lost' },
        'the executor is gone; starting one that releases (O1)',
      );
      try {
        // mark: executor-replaced
        await this.#options.executor.replace();
      } catch (error) {
        this.#options.log.error(
          { event: 'executor-replace-failed', error: String(error) },
          'no new executor yet',
        );
        await this.#options.clock.sleep(REPLACE_RETRY_MS);
      }
    }
    this.#isReplacing = false;
  }
}
