/**
 * What this node's own copies of replicated pools are worth, for people: looked at now and then by the question that decides a takeover
 * (data-loss.ts), because only the pool itself knows it (D4). Nothing is decided by what is kept here.
 *
 * 1. Only while another node may hold, or nobody: a holder knows more from its replicator.
 * 2. One question at a time; where an answer takes long, fewer are asked.
 * 3. What was seen in a tenure that is over says nothing of the next one.
 */
import type { Clock, Timer } from '../clock.ts';
import type { Entry } from '../core/index.ts';
import type { ExecutorEvent } from '../executor/index.ts';
import type { CopyLoss } from '../state/index.ts';
import type { Driver } from './driver.ts';

const READ_EVERY_MS = 30_000;
const MAX_PAUSE_MS = 600_000;
/** Times its own duration: on a host that is slow to answer, looking must not take what streams need. */
const SHARE_OF_TIME = 100;

export interface CopyViewOptions {
  readonly driver: Pick<Driver, 'view'>;
  /** Of every replicated pool of this node; never rejects. */
  readonly read: () => Promise<readonly CopyLoss[]>;
  readonly clock: Clock;
  readonly onChanged: () => void;
}

export class CopyView {
  readonly #options: CopyViewOptions;
  #known: readonly CopyLoss[] | null = null;
  #timer: Timer | null = null;
  #isReading = false;
  #isEnded = false;
  /** Counts what makes an answer void that is still under way. */
  #age = 0;

  constructor(options: CopyViewOptions) {
    this.#options = options;
  }

  /** Null: not looked at since what was known before has become void. */
  get known(): readonly CopyLoss[] | null {
    return this.#known;
  }

  start(): void {
    this.#soon(0);
  }

  end(): void {
    this.#isEnded = true;
    this.#timer?.cancel();
  }

  onCommitted({ body }: Entry): void {
    if (body.kind !== 'tenure-granted' && body.kind !== 'tenure-released') return;
    this.#forget();
    this.#soon(0);
  }

  onExecutorEvent(event: ExecutorEvent): void {
    if (event.kind === 'gone') this.#forget();
    if (event.kind === 'ready') this.#soon(0);
  }

  #forget(): void {
    this.#known = null;
    this.#age += 1;
  }

  /** While one is under way the next follows it anyway. */
  #soon(pauseMs: number): void {
    if (this.#isEnded || this.#isReading) return;
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(pauseMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    const { driver, read, clock, onChanged } = this.#options;
    const { tenure } = driver.view.state;
    const isOwn = tenure !== null && tenure.node === driver.view.self && !tenure.released;
    if (tenure === null || isOwn) return this.#soon(READ_EVERY_MS);
    const [age, startedAt] = [this.#age, clock.now()];
    this.#isReading = true;
    const losses = await read();
    this.#isReading = false;
    if (this.#isEnded) return;
    const isVoid = age !== this.#age;
    const pauseMs = Math.max(READ_EVERY_MS, SHARE_OF_TIME * (clock.now() - startedAt));
    this.#soon(isVoid ? READ_EVERY_MS / 10 : Math.min(pauseMs, MAX_PAUSE_MS));
    if (isVoid) return;
    this.#known = losses;
    onChanged();
  }
}
