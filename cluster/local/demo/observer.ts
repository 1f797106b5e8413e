/**
 * Looks for two holders, without asking any agent: tries a real write on each device, and a request through the elastic IP
 * with the controller's word on where it leads.
 *
 * Each success proves that the node held at some instant between the question and its answer. Two nodes held at once
 * if one of them proves it before, and again after, the other's proof, and there was no time to move there and back.
 */
import { z } from 'zod';
import type { LocalCluster } from '../cluster.ts';

/** Where the one elastic IP really leads, by the controller's own word. */
const controllerTruth = z.object({
  forwards: z.array(z.object({ target: z.object({ interfaceId: z.string() }).nullable() })),
});

interface Proof {
  readonly node: string;
  readonly from: number;
  readonly to: number;
  readonly by: 'device' | 'address';
}

/** Far less than two whole takeovers need, with their elections and commits. */
const NO_TIME_TO_MOVE_TWICE_MS = 80;
const WRITE_LIMIT_MS = 30;
const ANSWER_LIMIT_MS = 50;
const PAUSE_MS = 5;

export class Observer {
  readonly #cluster: LocalCluster;
  #recent: Proof[] = [];
  #maxHolders = 0;
  #looks = 0;
  #isStopped = false;
  #running: Promise<void> | null = null;

  constructor(cluster: LocalCluster) {
    this.#cluster = cluster;
  }

  get maxHolders(): number {
    return this.#maxHolders;
  }
  get looks(): number {
    return this.#looks;
  }

  start(): void {
    this.#running = this.#run();
  }
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const nodes = this.#cluster.dataNodes;
    while (!this.#isStopped) {
      for (const node of nodes)
        await this.#look(node, 'device', () => this.#cluster.canWrite(node, WRITE_LIMIT_MS));
      await this.#lookAtAddress();
      this.#looks += 1;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  async #look(node: string, by: Proof['by'], holds: () => Promise<boolean>): Promise<void> {
    const from = performance.now();
    if (await holds()) this.#note({ node, from, to: performance.now(), by });
  }

  async #lookAtAddress(): Promise<void> {
    const node = await this.#addressLeadsTo();
    if (node === null) return;
    await this.#look(node, 'address', async () => {
      try {
        const client = await this.#cluster.client(ANSWER_LIMIT_MS);
        const answer = await client.ask('count', ANSWER_LIMIT_MS).finally(() => client.close());
        // Only if it led there all the time.
        return answer.startsWith('count') && (await this.#addressLeadsTo()) === node;
      } catch {
        return false;
      }
    });
  }

  async #addressLeadsTo(): Promise<string | null> {
    try {
      const state = controllerTruth.parse(await this.#cluster.controllerCall('GET', 'state'));
      const target = state.forwards.find(({ target }) => target !== null)?.target;
      return (
        this.#cluster.dataNodes.find((id) => this.#cluster.plan(id).interface === target?.interfaceId) ?? null
      );
    } catch {
      return null;
    }
  }

  #note(proof: Proof): void {
    this.#recent = this.#recent.filter(({ to }) => proof.to - to < 1_000);
    if (this.#maxHolders < 1) this.#maxHolders = 1;
    for (const between of this.#recent) {
      if (between.node === proof.node || between.to > proof.from) continue;
      const isDouble = this.#recent.some(
        (before) =>
          before.node === proof.node &&
          before.to <= between.from &&
          proof.from - before.to < NO_TIME_TO_MOVE_TWICE_MS,
      );
      if (isDouble) this.#maxHolders = 2;
    }
    this.#recent.push(proof);
  }
}
