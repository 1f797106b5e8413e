/**
 * The embedded VPC controller: EC2's API for one machine, whose elastic IPs really forward, and as much of ELB's as a
 * target group needs. Usable in-process (tests, the demo) and as a process of its own (main.ts). Listens on 127.0.0.0/8
 * only, unless another backend makes its network.
 */
import { setMaxListeners } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { buildWorld } from './build-world.ts';
import { isLoopback } from './cidr.ts';
import { Ec2Endpoint } from './endpoint.ts';
import { FaultControl, type Faults, type FaultsInput } from './faults.ts';
import { type Forward, Forwarder } from './forwarder.ts';
import { HealthChecks } from './health-checks.ts';
import { CallHistory, type CallRecord } from './history.ts';
import { MAX_BODY_BYTES, readBody, sendJson } from './http.ts';
import { serveLocal } from './local-api.ts';
import { type OnPower, type PowerAction, PowerControl, type PowerEvent } from './power.ts';
import { RandomStream } from './random.ts';
import { type ControllerStateInput, parseState } from './state-file.ts';
import { WorldStore } from './store.ts';
import { type Instance, interfaceWithIp, routeState, type World, withItem } from './world.ts';

/** Makes the world true for packets. */
export interface Backend {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Follows a change; what it says holds when it returns. */
  apply(world: World): void;
  forwards(): Forward[];
}

export interface VpcControllerOptions {
  readonly state: ControllerStateInput;
  /** Instead of the forwarder, which serves one machine; then the state and `listen` may have any addresses. */
  readonly backend?: (world: World) => Backend;
  /** A loopback address; port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly seed: number;
  /** Really switches a node; `stopped` waits for its promise. */
  readonly onPower?: OnPower;
  readonly onProblem?: (event: string, detail: Record<string, unknown>) => void;
  /** Monotonic milliseconds; for tests of token buckets. */
  readonly now?: () => number;
}

const MAX_CONNECTIONS = 1_024;
/** Longer than any pause between an agent's calls; real EC2 also keeps connections for a while. */
const KEEP_ALIVE_MS = 60_000;

export class VpcController {
  readonly #listen: { readonly host: string; readonly port: number };
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #stopping = new AbortController();
  readonly #store: WorldStore;
  readonly #forwarder: Backend;
  readonly #healthChecks: HealthChecks;
  readonly #power: PowerControl;
  readonly #faults: FaultControl;
  readonly #history = new CallHistory();
  readonly #endpoint: Ec2Endpoint;
  readonly #onProblem: (event: string, detail: Record<string, unknown>) => void;
  #port: number | null = null;
  #isClosed = false;

