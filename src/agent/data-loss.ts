/**
 * What a takeover of pools that are replicated by snapshots would lose, and whether it may (`max_data_loss`).
 *
 * 1. Asked in the gate (H2), before the watchdog is armed and anything is granted: a leader that may not, renounces, hands over to a
 *    node that answers, or tries again later; so whoever has the data takes over as soon as it is there (H3, H6).
 * 2. Unknown is too much. Only a holder's own word in the pool counts, and it is read anew each time (D4: it is not in the log).
 * 3. Said once for each tenure before in the log, and in the status as long as it is so.
 */
import type { Clock } from '../clock.ts';
import { type Config, replicatedPools } from '../config/index.ts';
import { type Entry, type Epoch, logIndex } from '../core/index.ts';
import type { ExecutorClient, ExecutorEvent } from '../executor/index.ts';
import {
  type CopyLoss,
  type CopyWords,
  copyLoss,
  isLossAccepted,
  isoTime,
  lossText,
  whyTooMuchIsLost,
} from '../state/index.ts';
import type { Driver } from './driver.ts';

/** Its commands have ended by then; a promise is seldom shorter, and the preparation ends with it. */
const ANSWER_LIMIT_MS = 5_000;
const REFUSED = 'no takeover by ';

type CopiesRead = Extract<ExecutorEvent, { kind: 'copies-read' }>;

export interface DataLossOptions {
  readonly config: Config;
  readonly driver: () => Pick<Driver, 'view' | 'propose'> | null;
  readonly executor: Pick<ExecutorClient, 'readCopies' | 'connected'>;
  readonly clock: Clock;
}

export class DataLoss {
  readonly #options: DataLossOptions;
  #count = 0;
  readonly #waiting = new Map<number, (words: readonly CopyWords[]) => void>();
  #refusals = new Map<string, string>();
  /** What the takeover that was let through goes on from. */
  #taken: readonly string[] = [];

  constructor(options: DataLossOptions) {
    this.#options = options;
  }

  /** By the name of the resource, for the status. Nothing once somebody holds. */
  get refusals(): ReadonlyMap<string, string> {
    const view = this.#options.driver()?.view;
    return view?.leadership == null || view.hold.kind === 'held' ? new Map() : this.#refusals;
  }

  onCopiesRead({ id, copies }: CopiesRead): void {
    this.#waiting.get(id)?.(copies);
    this.#waiting.delete(id);
  }

  /** For the gate: null, or why not. Never rejects. */
  readonly why = async (): Promise<string | null> => {
    const losses = await this.losses();
    const view = this.#options.driver()?.view;
    if (view === undefined) return 'the agent is still starting';
    const { maxDataLossMs } = this.#options.config;
    const reasons = losses.flatMap((loss) => {
      const why = whyTooMuchIsLost(loss, maxDataLossMs);
      return why === null ? [] : [{ pool: loss.pool, why }];
    });
    this.#taken = losses.flatMap((loss) => lossText(loss, (ms) => isoTime(ms)) ?? []);
    const isAccepted = isLossAccepted(this.#committed(), view.self);
    this.#refusals = new Map(isAccepted ? [] : reasons.map(({ pool, why }) => [this.#nameOf(pool), why]));
    if (isAccepted || reasons.length === 0) return null;
    const why = `${reasons.map((one) => one.why).join('; ')} ("quorate failover --to ${view.self} --accept-data-loss" takes over all the same)`;
    this.#sayOnce(`${REFUSED}${view.self}: ${why}`);
    return why;
  };

  /** Of every replicated pool. */
  async losses(): Promise<readonly CopyLoss[]> {
    const words = await this.#ask();
    const view = this.#options.driver()?.view;
    return replicatedPools(this.#options.config).map((pool): CopyLoss => {
      const said = words.find((one) => one.pool === pool);
      if (said === undefined || view === undefined)
        return { kind: 'unknown', pool, why: 'the executor has not said what it has' };
      return copyLoss(this.#committed(), view.self, said, this.#options.clock.wallMs());
    });
  }

  /** The window of what is lost is stated where everything else about the takeover is. */
  onTaken(epoch: Epoch): void {
    for (const text of this.#taken)
      this.#options.driver()?.propose({ kind: 'note', text: `epoch ${epoch}: ${text}` });
    this.#taken = [];
  }

  #committed(): readonly Entry[] {
    const view = this.#options.driver()?.view;
    return view === undefined ? [] : view.log.slice(logIndex(1), view.commitIndex);
  }

  #nameOf(pool: string): string {
    const { resources } = this.#options.config;
    return resources.find((one) => one.kind === 'replicated-pool' && one.pool === pool)?.name ?? pool;
  }

  /** D4: once after each grant, however often it is tried, by whichever process of this node. */
  #sayOnce(text: string): void {
    const { self } = this.#options.driver()?.view ?? {};
    const all = this.#options.driver()?.view.log.all ?? [];
    const since = all.findLastIndex(({ body }) => body.kind === 'tenure-granted');
    const isSaid = all
      .slice(since + 1)
      .some(({ body }) => body.kind === 'note' && body.text.startsWith(`${REFUSED}${self}: `));
    if (!isSaid) this.#options.driver()?.propose({ kind: 'note', text: text.slice(0, 4000) });
  }

  #ask(): Promise<readonly CopyWords[]> {
    const { executor, clock } = this.#options;
    if (!executor.connected) return Promise.resolve([]);
    this.#count += 1;
    const id = this.#count;
    return new Promise((resolve) => {
      const timer = clock.after(ANSWER_LIMIT_MS, () => {
        this.#waiting.delete(id);
        resolve([]);
      });
      this.#waiting.set(id, (words) => {
        timer.cancel();
        resolve(words);
      });
      executor.readCopies(id);
    });
  }
}
