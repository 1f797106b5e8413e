/**
 * Elastic IPs that really forward TCP. Every forwarded port of a public address has a listener for the whole life
 * of the controller; a connection is piped to the private address that holds the public one now.
 *
 * 1. After a re-association no byte passes through the old interface: its connections are destroyed.
 * 2. Not associated, or a closed security group: a new connection is reset at once. (A real packet would vanish;
 *    a quick refusal keeps measurements free of TCP's one-second SYN retries.)
 * 3. Over a dead link nothing passes. `deadLinks` chooses how it looks: `reset`, or `silence` as in reality, where
 *    connections freeze, thaw when the link comes back, and are reset when the address moves.
 * 4. The node sees the client's own source address, as behind a real elastic IP.
 * A security group is asked for new connections only: EC2 tracks the established ones.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { isLoopback } from './cidr.ts';
import { type Address, admitsConnections, isLive, type World } from './world.ts';

export type DeadLinks = 'reset' | 'silence';

export interface Forward {
  readonly allocationId: string;
  readonly publicIp: string;
  readonly ports: readonly number[];
  /** Where a new connection would go; null when the address is not associated. */
  readonly target: {
    readonly interfaceId: string;
    readonly privateIp: string;
    readonly isLive: boolean;
  } | null;
  readonly connections: number;
}

interface Target {
  readonly interfaceId: string;
  readonly privateIp: string;
  readonly isLive: boolean;
  readonly admits: boolean;
}

const MAX_CONNECTIONS_PER_PORT = 1_024;

export class Forwarder {
  readonly #deadLinks: DeadLinks;
  readonly #servers: Server[] = [];
  readonly #links = new Set<Link>();
  #world: World;

  constructor(world: World, deadLinks: DeadLinks) {
    this.#world = world;
    this.#deadLinks = deadLinks;
  }

  async start(): Promise<void> {
    try {
      for (const address of this.#world.addresses.values()) {
        for (const port of address.ports) await this.#listen(address, port);
      }
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    const closed = this.#servers.map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    for (const link of [...this.#links]) link.reset();
    this.#servers.length = 0;
    await Promise.all(closed);
  }

  /** Follows a change of the world: cuts, freezes and thaws what it concerns. */
  apply(world: World): void {
    this.#world = world;
    for (const link of [...this.#links]) {
      const target = this.#target(link.allocationId);
      if (target?.interfaceId !== link.interfaceId || target.privateIp !== link.privateIp) link.reset();
      else if (target.isLive) link.resume();
      else if (this.#deadLinks === 'reset') link.reset();
      else link.freeze();
    }
  }

  forwards(): Forward[] {
    return [...this.#world.addresses.values()].map(({ allocationId, publicIp, ports }) => {
      const target = this.#target(allocationId);
      return {
        allocationId,
        publicIp,
        ports,
        target:
          target === null
            ? null
            : { interfaceId: target.interfaceId, privateIp: target.privateIp, isLive: target.isLive },
        connections: [...this.#links].filter((link) => link.allocationId === allocationId).length,
      };
    });
  }

  #target(allocationId: string): Target | null {
    const association = this.#world.addresses.get(allocationId)?.association;
    const one = association == null ? undefined : this.#world.interfaces.get(association.interfaceId);
    if (association == null || one === undefined) return null;
    return {
      interfaceId: one.id,
      privateIp: association.privateIp,
      isLive: isLive(this.#world, one),
      admits: admitsConnections(this.#world, one),
    };
  }

  async #listen({ allocationId, publicIp }: Address, port: number): Promise<void> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (client) =>
      this.#accept(allocationId, port, client),
    );
    server.maxConnections = MAX_CONNECTIONS_PER_PORT;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) =>
        reject(new Error(`cannot listen on ${publicIp}:${port}: ${cause.message}`, { cause })),
      );
      server.listen(port, publicIp, resolve);
    });
    server.removeAllListeners('error');
    // After this only accept errors come (no file descriptors): the client sees a reset, we go on.
    server.on('error', () => {});
    this.#servers.push(server);
  }

  #accept(allocationId: string, port: number, client: Socket): void {
    const target = this.#target(allocationId);
    const isRefused = target === null || !target.admits || (!target.isLive && this.#deadLinks === 'reset');
    if (isRefused) {
      client.on('error', () => {});
      client.resetAndDestroy();
      return;
    }
    const link = new Link({ allocationId, port, client, ...target, onGone: () => this.#links.delete(link) });
    this.#links.add(link);
    if (target.isLive) link.resume();
  }
}

/** One client's connection and, once it may, the connection to the holder. Starts frozen. */
class Link {
  readonly allocationId: string;
  readonly interfaceId: string;
  readonly privateIp: string;
  readonly #port: number;
  readonly #client: Socket;
  readonly #onGone: () => void;
  #upstream: Socket | null = null;
  #isFlowing = false;

  constructor(options: {
    allocationId: string;
    interfaceId: string;
    privateIp: string;
    port: number;
    client: Socket;
    onGone: () => void;
  }) {
    this.allocationId = options.allocationId;
    this.interfaceId = options.interfaceId;
    this.privateIp = options.privateIp;
    this.#port = options.port;
    this.#client = options.client;
    this.#onGone = options.onGone;
    this.#watch(this.#client, () => this.#upstream);
  }

  resume(): void {
    if (this.#isFlowing) return;
    this.#isFlowing = true;
    const upstream = this.#upstream ?? this.#open();
    this.#client.pipe(upstream);
    upstream.pipe(this.#client);
  }

  freeze(): void {
    if (!this.#isFlowing) return;
    this.#isFlowing = false;
    for (const socket of [this.#client, this.#upstream]) socket?.unpipe().pause();
  }

  reset(): void {
    this.#client.resetAndDestroy();
    this.#upstream?.resetAndDestroy();
    this.#onGone();
  }

  #open(): Socket {
    const source = this.#client.remoteAddress;
    const upstream = connect({
      host: this.privateIp,
      port: this.#port,
      allowHalfOpen: true,
      noDelay: true,
      ...(source !== undefined && isLoopback(source) ? { localAddress: source } : {}),
    });
    this.#watch(upstream, () => this.#client);
    this.#upstream = upstream;
    return upstream;
  }

  /** A half-closed connection lives on; an error or an abrupt end on one side is one on the other. */
  #watch(socket: Socket, other: () => Socket | null): void {
    socket.on('error', () => this.reset());
    socket.on('close', () => {
      const peer = other();
      if (peer === null || peer.destroyed) this.#onGone();
      else if (!peer.writableEnded || !peer.readableEnded) this.reset();
    });
  }
}
