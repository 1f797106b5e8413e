/**
 * L7: what the executor knows of a tenure that it keeps over the planned restart of its agent.
 *
 * 1. It is kept for one agent: the next. That one is let in only when the process of the one before is gone (O1).
 * 2. However it ends without being adopted, the members are told of the release, as after the death of an agent (R4): the
 *    process before is gone, or made sure to be.
 */
import type { Epoch } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { type AgentEndOptions, endOfAgent } from './agent-end.ts';
import type { ConnectedAgent } from './executor-options.ts';
import type { Guard } from './guard-proxy.ts';
import type { Holding } from './holding.ts';
import type { ProcessId } from './processes.ts';
import { clip, type Order, type SentEvent, words } from './protocol.ts';

export interface KeeperOptions extends Omit<AgentEndOptions, 'agent' | 'releasing'> {
  readonly guard: Guard;
  readonly send: (event: SentEvent) => void;
  readonly holding: Pick<Holding, 'tenure' | 'isBusy'>;
  /** Asked anew after every wait. */
  readonly connected: () => ConnectedAgent | null;
  /** As any agent: everything is released and verified first (L4). */
  readonly makeReady: (agent: ConnectedAgent, session: string) => Promise<void>;
  readonly onAdopted: (agent: ConnectedAgent) => void;
}

interface Kept {
  readonly epoch: Epoch;
  /** Which goes, or has gone. */
  readonly agent: ConnectedAgent;
  readonly over: Promise<void>;
  readonly settle: () => void;
}

export class Keeper {
  readonly #options: KeeperOptions;
  #kept: Kept | null = null;
  #over: Promise<void> = Promise.resolve();

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** The epoch that waits for an agent, or for the end of its time; null: none. */
  get kept(): Epoch | null {
    return this.#kept?.epoch ?? null;
  }

  /** Resolves when it is adopted, or released and said. */
  get over(): Promise<void> {
    return this.#over;
  }

  isKeptFor(agent: ConnectedAgent): boolean {
    return this.#kept?.agent === agent;
  }

  #keep(epoch: Epoch, agent: ConnectedAgent): void {
    let settle: () => void = () => undefined;
    this.#over = new Promise((resolve) => {
      settle = resolve;
    });
    this.#kept = { epoch, agent, over: this.#over, settle };
  }

  /** For a new agent that asks for that epoch; or why it gets nothing. */
  of(
    epoch: Epoch,
    isRunning: (id: ProcessId) => boolean,
  ): { readonly epoch: Epoch; readonly agent: ConnectedAgent } | { readonly refusal: string } {
    const kept = this.#kept;
    if (kept?.epoch !== epoch) return { refusal: `epoch ${epoch} is not kept here` };
    if (isRunning(kept.agent.process))
      return { refusal: `the agent before, process ${kept.agent.process.pid}, has not ended yet` };
    return kept;
  }

  /** Somebody else speaks for it from here on. */
  drop(): void {
    this.#kept?.settle();
    this.#kept = null;
  }

  /** The guard lets go: by the deadline, or because an agent has come that knows nothing of it. */
  onRevoked(epoch: Epoch, connected: ConnectedAgent | null): void {
    const kept = this.#kept;
    if (kept === null || kept.epoch > epoch) return;
    this.#kept = null;
    // It has not even gone: it hears of this as of any other release.
    if (connected === kept.agent) return kept.settle();
    const { guard, log } = this.#options;
    const releasing = guard.ask({ op: 'abrupt', epoch: kept.epoch, why: 'the restart is over' });
    void endOfAgent({ ...this.#options, agent: kept.agent, releasing })
      .catch((error: unknown) => log('warn', { event: 'agent-end-failed', why: words(error) }))
      .finally(kept.settle);
  }

  /** What is kept for nobody any more is released. */
  keepNoMore(why: string): void {
    const { kept } = this;
    if (kept !== null && this.#options.connected() === null)
      void this.#options.guard
        .ask({ op: 'abrupt', epoch: kept, why })
        .catch((error) => this.#warn('release-failed', error));
  }

  // ---- orders

  async handOver(
    agent: ConnectedAgent,
    { epoch, until }: Extract<Order, { kind: 'hand-over' }>,
  ): Promise<void> {
    const { tenure } = this.#options.holding;
    const refuse = (why: string): void =>
      this.#options.send({ kind: 'hand-over-refused', epoch, why: clip(why) });
    if (tenure?.epoch !== epoch || !tenure.isTaken || tenure.isReleasing || tenure.isKept)
      return refuse(`epoch ${epoch} is not held with everything`);
    // How it ends must be heard by an agent that knows what it was about.
    if (this.#options.holding.isBusy)
      return refuse('something is just being repaired: ask again in a moment');
    tenure.isKept = true;
    try {
      await this.#options.guard.ask({ op: 'hand-over', epoch, until });
    } catch (error) {
      tenure.isKept = false;
      return refuse(words(error));
    }
    if (this.#options.holding.tenure !== tenure || this.#options.connected() !== agent) return;
    this.#keep(epoch, agent);
    this.#options.send({ kind: 'handed-over', epoch });
  }

  /** Instead of `ready`. Where the guard has let go meanwhile, this is an agent like any other. */
  async comeBack(agent: ConnectedAgent, session: string, epoch: Epoch): Promise<void> {
    try {
      const until = await this.#options.guard.ask({ op: 'come-back', session, timing: agent.timing, epoch });
      if (this.#options.connected() === agent) this.#options.send({ kind: 'kept', epoch, until });
    } catch (error) {
      this.#warn('come-back-refused', error);
      agent.isAdopting = false;
      if (this.#options.connected() === agent) await this.#options.makeReady(agent, session);
    }
  }

  async bind(agent: ConnectedAgent, { epoch, term, until }: Extract<Order, { kind: 'bind' }>): Promise<void> {
    let ok = false;
    try {
      if (!agent.isAdopting) throw new QuorateError('order-refused', 'this agent adopts nothing (L7)');
      await this.#options.guard.ask({ op: 'bind', epoch, term, until });
      // From here on the agent speaks for it, also where it goes (R4).
      agent.lastTake = { epoch, term };
      this.drop();
      ok = true;
    } catch (error) {
      this.#warn('bind-refused', error);
    }
    if (this.#options.connected() === agent) this.#options.send({ kind: 'bound', epoch, ok });
  }

  async adopt(agent: ConnectedAgent, { epoch, until }: Extract<Order, { kind: 'adopt' }>): Promise<void> {
    try {
      await this.#options.guard.ask({ op: 'adopt', epoch, until });
    } catch (error) {
      // It lets go of it, and has said so.
      return this.#warn('adopt-refused', error);
    }
    const { tenure } = this.#options.holding;
    if (this.#options.connected() !== agent || tenure?.epoch !== epoch) return;
    tenure.isKept = false;
    agent.isAdopting = false;
    agent.isReady = true;
    this.#options.onAdopted(agent);
  }

  /** What an agent had come for is released and verified: as with any other agent, nothing is held now (L4). */
  adoptsNoMore(): void {
    const agent = this.#options.connected();
    if (agent?.isAdopting !== true) return;
    // mark: adopts-no-more
    agent.isAdopting = false;
    agent.isReady = true;
  }

  #warn(event: string, error: unknown): void {
    this.#options.log('warn', { event, why: words(error) });
  }
}
