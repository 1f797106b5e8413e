/**
 * The life cycle of instances: what StopInstances and StartInstances set going, and what happens to real machines.
 *
 * 1. `stopping` proves nothing. Without SkipOsShutdown the machine runs on, and its links work, while it shuts
 *    down cleanly (Force or not); only then the power goes.
 * 2. `stopped` is true: it is entered only after the power hook has reported that the machine is off. A failing
 *    hook leaves the instance in `stopping` for good.
 * 3. Each call acts on the state it finds; timers of an earlier stop never touch a later life of the instance.
 */
import type { WorldStore } from './store.ts';
import { type Instance, withItem } from './world.ts';

export interface PowerTiming {
  /** How long the operating system takes for its clean shutdown. */
  readonly osShutdownMs: number;
  /** How long EC2 still says `stopping` after the power is off. */
  readonly stoppingMs: number;
  readonly pendingMs: number;
}

export interface StopOptions {
  readonly force: boolean;
  readonly skipOsShutdown: boolean;
}

export type PowerAction = 'stop' | 'start';
export type OnPower = (instanceId: string, action: PowerAction, how: StopOptions) => void | Promise<void>;

export interface PowerEvent {
  readonly seq: number;
  readonly atMs: number;
  readonly instanceId: string;
  readonly action: PowerAction;
}

interface PowerOptions {
  readonly store: WorldStore;
  readonly timing: PowerTiming;
  readonly onPower: OnPower;
  readonly later: (delayMs: number, work: () => void) => void;
  readonly now: () => number;
  readonly onProblem: (event: string, detail: Record<string, unknown>) => void;
}

const AT_ONCE: StopOptions = { force: true, skipOsShutdown: true };
const MAX_EVENTS = 1_000;

export class PowerControl {
  readonly #options: PowerOptions;
  readonly #lives = new Map<string, number>();
  readonly #events: PowerEvent[] = [];
  #nextSeq = 1;

  constructor(options: PowerOptions) {
    this.#options = options;
  }

  /** For a local cluster in another process, which asks for news instead of giving a hook. */
  eventsAfter(seq: number): PowerEvent[] {
    return this.#events.filter((event) => event.seq > seq);
  }

  stop(id: string, how: StopOptions): void {
    const one = this.#instance(id);
    if (one.state === 'running') this.#set(id, { state: 'stopping' });
    if (one.state !== 'running' && one.state !== 'stopping') return;
    const life = this.#life(id);
    const { later, timing } = this.#options;
    later(how.skipOsShutdown ? 0 : timing.osShutdownMs, () => {
      const now = this.#instance(id);
      // A crashed machine is off already but still has to be seen to `stopped`; a second stop must not dwell twice.
      if (this.#life(id) !== life || now.state !== 'stopping') return;
      this.#lives.set(id, life + 1);
      this.#finishStop(id, how);
    });
  }

  start(id: string): void {
    if (this.#instance(id).state !== 'stopped') return;
    const life = this.#newLife(id);
    this.#set(id, { state: 'pending' });
    void this.#hook(id, 'start', AT_ONCE).then((isDone) => {
      if (this.#life(id) !== life) return;
      if (!isDone) return this.#set(id, { state: 'stopped' });
      this.#set(id, { powered: true });
      this.#options.later(this.#options.timing.pendingMs, () => {
        if (this.#life(id) === life) this.#set(id, { state: 'running' });
      });
    });
  }

  /**
   * The world outside EC2's calls. `crash`: the machine is off and EC2 still says `running`; `stop`, `start` and
   * `terminate`: at once, without dwelling. `withHook` false only tells the controller what is true already.
   */
  async force(id: string, action: PowerAction | 'crash' | 'terminate', withHook = true): Promise<void> {
    this.#instance(id);
    const life = this.#newLife(id);
    const goesOn = action === 'start';
    if (!goesOn) this.#set(id, { powered: false });
    const isDone = withHook ? await this.#hook(id, goesOn ? 'start' : 'stop', AT_ONCE) : true;
    if (!isDone || this.#life(id) !== life) return;
    if (goesOn) this.#set(id, { state: 'running', powered: true });
    else if (action === 'stop') this.#set(id, { state: 'stopped' });
    else if (action === 'terminate') this.#set(id, { state: 'terminated' });
  }

  #finishStop(id: string, how: StopOptions): void {
    const life = this.#life(id);
    this.#set(id, { powered: false });
    void this.#hook(id, 'stop', how).then((isDone) => {
      if (!isDone || this.#life(id) !== life) return;
      this.#options.later(this.#options.timing.stoppingMs, () => {
        if (this.#life(id) === life) this.#set(id, { state: 'stopped' });
      });
    });
  }

  async #hook(instanceId: string, action: PowerAction, how: StopOptions): Promise<boolean> {
    this.#events.push({ seq: this.#nextSeq++, atMs: this.#options.now(), instanceId, action });
    if (this.#events.length > MAX_EVENTS) this.#events.shift();
    try {
      await this.#options.onPower(instanceId, action, how);
      return true;
    } catch (error) {
      this.#options.onProblem('power-hook-failed', { instanceId, action, error: String(error) });
      return false;
    }
  }

  #instance(id: string): Instance {
    const one = this.#options.store.current.instances.get(id);
    if (one === undefined) throw new RangeError(`no instance ${id}`);
    return one;
  }

  #set(id: string, change: Partial<Instance>): void {
    const { store } = this.#options;
    store.commit(withItem(store.current, 'instances', id, { ...this.#instance(id), ...change }));
  }

  #life(id: string): number {
    return this.#lives.get(id) ?? 0;
  }

  #newLife(id: string): number {
    const life = this.#life(id) + 1;
    this.#lives.set(id, life);
    return life;
  }
}