  /** Throws QuorateError `local-controller-state` naming the place when the state is wrong. */
  constructor(options: VpcControllerOptions) {
    if (options.backend === undefined && !isLoopback(options.listen.host))
      throw new RangeError(`may listen on 127.0.0.0/8 only, not ${options.listen.host}`);
    const addresses = options.backend === undefined ? 'loopback' : 'any';
    const state = parseState(options.state, 'state', undefined, addresses);
    const now = options.now ?? (() => Number(process.hrtime.bigint()) / 1e6);
    const ids = new RandomStream(options.seed, 'association ids');
    const requestIds = new RandomStream(options.seed, 'request ids');
    const newAssociationId = () => `eipassoc-${ids.hex(17)}`;
    // Those of the state file count from one.
    let registrations = 1_000_000;
    const world = buildWorld(state, newAssociationId);
    const later = (delayMs: number, work: () => void) => this.#later(delayMs, work);
    // One listener for each call that waits, and many may.
    setMaxListeners(0, this.#stopping.signal);
    this.#onProblem = options.onProblem ?? (() => {});
    this.#listen = options.listen;
    this.#forwarder = options.backend?.(world) ?? new Forwarder(world, state.deadLinks);
    this.#store = new WorldStore(world, now, (next) => {
      this.#forwarder.apply(next);
      this.#healthChecks.apply(next);
    });
    this.#healthChecks = new HealthChecks({ store: this.#store, later, signal: this.#stopping.signal });
    this.#faults = new FaultControl(options.seed, state.faults);
    this.#power = new PowerControl({
      store: this.#store,
      timing: state.timing,
      onPower: options.onPower ?? (() => {}),
      later,
      now,
      onProblem: this.#onProblem,
    });
    this.#endpoint = new Ec2Endpoint({
      faults: this.#faults,
      history: this.#history,
      call: {
        store: this.#store,
        power: this.#power,
        later,
        newAssociationId,
        newRegistration: () => ++registrations,
        reassignMs: state.timing.reassignMs,
      },
      accessKeys: state.accessKeys ?? null,
      newRequestId: () => requestIds.uuid(),
      now,
      signal: this.#stopping.signal,
      onProblem: this.#onProblem,
    });
    this.#server = this.#createServer();
  }

  /** Resolves when the API and every forwarded port listen. */
  async start(): Promise<void> {
    await this.#forwarder.start();
    try {
      await this.#open();
    } catch (error) {
      await this.#forwarder.stop();
      throw error;
    }
    this.#healthChecks.apply(this.world);
  }

  async stop(): Promise<void> {
    this.#isClosed = true;
    this.#stopping.abort();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    await Promise.all([this.#close(), this.#forwarder.stop()]);
  }

  /** `http://HOST:PORT`, for `endpoint` of an SDK client and `--endpoint-url`. */
  get endpoint(): string {
    if (this.#port === null) throw new Error('the controller is not started');
    return `http://${this.#listen.host}:${this.#port}`;
  }

  /** The truth, now. */
  get world(): World {
    return this.#store.current;
  }

  /** Where the public address leads now. */
  lookup(publicIp: string): Forward | null {
    return this.#forwarder.forwards().find((forward) => forward.publicIp === publicIp) ?? null;
  }

  /** The truth as plain JSON. */
  state(): Record<string, unknown> {
    const { world } = this;
    const plain = (items: ReadonlyMap<string, unknown>) => Object.fromEntries(items);
    return {
      ...world,
      subnets: plain(world.subnets),
      securityGroups: plain(world.securityGroups),
      instances: plain(world.instances),
      interfaces: plain(world.interfaces),
      addresses: plain(world.addresses),
      routeTables: Object.fromEntries(
        [...world.routeTables].map(([id, table]) => {
          const routes = table.routes.map((route) => ({ ...route, state: routeState(world, route) }));
          return [id, { ...table, routes }];
        }),
      ),
      targetGroups: plain(world.targetGroups),
      forwards: this.#forwarder.forwards(),
    };
  }

  calls(options: { after?: number; action?: string | null } = {}): CallRecord[] {
    return this.#history.list(options);
  }

  clearCalls(): void {
    this.#history.clear();
  }

  faults(): Faults {
    return this.#faults.get();
  }

  /** Replaces all faults; `{}` clears them. */
  setFaults(faults: FaultsInput): void {
    this.#faults.set(faults);
  }

  powerEvents(after = 0): PowerEvent[] {
    return this.#power.eventsAfter(after);
  }

  /** Throws RangeError for an unknown id, as all of the following do. */
  instance(id: string): Instance {
    const one = this.world.instances.get(id);
    if (one === undefined) throw new RangeError(`no instance ${id}`);
    return one;
  }

  /** At once, past EC2's rules. `crash` leaves EC2 saying `running`. Without `hook` the machine is left alone. */
  async power(id: string, action: PowerAction | 'crash' | 'terminate', { hook = true } = {}): Promise<void> {
    await this.#power.force(id, action, hook);
  }

  /** Plugs or cuts one interface: its elastic IP, and its node's way to this API. */
  setInterfaceLink(id: string, up: boolean): void {
    const one = this.world.interfaces.get(id);
    if (one === undefined) throw new RangeError(`no interface ${id}`);
    this.#store.commit(withItem(this.world, 'interfaces', id, { ...one, linkUp: up }));
  }

  setZoneLink(zone: string, up: boolean): void {
    if (!this.world.zones.includes(zone)) throw new RangeError(`no zone ${zone}`);
    for (const one of this.world.interfaces.values()) {
      if (this.world.subnets.get(one.subnetId)?.zone === zone) this.setInterfaceLink(one.id, up);
    }
  }

  /** As if deleted by hand: its elastic IPs are free, its routes become black holes. */
  deleteInterface(id: string): void {
    if (!this.world.interfaces.has(id)) throw new RangeError(`no interface ${id}`);
    let world = withItem(this.world, 'interfaces', id, null);
    for (const address of this.world.addresses.values()) {
      if (address.association?.interfaceId !== id) continue;
      world = withItem(world, 'addresses', address.allocationId, { ...address, association: null });
    }
    this.#store.commit(world);
  }

  /** Connections to the API are really refused, and open ones broken, for so long. */
  refuseConnections(forMs: number): void {
    // After the reply to the call that asked for it.
    this.#later(5, () => void this.#close());
    this.#later(5 + forMs, () => {
      this.#open().catch((error: unknown) =>
        this.#onProblem('listen-again-failed', { error: String(error) }),
      );
    });
  }

  /** Which interface a request came through, by its source address; null when it is none of ours. */
  interfaceOfSource(source: string): string | null {
    return interfaceWithIp(this.world, source)?.id ?? null;
  }

  #createServer(): Server {
    const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true }, (request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        this.#onProblem('request-failed', { url: request.url, error: String(error) });
        response.destroy();
      });
    });
    server.maxConnections = MAX_CONNECTIONS;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on('clientError', (_error, socket) => socket.destroy());
    return server;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.on('error', () => {});
    response.on('error', () => {});
    const url = new URL(request.url ?? '/', 'http://local');
    const body = await readBody(request);
    if (body === null) return sendJson(response, 413, { error: `a body may have ${MAX_BODY_BYTES} bytes` });
    if (url.pathname.startsWith('/_local/')) {
      const reply = await serveLocal(this, request.method ?? 'GET', url, body);
      return sendJson(response, reply.status, reply.body);
    }
    if (url.pathname !== '/')
      return sendJson(response, 404, { error: 'EC2 and ELB are at /, the local API under /_local/' });
    const form = request.method === 'GET' ? url.searchParams : new URLSearchParams(body);
    await this.#endpoint.serve(request, response, form);
  }

  async #open(): Promise<void> {
    if (this.#isClosed || this.#server.listening) return;
    const { host } = this.#listen;
    const port = this.#port ?? this.#listen.port;
    await new Promise<void>((resolve, reject) => {
      const fail = (cause: Error) =>
        reject(new Error(`cannot listen on ${host}:${port}: ${cause.message}`, { cause }));
      this.#server.once('error', fail);
      this.#server.listen(port, host, () => {
        this.#server.removeListener('error', fail);
        resolve();
      });
    });
    this.#port = (this.#server.address() as AddressInfo).port; // a TCP server has no other kind of address
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #later(delayMs: number, work: () => void): void {
    if (this.#isClosed) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, delayMs);
    this.#timers.add(timer);
  }
}
