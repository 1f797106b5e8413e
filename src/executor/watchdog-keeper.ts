/**
 * Owns the watchdog for the guard: opens it when armed, pets it when told that it may, closes it in order.
 *
 * 1. One whose timeout is longer than the promise allows for is not kept open (L5).
 * 2. It is closed only when the caller says that everything is verified as released, and nobody wants it armed.
 * 3. One that a dead predecessor left ticking is opened only to be closed.
 */
import { QuorateError } from '../errors.ts';
import type { ExecutorState } from './state-file.ts';
import type { Watchdog, WhyUnfit } from './watchdog.ts';

export interface WatchdogKeeperOptions {
  readonly device: string;
  readonly mode: 'required' | 'automatic';
  readonly open: (device: string, whyUnfit?: WhyUnfit) => Promise<Watchdog>;
  readonly state: {
    readonly state: ExecutorState;
    update(change: Partial<ExecutorState>, how: 'written' | 'durable'): Promise<void>;
  };
  readonly onLost: (why: string) => void;
  readonly onProblem: (why: string) => void;
}

export class WatchdogKeeper {
  readonly #options: WatchdogKeeperOptions;
  #opened: Watchdog | null = null;
  #turn: Promise<void> = Promise.resolve();
  #closing: Promise<void> = Promise.resolve();
  #isWanted = false;

  constructor(options: WatchdogKeeperOptions) {
    this.#options = options;
  }

  /** H2: nothing may be taken without it. */
  get isMissing(): boolean {
    return this.#options.mode === 'required' && this.#opened === null;
  }

  /** Somebody is about to hold, or holds. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  /** Null while it is closed. */
  get timeoutMs(): number | null {
    return this.#opened?.timeoutMs ?? null;
  }

  /**
   * `limitMs`: the `W` that the promise was derived from; null: derived without a watchdog. Resolves only when the device
   * is armed and still wanted. Calls take turns: a device can be open only once.
   */
  arm(limitMs: number | null): Promise<void> {
    this.#isWanted = true;
    const turn = this.#turn.then(() => this.#armNow(limitMs));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #armNow(limitMs: number | null): Promise<void> {
    const { device } = this.#options;
    if (this.#opened === null) {
      const opened = await this.#options.open(device, (timeoutMs) => misfitOf(timeoutMs, limitMs));
      // The stand-in says its timeout only when it is open.
      const misfit = misfitOf(opened.timeoutMs, limitMs);
      if (misfit !== null) {
        await opened.disarm();
        throw new QuorateError('watchdog-unusable', `${device} ${misfit}`);
      }
      if (this.#isWanted) {
        this.#keep(opened);
        await this.#options.state.update({ isArmed: true }, 'written');
      } else await opened.disarm();
    }
    if (!this.#isWanted)
      throw new QuorateError('watchdog-unusable', `${device} was given up before it was armed`);
  }

  pet(): void {
    this.#opened?.pet();
  }

  unwant(): void {
    this.#isWanted = false;
  }

  /**
   * To be called only while everything is verified as released. One after the other: whoever asks while the device is being
   * closed is told when that is done, and a device can be open only once.
   */
  close(): Promise<void> {
    const closing = this.#closing.then(() => this.#closeNow());
    this.#closing = closing.catch(() => undefined);
    return closing;
  }

  async #closeNow(): Promise<void> {
    if (this.#isWanted) return;
    const { state, open, device, onProblem } = this.#options;
    if (this.#opened === null && state.state.isArmed) {
      const left = await open(device).catch((error: unknown) => {
        onProblem(String(error));
        return null;
      });
      if (left !== null) {
        // mark: watchdog-of-a-dead-executor-closed
        this.#keep(left);
      }
    }
    const opened = this.#opened;
    // `nowayout`: the kernel goes on ticking after an orderly close, so it is petted for as long as we live.
    if (opened === null || !opened.canDisarm) return;
    this.#opened = null;
    await opened.disarm();
    // Unless it was armed again meanwhile.
    if (this.#opened === null) await state.update({ isArmed: false }, 'written');
  }

  /**
   * The process ends, with everything released. Where the kernel does not say whether it can be disarmed, it may all the same; where it cannot,
   * nobody could pet it any more anyway.
   */
  async end(): Promise<void> {
    const opened = this.#opened;
    this.#opened = null;
    await opened?.disarm();
  }

  #keep(opened: Watchdog): void {
    this.#opened = opened;
    opened.onLost((why) => {
      if (this.#opened !== opened) return;
      this.#opened = null;
      this.#options.onLost(why);
    });
  }
}

function misfitOf(timeoutMs: number, limitMs: number | null): string | null {
  if (limitMs === null) return 'cannot be used: the cluster was set up without a watchdog (L5)';
  return timeoutMs > limitMs
    ? `fires after ${timeoutMs} ms, but the promise allows ${limitMs} ms (L5)`
    : null;
}
