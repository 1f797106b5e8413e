/**
 * Looks at the kernels and at the controller, never at an agent: which device completed a write, and where the elastic IP
 * led when a client's write was acknowledged through it.
 */
import type { Acknowledgement } from '../local/demo/writer.ts';
import { type Look, Looker } from './channel.ts';
import { maxHolders, type Proof } from './holders.ts';
import { DATA_NODES, type DataNode } from './hosts.ts';
import { now } from './now.ts';
import type { Pace } from './plan.ts';

type Looks = Pick<Pace, 'lookPauseMs' | 'lookLimitMs'>;

interface Reading {
  readonly sentAt: number;
  readonly look: Look;
}

/** Where the elastic IP led, read between two instants. */
export interface Leading {
  readonly from: number;
  readonly to: number;
  readonly node: DataNode | null;
}

export class Observer {
  readonly #controller: () => Promise<DataNode | null>;
  readonly #pace: Looks;
  readonly #proofs: Proof[] = [];
  readonly #leadings: Leading[] = [];
  readonly #last = new Map<DataNode, Reading>();
  #looks = 0;
  #isStopped = false;
  #running: Promise<unknown> = Promise.resolve();

  /** `controller`: whom the address leads to, by its own word. */
  constructor(controller: () => Promise<DataNode | null>, pace: Looks) {
    this.#controller = controller;
    this.#pace = pace;
  }

  start(): void {
    this.#running = Promise.all([...DATA_NODES.map((node) => this.#watch(node)), this.#watchController()]);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  get looks(): number {
    return this.#looks;
  }

  /** The last reading of a node; null before the first one, and after the last question went unanswered. */
  last(node: DataNode): Look | null {
    return this.#last.get(node)?.look ?? null;
  }

  /** With the client's acknowledgements: each proves that somebody served, and where the address led says who. */
  maxHolders(acknowledgements: readonly Acknowledgement[]): number {
    return maxHolders([...this.#proofs, ...addressProofs(acknowledgements, this.#leadings)]);
  }

  async #watch(node: DataNode): Promise<void> {
    const looker = new Looker(node);
    while (!this.#isStopped) {
      const sentAt = now();
      const look = await looker.look(this.#pace.lookLimitMs);
      this.#note(node, sentAt, look);
      await this.#pause();
    }
    looker.close();
  }

  #note(node: DataNode, sentAt: number, look: Look | null): void {
    const before = this.#last.get(node);
    if (look === null) {
      this.#last.delete(node);
      return;
    }
    this.#looks += 1;
    this.#last.set(node, { sentAt, look });
    if (before === undefined || look.uptimeS < before.look.uptimeS) return;
    if (completedWrites(before.look, look))
      this.#proofs.push({ node, from: before.sentAt, to: now(), by: 'device' });
  }

  #pause(): Promise<void> {
    return new Promise((next) => setTimeout(next, this.#pace.lookPauseMs));
  }

  async #watchController(): Promise<void> {
    while (!this.#isStopped) {
      const from = now();
      const node = await this.#controller();
      this.#leadings.push({ from, to: now(), node });
      await this.#pause();
    }
  }
}

/** A Secondary's own writes are its peer's: they do not count. Nor does a device that was set up anew. */
function completedWrites(before: Look, after: Look): boolean {
  if (before.writes === null || after.writes === null) return false;
  return after.writes > before.writes && (before.role === 'Primary' || after.role === 'Primary');
}

/** Only where the address led to one node from before the question until after the answer. Pure. */
export function addressProofs(
  acknowledgements: readonly Acknowledgement[],
  leadings: readonly Leading[],
): readonly Proof[] {
  let first = 0;
  return acknowledgements.flatMap(({ askedAt, answeredAt }): readonly Proof[] => {
    while ((leadings[first + 1]?.to ?? Number.POSITIVE_INFINITY) <= askedAt) first += 1;
    const last = leadings.findIndex(({ from }, index) => index >= first && from >= answeredAt);
    const around = leadings.slice(first, last + 1);
    const node = around[0]?.node;
    const isCertain = last >= first && (around[0]?.to ?? Number.POSITIVE_INFINITY) <= askedAt;
    if (!isCertain || node == null || around.some((one) => one.node !== node)) return [];
    return [{ node, from: askedAt, to: answeredAt, by: 'address' }];
  });
}
