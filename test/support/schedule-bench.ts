/** A simulated cluster whose operators order switchovers at a later time. */
import { expect } from 'vitest';
import type { ScheduledSwitchover } from '../../src/admin/index.ts';
import type { Backend } from '../../src/agent/backend.ts';
import { nodeId } from '../../src/core/index.ts';
import { sha256 } from '../../src/log/index.ts';
import { audit } from '../../src/state/index.ts';
import { Cluster } from '../simulation/cluster.ts';
import { SHAPES } from '../simulation/profiles.ts';

const CALM = { delayMs: [0.2, 2], loss: 0, duplicate: 0 } as const;
/** After which the switchovers of the tests are due. */
export const IN_MS = 20_000;

export class ScheduleBench {
  readonly cluster = new Cluster(11, SHAPES.mirror, CALM);
  #requests = 0;

  static async begin(): Promise<ScheduleBench> {
    const bench = new ScheduleBench();
    expect(await bench.cluster.begin()).toBe(true);
    await bench.isWhole();
    return bench;
  }
  get holder(): string {
    return this.cluster.holders.join();
  }
  get other(): string {
    return this.holder === 'a' ? 'b' : 'a';
  }
  async until(isSo: () => boolean, limitMs = 200_000): Promise<void> {
    expect(await this.cluster.world.runUntil(isSo, limitMs, 5)).toBe(true);
  }
  isWhole(): Promise<void> {
    return this.until(() => this.cluster.whatIsMissing() === null);
  }
  async pass(ms: number): Promise<void> {
    const until = this.cluster.world.now + ms;
    await this.until(() => this.cluster.world.now >= until, ms + 1_000);
  }
  async ask<Answer>(of: string, act: (backend: Backend) => Promise<Answer>): Promise<Answer> {
    let end: (() => Answer) | null = null;
    this.cluster.node(of).ask((backend) =>
      act(backend).then(
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
  order() {
    this.#requests += 1;
    return { who: 'root', why: 'new switch', requestId: `request-${this.#requests}`, expectedEpoch: null };
  }
  schedule(
    more: { to?: string; inMs?: number; requestId?: string; dryRun?: boolean } = {},
    of = this.holder,
  ) {
    const { to, inMs = IN_MS, dryRun = false, requestId } = more;
    const order = { ...this.order(), ...(requestId && { requestId }) };
    const when = { kind: 'in', ms: inMs } as const;
    return this.ask(of, (backend) =>
      backend.scheduleSwitchover({ ...order, to: to === undefined ? null : nodeId(to), when, dryRun }),
    );
  }
  bodies(kind: string) {
    return this.cluster.consensus.committed.map(({ body }) => body).filter((body) => body.kind === kind);
  }
  async end(): Promise<object | undefined> {
    await this.until(() => this.bodies('switchover-ended').length > 0);
    return this.bodies('switchover-ended')[0];
  }
  shown(of: string): Promise<ScheduledSwitchover | null> {
    return this.ask(of, async (backend) => backend.status().scheduled);
  }
  get violations() {
    return audit(this.cluster.consensus.committed, sha256).violations;
  }
}
