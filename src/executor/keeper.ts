/**
 * L7: what the executor knows of a tenure that it keeps over the planned restart of its agent.
 *
 * 1. It is kept for one agent: the next. That one is let in only when the process of the one before is gone (O1).
 * 2. However it ends without being adopted, the members are told of the release, as after the death of an agent (R4): the
 *    process before is gone, or made sure to be.
 */
import type { Epoch } from '../core/index.ts';
import { type AgentEndOptions, type EndedAgent, endOfAgent } from './agent-end.ts';
import type { Guard } from './guard-proxy.ts';
import type { ProcessId } from './processes.ts';
import { words } from './protocol.ts';

export interface KeeperOptions extends Omit<AgentEndOptions, 'agent' | 'releasing'> {
  readonly guard: Guard;
}

interface Kept<Agent extends EndedAgent> {
  readonly epoch: Epoch;
  /** Which goes, or has gone. */
  readonly agent: Agent;
  readonly over: Promise<void>;
  readonly settle: () => void;
}

export class Keeper<Agent extends EndedAgent = EndedAgent> {
  readonly #options: KeeperOptions;
  #kept: Kept<Agent> | null = null;
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

  isKeptFor(agent: EndedAgent): boolean {
    return this.#kept?.agent === agent;
  }

  keep(epoch: Epoch, agent: Agent): void {
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
  ): { readonly epoch: Epoch; readonly agent: Agent } | { readonly refusal: string } {
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
  onRevoked(epoch: Epoch, connected: EndedAgent | null): void {
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
}
