/**
 * A whole cluster on one machine, without root: agents, VPC controller, elastic IP, links, watchdogs, and stand-ins for
 * DRBD and for a service. Everything listens on 127.0.0.0/8.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AdminClient, type StatusDocument } from '../../src/admin/index.ts';
import type { Entry } from '../../src/core/index.ts';
import type { TlsMaterial } from '../../src/peer/index.ts';
import type { ControllerStateInput } from './controller/index.ts';
import { type DrbdSnapshot, drbdSnapshot, type Endpoint, probeWrite } from './drbd/index.ts';
import { type Build, configFile } from './files.ts';
import { LocalMachines, type MachineSettings } from './machines.ts';
import { freeNetwork } from './node/index.ts';
import {
  ALLOCATION,
  controllerHost,
  DEFAULT_MEMBERS,
  elasticIp,
  type MemberPlan,
  type NodePlan,
  PORT,
  planNodes,
  type TimingPlan,
} from './plan.ts';
import { StoreClient } from './store/index.ts';

export type { Build } from './files.ts';
export type { ClusterEvent } from './machines.ts';

const COMMAND_TIMEOUT_MS = 60_000;
const START_TIMEOUT_MS = 30_000;
const POLL_MS = 20;

export interface LocalClusterOptions {
  readonly seed: number;
  /** Where the bundles are; found beside this file or in `dist` of the checkout. */
  readonly dist?: string;
  /** A new one in the system's place for such, removed again by `stop`, when not given. */
  readonly directory?: string;
  /** What nodes begin with, where that is not `dist`; `install` replaces it. */
  readonly builds?: Readonly<Record<string, Build>>;
  readonly members?: readonly MemberPlan[];
  /** Heartbeat 100, lease 400, release 600 ms unless told otherwise. */
  readonly timing?: Partial<TimingPlan>;
  /** Time-out 400 ms; `bootMs` (1000): how long a node stays off after its watchdog fired. */
  readonly watchdog?: {
    readonly timeoutMs?: number;
    readonly bootMs?: number;
    readonly mode?: 'required' | 'automatic' | 'off';
  };
  /** 4096 blocks of 4 KiB, ping time-out 500 ms. */
  readonly drbd?: { readonly blocks?: number; readonly pingTimeoutMs?: number };
  /** Merged over the planned state of the controller: its timing, faults, how dead links look. */
  readonly controller?: Partial<ControllerStateInput>;
  /** Off unless told otherwise: an instance that was stopped stays off until somebody boots it. */
  readonly fencing?: 'off' | 'after' | 'before';
  /** False: no agents, so nothing to bootstrap; for tests of the machine alone. */
  readonly agents?: boolean;
  /** False: agents run, and the caller bootstraps. */
  readonly bootstrap?: boolean;
}

export interface CommandResult {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The part of the controller's state that is read here (controller/forwarder.ts). */
interface ControllerTruth {
  readonly forwards: readonly {
    readonly allocationId: string;
    readonly target: { readonly interfaceId: string } | null;
  }[];
}

/** This file is itself bundled into `dist` or `dist/chunks`, or runs from the checkout. */
function findDist(): string {
  const candidates = ['.', '..', '../../dist'].map((path) => fileURLToPath(new URL(path, import.meta.url)));
  const found = candidates.find((path) => existsSync(join(path, 'local-drbd.mjs')));
  if (found === undefined) throw new Error('the programs are not built: npm run build');
  return found;
}

async function settingsOf(options: LocalClusterOptions): Promise<MachineSettings> {
  const dist = options.dist ?? findDist();
  const network = await freeNetwork();
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'quorate-'));
  mkdirSync(directory, { recursive: true });
  return {
    name: `local-${process.pid}-${network}`,
    network,
    directory,
    isOwnDirectory: options.directory === undefined,
    dist,
    builds: options.builds ?? {},
    nodes: planNodes(network, options.members ?? DEFAULT_MEMBERS),
    timing: { heartbeatMs: 100, leaseMs: 400, releaseMs: 600, ...options.timing },
    watchdogMode: options.watchdog?.mode ?? 'required',
    watchdogTimeoutMs: options.watchdog?.timeoutMs ?? 400,
    watchdogBootMs: options.watchdog?.bootMs ?? 1_000,
    controllerUrl: `http://${controllerHost(network)}:${PORT.controller}`,
    controller: options.controller ?? {},
    fencing: options.fencing ?? 'off',
    drbd: { blocks: 4_096, pingTimeoutMs: 500, ...options.drbd },
    hasAgents: options.agents ?? true,
    seed: options.seed,
  };
}

export class LocalCluster extends LocalMachines {
  readonly #admin = new Map<string, AdminClient>();
  #operator: TlsMaterial | null = null;

