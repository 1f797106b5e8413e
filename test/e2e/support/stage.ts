/** One local cluster with real agents for the tests of a file, watched for a second holder all the time. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { LocalCluster, type LocalClusterOptions } from '../../../cluster/local/cluster.ts';
import { Observer } from '../../../cluster/local/demo/observer.ts';
import { healthy } from '../../../cluster/local/demo/scenario.ts';
import { Writer } from '../../../cluster/local/demo/writer.ts';
import { findProcesses, isGone } from '../../../cluster/local/node/index.ts';
import { sha256, verifyDirectory } from '../../../src/log/index.ts';
import { type AuditContract, audit } from './contract.ts';

const MOVE_LIMIT_MS = 20_000;
const HEALTHY_LIMIT_MS = 30_000;

export class TestStage {
  readonly cluster: LocalCluster;
  #observer: Observer | null = null;

  private constructor(cluster: LocalCluster) {
    this.cluster = cluster;
  }

  static async create(dist: string, options: Partial<LocalClusterOptions> = {}): Promise<TestStage> {
    // A lease with some room: what is tested is what happens, not how short it can be on a busy machine.
    return new TestStage(await LocalCluster.create({ seed: 1, dist, timing: { leaseMs: 600 }, ...options }));
  }

  /** Everybody up and in sync, as each says for itself; the node that holds. */
  async healthy(): Promise<string> {
    const { cluster } = this;
    await this.#agreed();
    await healthy({ cluster, writer: new Writer(cluster.serviceAddress, 1), say: () => undefined });
    return this.#agreed();
  }

  /** The one holder of whom all three know; a leader alone may not have noticed yet who is down. */
  async #agreed(): Promise<string> {
    let agreed: string | null = null;
    await this.cluster.waitFor(
      'all agents answer and know the same holder',
      async () => {
        agreed = await this.holder();
        return true;
      },
      HEALTHY_LIMIT_MS,
    );
    if (agreed === null) throw new Error('nobody holds');
    return agreed;
  }

  async holder(): Promise<string> {
    const seen = await Promise.all([...this.cluster.nodes.keys()].map((id) => this.cluster.status(id)));
    const [first, ...others] = seen.map(({ holder }) => holder);
    if (first == null || others.some((holder) => holder !== first))
      throw new Error(`the agents do not agree on a holder: ${seen.map(({ holder }) => holder)}`);
    return first;
  }

  inSync(leader: string, node: string): Promise<void> {
    return this.cluster.waitFor(
      `${node} is in the in-sync set`,
      async () => (await this.cluster.status(leader)).nodes.find(({ id }) => id === node)?.inSync === true,
      HEALTHY_LIMIT_MS,
    );
  }

  other(node: string): string {
    const other = this.cluster.dataNodes.find((id) => id !== node);
    if (other === undefined) throw new Error('no other data node');
    return other;
  }

  watch(): void {
    this.#observer = new Observer(this.cluster);
    this.#observer.start();
  }

  /** Must not pass by not having looked. */
  async expectOneHolder(): Promise<void> {
    const observer = this.#observer;
    this.#observer = null;
    if (observer === null) return;
    await observer.stop();
    expect(observer.looks).toBeGreaterThan(0);
    expect(observer.maxHolders).toBeLessThanOrEqual(1);
  }

  /** A takeover of a later epoch that is complete; its node. */
  async nextHolder(afterEpoch: number, of: readonly string[] = this.cluster.dataNodes): Promise<string> {
    let found = '';
    await this.cluster.waitFor(
      `a tenure after epoch ${afterEpoch}`,
      async () => {
        for (const id of of) {
          const { holder, epoch, lastTakeover } = await this.cluster.status(id);
          const isComplete = lastTakeover?.epoch === epoch && lastTakeover?.totalMs != null;
          if (holder === id && epoch !== null && epoch > afterEpoch && isComplete) found = id;
        }
        return found !== '';
      },
      MOVE_LIMIT_MS,
    );
    return found;
  }

  async epoch(): Promise<number> {
    const { epoch } = await this.cluster.status(await this.holder());
    if (epoch === null) throw new Error('no tenure');
    return epoch;
  }

  /** Whatever the other nodes know. */
  async epochAt(node: string): Promise<number | null> {
    return (await this.cluster.status(node)).epoch;
  }

  async audit(node: string): Promise<AuditContract> {
    const { exit, stdout, stderr } = await this.cluster.quorate(node, ['audit', '--json', '--verify']);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    return audit.parse(JSON.parse(stdout));
  }

  dataDir(node: string): string {
    return join(this.cluster.directory, node, 'data');
  }

  /** L5's promise, as the log of the cluster says it. */
  async promiseMs(): Promise<number> {
    const { entries } = await verifyDirectory(this.dataDir('a'), sha256);
    const body = entries[0]?.body;
    if (body?.kind !== 'config') throw new Error('the log does not begin with a config');
    return body.timing.promiseMs;
  }

  /** The executor's pid, from its lock; null when there is none. */
  executor(node: string): number | null {
    try {
      const { pid } = JSON.parse(readFileSync(join(this.dataDir(node), 'executor.lock'), 'utf8')) as {
        pid: number;
      };
      return isGone(pid) ? null : pid;
    } catch {
      return null;
    }
  }

  /** Agents and executors of a node. */
  programs(node: string): number[] {
    return findProcesses(this.cluster.node(node).tag).filter((pid) => {
      try {
        return /(quorate|executor)\.mjs/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
      } catch {
        return false;
      }
    });
  }

  log(node: string, program = 'agent'): string {
    return readFileSync(this.cluster.node(node).logFile(program), 'utf8');
  }

  async expectNothingHeld(): Promise<void> {
    for (const node of this.cluster.dataNodes) {
      expect(await this.cluster.canWrite(node), `${node} can write`).toBe(false);
      expect((await this.cluster.drbd(node)).role).toBe('Secondary');
    }
    // The elastic IP's forwarder may take the connection; a service is what answers.
    const asked = this.cluster.client(300).then((client) => client.ask('count', 300));
    await expect(asked).rejects.toThrow();
  }
}
