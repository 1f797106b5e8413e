/** A simulated cluster that is well, whose agents are asked as operators ask them. */
import { expect } from 'vitest';
import type { Backend } from '../../src/agent/backend.ts';
import { Cluster } from '../simulation/cluster.ts';
import { SHAPES } from '../simulation/profiles.ts';

const CALM = { delayMs: [0.2, 2], loss: 0, duplicate: 0 } as const;
/** Virtual time. */
const LIMIT_MS = 120_000;

export class OrderBench {
  readonly cluster = new Cluster(11, SHAPES.mirror, CALM);

  static async begin<Made extends OrderBench>(this: new () => Made): Promise<Made> {
    const bench = new this();
    expect(await bench.cluster.begin()).toBe(true);
    await bench.until(() => bench.cluster.whatIsMissing() === null);
    return bench;
  }

  get holder(): string {
    return this.cluster.holders.join();
  }

  get other(): string {
    return this.holder === 'a' ? 'b' : 'a';
  }

  async until(isSo: () => boolean): Promise<void> {
    expect(await this.cluster.world.runUntil(isSo, LIMIT_MS, 5)).toBe(true);
  }

  /** Asks a node's agent, and lets virtual time pass until it has answered. */
  async ask<Answer>(of: string, act: (backend: Backend) => Answer | Promise<Answer>): Promise<Answer> {
    let end: (() => Answer) | null = null;
    this.cluster.node(of).ask((backend) =>
      (async () => act(backend))().then(
        (answer) => {
          end = () => answer;
        },
        (error: unknown) => {
          end = () => {
            throw error;
          };
        },
      ),
    );
    await this.until(() => end !== null);
    return (end as unknown as () => Answer)();
  }
}
