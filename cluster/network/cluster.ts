/** Our agents on a network of real kernels: a and b hold, w is the witness. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { AdminClient, type StatusDocument } from '../../src/admin/index.ts';
import { nodeId } from '../../src/core/index.ts';
import { createAuthority, issueClient, issueNode, type TlsMaterial } from '../../src/peer/index.ts';
import type { FaultsInput } from '../local/controller/index.ts';
import type { HelperProcess } from '../local/node/index.ts';
import type { WatchdogCommand, WatchdogFired } from '../local/watchdog/index.ts';
import { attempt, inside, type Ran } from './commands.ts';
import {
  ADDRESS_TIMING,
  ALLOCATION,
  instanceOf,
  interfaceOf,
  planConfig,
  planController,
  ROUTE_TABLE,
  ROUTER,
} from './plan.ts';
import type { RouterCommand, RouterNews } from './router-process.ts';
import { TestNetwork, type TestNetworkOptions } from './test-network.ts';
import {
  CONTROLLER_ADDRESS,
  CONTROLLER_PORT,
  DATA_NODES,
  NODES,
  type NodeName,
  OVERLAY,
} from './topology.ts';

const START_LIMIT_MS = 30_000;
const STATUS_LIMIT_MS = 1_000;
const SWITCHOVER_LIMIT_MS = 30_000;
const BOOT_MS = 1_000;

export interface Holder {
  readonly node: 'a' | 'b';
  readonly epoch: number;
}

export class NetworkCluster extends TestNetwork {
  readonly name = `network-${process.pid}`;
  readonly #admin = new Map<NodeName, AdminClient>();
  #operator: TlsMaterial | null = null;
  #watchdogs: HelperProcess<WatchdogCommand> | null = null;
  #router: HelperProcess<RouterCommand> | null = null;
  #truth: RouterNews | null = null;

  constructor(options: TestNetworkOptions) {
    super(options, NODES, (_node, directory) => [
      {
        name: 'agent',
        script: join(options.dist, 'quorate.mjs'),
        args: ['agent', '--config', join(directory, 'config.yaml'), '--supervised'],
        saysReady: false,
        isRespawned: false,
      },
    ]);
  }

  /** Resolves when the cluster is bootstrapped and the client is served. */
  static async create(options: TestNetworkOptions & { readonly seed: number }): Promise<NetworkCluster> {
    const cluster = new NetworkCluster(options);
    try {
      await cluster.#start(options.seed);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  async #start(seed: number): Promise<void> {
    this.#operator = await this.#writeFiles();
    await this.build();
    if (this.topology.kind === 'cloud') await this.#startRouter(seed);
    this.#watchdogs = this.helper<WatchdogCommand>('watchdogs', {
      onEvent: (event) => void this.#onWatchdogFired((event as WatchdogFired).node as NodeName),
    });
    for (const id of NODES) {
      const { tag } = this.node(id);
      const { watchdogMs: timeoutMs } = ADDRESS_TIMING;
      await this.#watchdogs.request({
        kind: 'add',
        node: id,
        tag,
        socket: this.#watchdogSocket(id),
        timeoutMs,
      });
    }
    await Promise.all(NODES.map((id) => this.node(id).boot()));
    await this.waitFor(
      'bootstrap',
      async () => {
        await this.admin('a').bootstrap(DATA_NODES.map((id) => nodeId(id)));
        return true;
      },
      START_LIMIT_MS,
    );
    await this.healthy(START_LIMIT_MS);
  }

  /** Returns an operator's identity. */
  async #writeFiles(): Promise<TlsMaterial> {
    const authority = await createAuthority(this.name);
    const operator = await issueClient(authority, 'admin', 'test-network');
    const ca = join(this.directory, 'ca.pem');
    writeFileSync(ca, authority.certificate);
    for (const id of NODES) {
      const at = (file: string): string => join(this.directory, id, file);
      mkdirSync(at('data'), { recursive: true });
      const pair = await issueNode(authority, id, { hosts: [this.topology.peerAddress[id]] });
      writeFileSync(at('node.pem'), pair.certificate);
      writeFileSync(at('node.key'), pair.key, { mode: 0o600 });
      const files = {
        dataDir: at('data'),
        ca,
        cert: at('node.pem'),
        key: at('node.key'),
        watchdog: this.#watchdogSocket(id),
      };
      const config = planConfig(this.name, this.topology, ADDRESS_TIMING, id, files);
      writeFileSync(this.configFile(id), stringify(config));
    }
    return { ca: authority.certificate, cert: operator.certificate, key: operator.key };
  }

  configFile(id: NodeName): string {
    return join(this.directory, id, 'config.yaml');
  }

  #watchdogSocket(id: NodeName): string {
    return join(this.directory, id, 'watchdog.sock');
  }

  async #startRouter(seed: number): Promise<void> {
    const address = `${CONTROLLER_ADDRESS}/32`;
    const router = this.namespaces.name('router');
    const added = await attempt(['ip', '-n', router, 'addr', 'add', address, 'dev', 'lo']);
    if (added.exit !== 0) throw new Error(added.stderr);
    this.#router = this.helper<RouterCommand>('router', {
      at: 'router',
      onEvent: (event) => {
        this.#truth = event as RouterNews;
      },
    });
    await this.#router.request({
      kind: 'start',
      state: planController(this.topology),
      listen: { host: CONTROLLER_ADDRESS, port: CONTROLLER_PORT },
      seed,
      router: ROUTER,
    });
  }

  admin(id: NodeName): AdminClient {
    const known = this.#admin.get(id);
    if (known !== undefined) return known;
    if (this.#operator === null) throw new Error('the cluster is not started');
    const client = new AdminClient({
      address: `unix:${this.adminSocket(id)}`,
      tls: this.#operator,
      who: 'test-network',
    });
    this.#admin.set(id, client);
    return client;
  }

  /** What the agent of a node says. Rejects when it does not answer in time. */
  async status(id: NodeName): Promise<StatusDocument> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`${id} does not answer`)), STATUS_LIMIT_MS);
    });
    return Promise.race([this.admin(id).status(), tooLate]).finally(() => clearTimeout(timer));
  }

  /** The tenure whose takeover is complete, as the best informed agent says; null while there is none. */
  async holder(): Promise<Holder | null> {
    const answers = await Promise.allSettled(NODES.map((id) => this.status(id)));
    const [best] = answers
      .flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
      .filter(({ holder, lastTakeover, epoch }) => holder !== null && lastTakeover?.epoch === epoch)
      .sort((left, right) => right.term - left.term || right.commitIndex - left.commitIndex);
    if (best?.epoch == null || best.lastTakeover?.totalMs == null) return null;
    return best.holder === 'a' || best.holder === 'b' ? { node: best.holder, epoch: best.epoch } : null;
  }

  /** All agents know one holder, have the whole log, and it is the holder who serves the client. */
  async healthy(limitMs: number): Promise<Holder> {
    let found: Holder | null = null;
    await this.waitFor(
      'a healthy cluster that serves the client',
      async () => {
        const seen = await Promise.all(NODES.map((id) => this.status(id)));
        const complaint = complaintAbout(seen);
        if (complaint !== null) throw new Error(complaint);
        found = await this.holder();
        if (found === null) throw new Error('the takeover is not complete');
        const answering = this.answering();
        if (answering !== found.node) throw new Error(`${found.node} holds, ${answering} answers`);
        return true;
      },
      limitMs,
    );
    if (found === null) throw new Error('no holder');
    return found;
  }

  async switchover(from: NodeName): Promise<void> {
    await this.admin(from).switchover({ to: null, dryRun: false, timeoutMs: SWITCHOVER_LIMIT_MS });
  }

  killAgent(id: NodeName): void {
    this.node(id).kill('agent');
  }

  startAgent(id: NodeName): Promise<void> {
    return this.node(id).start('agent');
  }

  /** The command line, run on the node. */
  quorate(id: NodeName, words: readonly string[]): Promise<Ran> {
    const script = join(this.dist, 'quorate.mjs');
    const launcher = inside(this.namespaces.name(id));
    return attempt([...launcher, process.execPath, script, ...words, '--config', this.configFile(id)]);
  }

  override async powerOff(id: NodeName): Promise<void> {
    await super.powerOff(id);
    await this.#watchdogs?.request({ kind: 'disarm', node: id });
    await this.#router?.request({ kind: 'power', instance: instanceOf(id), action: 'crash' });
  }

  override async boot(id: NodeName): Promise<void> {
    await this.#router?.request({ kind: 'power', instance: instanceOf(id), action: 'start' });
    await super.boot(id);
  }

  override async stop(): Promise<void> {
    for (const client of this.#admin.values()) client.close();
    this.#admin.clear();
    await super.stop();
  }

  async setFaults(faults: FaultsInput): Promise<void> {
    await this.#router?.request({ kind: 'faults', faults });
  }

  /** Where the cloud really leads to: the nodes of the elastic IP and of the overlay's route; null for none. */
  async cloudLeadsTo(): Promise<{ readonly elasticIp: string | null; readonly overlay: string | null }> {
    this.#truth = null;
    await this.#router?.request({ kind: 'look' });
    const truth = this.#truth as RouterNews | null;
    const nodeOf = (id: string | null | undefined): string | null =>
      DATA_NODES.find((node) => interfaceOf(node) === id) ?? null;
    return {
      elasticIp: nodeOf(truth?.addresses[ALLOCATION]),
      overlay: nodeOf(truth?.routes[`${ROUTE_TABLE} ${OVERLAY}/32`]),
    };
  }

  /** Its processes are dead already; the rest of a power cut, and a boot after a while. */
  async #onWatchdogFired(id: NodeName): Promise<void> {
    if (this.isStopped) return;
    process.stderr.write(`network: the watchdog of ${id} fired\n`);
    await this.powerOff(id);
    const { life } = this.node(id);
    await new Promise((next) => setTimeout(next, BOOT_MS));
    if (!this.isStopped && this.node(id).life === life) await this.boot(id);
  }
}

/** Null when all agree and nobody lags. */
function complaintAbout(seen: readonly StatusDocument[]): string | null {
  const holders = new Set(seen.map(({ holder }) => holder));
  if (holders.size !== 1) return `the agents know different holders: ${[...holders].join(', ')}`;
  const leader = seen.find(({ observer, leader }) => observer === leader);
  if (leader === undefined) return 'nobody leads';
  const late = leader.nodes.find(
    ({ reachable, matchIndex }) => reachable !== true || matchIndex !== leader.commitIndex,
  );
  if (late !== undefined) return `${late.id} is not reachable, or lags`;
  const out = leader.nodes.find(({ inSync }) => inSync === false);
  return out === undefined ? null : `${out.id} is not in the in-sync set`;
}