  /** Resolves when every node is up and, unless told otherwise, the cluster is bootstrapped with all data nodes in sync. */
  static async create(options: LocalClusterOptions): Promise<LocalCluster> {
    const cluster = new LocalCluster(await settingsOf(options));
    try {
      cluster.#operator = await cluster.startMachines();
      await cluster.waitFor('the stand-ins are in sync', () => cluster.isReplicating(), START_TIMEOUT_MS);
      if (options.agents !== false && options.bootstrap !== false) await cluster.bootstrap();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  override async stop(): Promise<void> {
    for (const client of this.#admin.values()) client.close();
    this.#admin.clear();
    await super.stop();
  }

  get name(): string {
    return this.settings.name;
  }

  get directory(): string {
    return this.settings.directory;
  }

  get dataNodes(): string[] {
    const isThere = ({ id, spareFor }: NodePlan): boolean =>
      spareFor === undefined || this.node(id).power !== 'off';
    return this.settings.nodes.filter((node) => !node.isWitness && isThere(node)).map(({ id }) => id);
  }

  /** Where clients connect: the elastic IP. */
  get serviceAddress(): Endpoint {
    return { host: elasticIp(this.settings.network), port: PORT.store };
  }

  configFile(id: string): string {
    return configFile(this.settings, id);
  }

  /** kill -9 of the agent's process alone. */
  killAgent(id: string): void {
    this.node(id).kill('agent');
  }

  startAgent(id: string): Promise<void> {
    return this.node(id).start('agent');
  }

  /** SIGTERM: the agent hands over and releases. Its exit code, null when it took longer. */
  stopAgent(id: string, timeoutMs = 10_000): Promise<number | null> {
    return this.node(id).stop('agent', timeoutMs);
  }

  /** `quorate bootstrap` with every data node in sync, tried until the agents are there. */
  async bootstrap(): Promise<void> {
    const [first = ''] = this.dataNodes;
    const isDone = async (): Promise<boolean> => {
      const result = await this.quorate(first, ['bootstrap', '--in-sync', ...this.dataNodes]);
      if (result.exit !== 0) throw new Error(result.stderr.trim());
      return true;
    };
    await this.waitFor('quorate bootstrap succeeds', isDone, START_TIMEOUT_MS);
  }

  /** Runs the command line that is installed there, or of another build, against a node's config. */
  quorate(
    id: string,
    words: readonly string[],
    timeoutMs = COMMAND_TIMEOUT_MS,
    build: Build = this.installed(id),
  ): Promise<CommandResult> {
    const args = [join(build.dist, 'quorate.mjs'), ...words, '--config', this.configFile(id)];
    return new Promise((resolve) => {
      execFile(process.execPath, args, { timeout: timeoutMs }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        resolve({ exit: code, stdout, stderr });
      });
    });
  }

  /** What the agent of a node says. Rejects when it does not answer in time: a frozen node's never does. */
  #clientOf(id: string): AdminClient {
    const known = this.#admin.get(id);
    if (known !== undefined) return known;
    if (this.#operator === null) throw new Error('the cluster is not started');
    const address = `${this.plan(id).host1}:${PORT.admin}`;
    const client = new AdminClient({ address, tls: this.#operator, who: 'local-cluster' });
    this.#admin.set(id, client);
    return client;
  }

  /** What passes at a node from now on, until the signal fires. */
  inspect(id: string, ...asked: Parameters<AdminClient['inspect']>): ReturnType<AdminClient['inspect']> {
    return this.#clientOf(id).inspect(...asked);
  }

  /** The committed log, as this node has it. */
  entries(id: string): Promise<Entry[]> {
    return this.#clientOf(id).entries();
  }

  async status(id: string, timeoutMs = 1_000): Promise<StatusDocument> {
    const client = this.#clientOf(id);
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`${id} does not answer in ${timeoutMs} ms`)), timeoutMs);
    });
    return Promise.race([client.status(), tooLate]).finally(() => clearTimeout(timer));
  }

  /** The DRBD stand-in's own view. */
  drbd(id: string, timeoutMs = 500): Promise<DrbdSnapshot> {
    return drbdSnapshot(this.#drbdControl(id), timeoutMs);
  }

  /** Whether both data nodes see each other, and each sees both disks up to date. */
  async isReplicating(): Promise<boolean> {
    const views = await Promise.all(this.dataNodes.map((id) => this.drbd(id)));
    return views.every(
      ({ connection, disk, peerDisk }) =>
        connection === 'Connected' && disk === 'UpToDate' && peerDisk === 'UpToDate',
    );
  }

  /** Whether a new write would complete on this node now: a real write to the observer's own block. */
  canWrite(id: string, timeoutMs = 100): Promise<boolean> {
    return probeWrite(this.#drbdControl(id), timeoutMs);
  }

  #drbdControl(id: string): Endpoint {
    return { host: this.plan(id).host1, port: PORT.drbdControl };
  }

  /** A client of the service, through the elastic IP. */
  client(timeoutMs = 1_000): Promise<StoreClient> {
    const { host, port } = this.serviceAddress;
    return StoreClient.open(host, port, timeoutMs);
  }

  /** The node that the elastic IP leads to, by the controller's own knowledge; null when to none. */
  async addressHolder(): Promise<string | null> {
    const { forwards } = (await this.controllerCall('GET', 'state')) as ControllerTruth;
    const leadsTo = forwards.find(({ allocationId }) => allocationId === ALLOCATION)?.target?.interfaceId;
    return this.settings.nodes.find((node) => node.interface === leadsTo)?.id ?? null;
  }

  /** Asks again every 20 ms; a condition that throws counts as not yet. */
  async waitFor(what: string, condition: () => Promise<boolean> | boolean, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      let last = '';
      try {
        if (await condition()) return;
      } catch (error) {
        last = ` (last: ${String(error)})`;
      }
      if (performance.now() >= deadline) throw new Error(`not in ${timeoutMs} ms: ${what}${last}`);
      await new Promise((next) => setTimeout(next, POLL_MS));
    }
  }
}
