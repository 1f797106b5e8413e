/**
 * keepalived from Debian's package, on the same flat network, before the same client: VRRP on the service port, where the
 * address is. Neither node is preferred once it has lost the address (`nopreempt`), as ours are not.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { killProcesses, NODE_VARIABLE } from '../../local/node/index.ts';
import { attempt, inside } from '../commands.ts';
import { now } from '../probes/clock.ts';
import { seen, sleep } from '../stage.ts';
import { TestNetwork } from '../test-network.ts';
import { DATA_NODES, FLAT_VIP, peerOf } from '../topology.ts';

export interface PeerMeasured {
  readonly name: string;
  readonly event: string;
  readonly outageMs: number;
  readonly bothAnsweredMs: number;
}

interface PeerEvent {
  readonly name: string;
  /** Until repaired: what is to happen has happened by then. */
  readonly lastsMs: number;
  readonly isolates: boolean;
  readonly act: (pair: KeepalivedPair, holder: 'a' | 'b') => Promise<void>;
  readonly repair: (pair: KeepalivedPair, holder: 'a' | 'b') => Promise<void>;
}

const heal = (pair: KeepalivedPair): Promise<void> => pair.cuts.heal();
/** Longer than three adverts of 1 s and the skew. */
const FAILOVER_MS = 5_000;
const LINK_CUT_MS = 8_000;
const SETTLE_MS = 300;
/** It may stay silent for long after a heal. */
const HEALTHY_LIMIT_MS = 90_000;

export const PEER_EVENTS: readonly PeerEvent[] = [
  {
    name: 'host cut',
    lastsMs: FAILOVER_MS,
    isolates: true,
    act: (pair, holder) => pair.cuts.unplug(holder),
    repair: heal,
  },
  {
    name: 'graceful stop',
    lastsMs: FAILOVER_MS,
    isolates: false,
    act: async (pair, holder) => pair.stopDaemon(holder),
    repair: async (pair, holder) => pair.startDaemon(holder),
  },
  {
    name: 'killed',
    lastsMs: FAILOVER_MS,
    isolates: false,
    act: async (pair, holder) => pair.killDaemon(holder),
    repair: async (pair, holder) => pair.startDaemon(holder),
  },
  {
    name: 'link between the two cut',
    lastsMs: LINK_CUT_MS,
    isolates: false,
    act: async (pair, holder) => {
      const peer = peerOf(holder);
      await Promise.all([
        pair.cuts.onSegment(holder, peer, 'eth1'),
        pair.cuts.onSegment(peer, holder, 'eth1'),
      ]);
    },
    repair: heal,
  },
];

/** Its version; null where it is not installed. */
export async function keepalivedVersion(): Promise<string | null> {
  const { stdout, stderr } = await attempt(['keepalived', '--version']);
  return /Keepalived v([\d.]+)/.exec(stdout + stderr)?.[1] ?? null;
}

export class KeepalivedPair extends TestNetwork {
  readonly #advertS: number;
  readonly #daemons = new Map<'a' | 'b', ChildProcess>();

  private constructor(dist: string, advertS: number) {
    super({ kind: 'flat', dist }, DATA_NODES, () => []);
    this.#advertS = advertS;
  }

  static async create(options: { readonly dist: string; readonly advertS: number }): Promise<KeepalivedPair> {
    const pair = new KeepalivedPair(options.dist, options.advertS);
    try {
      await pair.build();
      for (const id of DATA_NODES) {
        await pair.node(id).boot();
        pair.startDaemon(id);
      }
      await pair.healthy();
    } catch (error) {
      await pair.stop();
      throw error;
    }
    return pair;
  }

  get name(): string {
    return `keepalived, adverts ${this.#advertS} s`;
  }

  #tag(id: 'a' | 'b'): string {
    return `${this.node(id).tag}/keepalived`;
  }

  startDaemon(id: 'a' | 'b'): void {
    const at = (file: string): string => join(this.directory, id, file);
    writeFileSync(at('keepalived.conf'), configuration(id, this.#advertS));
    const log = openSync(at('keepalived.log'), 'a');
    const files = [
      '--use-file',
      at('keepalived.conf'),
      '--pid',
      at('main.pid'),
      '--vrrp_pid',
      at('vrrp.pid'),
    ];
    const words = [
      ...inside(this.namespaces.name(id)),
      ...['keepalived', '--dont-fork', '--log-console', '--vrrp', ...files],
    ];
    const daemon = spawn(words[0] ?? '', words.slice(1), {
      env: { PATH: process.env.PATH ?? '', [NODE_VARIABLE]: this.#tag(id) },
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    daemon.on('error', () => undefined);
    this.#daemons.set(id, daemon);
  }

  stopDaemon(id: 'a' | 'b'): void {
    this.#daemons.get(id)?.kill('SIGTERM');
  }

  /** Both of its processes at once. */
  killDaemon(id: 'a' | 'b'): void {
    killProcesses(this.#tag(id));
  }

  /** One kernel has the address, and that node answers. */
  async healthy(): Promise<'a' | 'b'> {
    let found: 'a' | 'b' = 'a';
    await this.waitFor(
      `${this.name}: one node has the address and answers`,
      () => {
        const has = this.samples.at(-1)?.has ?? [];
        const answering = DATA_NODES.find((id) => id === this.answering());
        if (answering === undefined || has.filter(Boolean).length !== 1) return false;
        found = answering;
        return has[DATA_NODES.indexOf(answering)] === true;
      },
      HEALTHY_LIMIT_MS,
    );
    return found;
  }

  async measure(event: PeerEvent): Promise<PeerMeasured> {
    const holder = await this.healthy();
    this.forget();
    // Not always at the same instant between two adverts.
    await sleep(Math.random() * this.#advertS * 1_000);
    const from = now();
    await event.act(this, holder);
    await sleep(event.lastsMs);
    const repairedAt = now();
    await event.repair(this, holder);
    await this.healthy().catch(() => this.#restart());
    await sleep(SETTLE_MS);
    const { outageMs, bothAnsweredMs } = seen(this, { from, to: now() }, event.isolates ? repairedAt : from);
    return { name: this.name, event: event.name, outageMs, bothAnsweredMs };
  }

  /** What an operator would do in the end; what it took until then counts. */
  async #restart(): Promise<void> {
    for (const id of DATA_NODES) this.killDaemon(id);
    for (const id of DATA_NODES) this.startDaemon(id);
    await this.healthy();
  }

  /** The daemons die with their namespaces. */
  override async stop(): Promise<void> {
    for (const id of this.#daemons.keys()) killProcesses(this.#tag(id));
    await super.stop();
  }
}

const configuration = (id: 'a' | 'b', advertS: number): string => `global_defs {
  router_id ${id}
  vrrp_version 3
}
vrrp_instance service {
  state BACKUP
  nopreempt
  interface eth1
  virtual_router_id 50
  priority ${id === 'a' ? 150 : 100}
  advert_int ${advertS}
  virtual_ipaddress {
    ${FLAT_VIP}/24 dev eth1
  }
}
`;
