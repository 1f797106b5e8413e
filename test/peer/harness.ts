/** A node for tests of the transport: real gRPC, a mailbox, and ways to wait for what happens instead of sleeping. */
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import {
  durationMs,
  type Entry,
  GENESIS,
  type Heartbeat,
  logIndex,
  type Message,
  makeEntry,
  type NodeId,
  nodeId,
  type Released,
  term,
} from '../../src/core/index.ts';
import { sha256 } from '../../src/log/index.ts';
import {
  type NodeFacts,
  type PeerTap,
  PeerTransport,
  type PeerTransportOptions,
  type TlsMaterial,
} from '../../src/peer/index.ts';
import { ownTimeMs } from '../support/own-time.ts';
import { testTls } from '../support/pki.ts';

export const CLUSTER = 'alpha';
export const [A, B, C] = [nodeId('a'), nodeId('b'), nodeId('c')];
/** Everything that is measured here goes on in this process: what other processes take of the machine is not counted. */
export const now = ownTimeMs;

/** Wakes waiters whenever something was noted. */
export class Mailbox<Item> {
  readonly items: Item[] = [];
  #waiting: (() => void)[] = [];

  note(item: Item): void {
    this.items.push(item);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** The first item from position `from` on that matches; an error after `limitMs`. */
  async find(matches: (item: Item) => boolean, from = 0, limitMs = 10_000): Promise<Item> {
    const deadline = now() + limitMs;
    for (;;) {
      const found = this.items.slice(from).find(matches);
      if (found !== undefined) return found;
      const restMs = deadline - now();
      if (restMs <= 0) throw new Error(`not seen within ${limitMs} ms; seen: ${JSON.stringify(this.items)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, restMs);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }
}

export interface LinkEvent {
  readonly peer: NodeId;
  readonly up: boolean;
  readonly at: number;
}

export interface TestNode {
  readonly id: NodeId;
  readonly transport: PeerTransport;
  readonly address: string;
  readonly inbox: Mailbox<Message>;
  readonly statements: Mailbox<Released>;
  readonly links: Mailbox<LinkEvent>;
  readonly log: Mailbox<string>;
  /** Called with every message, before the mailbox. */
  onMessage: (message: Message) => void;
}

const running = new Set<{ close(): Promise<void> }>();

/** For `afterEach`. */
export async function closeAll(): Promise<void> {
  const closing = [...running];
  running.clear();
  await Promise.all(closing.map((one) => one.close()));
}

export async function startNode(
  id: NodeId,
  options: {
    readonly listen?: string;
    readonly tls?: TlsMaterial;
    readonly cluster?: string;
    readonly onBootstrap?: (entry: Entry) => Promise<void>;
    readonly facts?: () => NodeFacts;
    readonly pools?: () => Promise<string>;
    readonly pair?: NonNullable<PeerTransportOptions['pair']>;
    readonly tap?: PeerTap;
  } = {},
): Promise<TestNode> {
  const inbox = new Mailbox<Message>();
  const statements = new Mailbox<Released>();
  const links = new Mailbox<LinkEvent>();
  const log = new Mailbox<string>();
  const cluster = options.cluster ?? CLUSTER;
  const settings: PeerTransportOptions = {
    self: id,
    cluster,
    listen: options.listen ?? '127.0.0.1:0',
    tls: options.tls ?? (await testTls(cluster, id)),
    onMessage: (message) => {
      node.onMessage(message);
      inbox.note(message);
    },
    onStatement: (released) => statements.note(released),
    onBootstrap: options.onBootstrap ?? (async () => {}),
    ...(options.facts === undefined ? {} : { facts: options.facts }),
    ...(options.pools === undefined ? {} : { pools: options.pools }),
    ...(options.pair === undefined ? {} : { pair: options.pair }),
    ...(options.tap === undefined ? {} : { tap: options.tap }),
    onLink: (peer, up) => links.note({ peer, up, at: now() }),
    logger: { info: (_fields, line) => log.note(line), warn: (_fields, line) => log.note(line) },
  };
  const transport = new PeerTransport(settings);
  running.add(transport);
  await transport.start();
  const host = settings.listen.slice(0, settings.listen.lastIndexOf(':'));
  const node: TestNode = {
    id,
    transport,
    address: `${host}:${transport.port}`,
    inbox,
    statements,
    links,
    log,
    onMessage: () => {},
  };
  return node;
}

/** Waits for the first change of the link to `peer` from position `from` on that says `up`. */
export const linkTo = (node: TestNode, peer: NodeId, up: boolean, from = 0): Promise<LinkEvent> =>
  node.links.find((link) => link.peer === peer && link.up === up, from);

/** Makes two nodes members of each other and waits until both can send. `aToB`: by another way, such as a proxy. */
export async function connect(one: TestNode, other: TestNode, aToB: string = other.address): Promise<void> {
  one.transport.setPeers(new Map([[other.id, aToB]]));
  other.transport.setPeers(new Map([[one.id, one.address]]));
  await Promise.all([linkTo(one, other.id, true), linkTo(other, one.id, true)]);
}

export function heartbeat(from: NodeId, to: NodeId, seq: number): Heartbeat {
  return {
    kind: 'heartbeat',
    from,
    to,
    term: term(7),
    seq,
    commit: logIndex(3),
    renounced: false,
    promiseMs: durationMs(1000),
  };
}

/** `count` chained notes of `characters` each, from index 1. */
export function notes(count: number, characters: number): Entry[] {
  const entries: Entry[] = [];
  for (let index = 1; index <= count; index++) {
    const previous = entries.at(-1)?.hash ?? GENESIS;
    const body = { kind: 'note', text: 'x'.repeat(characters) } as const;
    entries.push(makeEntry(sha256, logIndex(index), term(1), previous, body));
  }
  return entries;
}

export function append(from: NodeId, to: NodeId, entries: readonly Entry[]): Message {
  return {
    kind: 'append',
    from,
    to,
    term: term(7),
    previousIndex: logIndex((entries[0]?.index ?? 1) - 1),
    previousTerm: term(0),
    previousHash: entries[0]?.previous ?? GENESIS,
    entries,
    commit: logIndex(0),
    renounced: false,
    promiseMs: durationMs(1000),
  };
}

interface Crossing {
  readonly client: Socket;
  server: Socket | null;
  /** From the client, forwarded or not yet. */
  bytes: number;
  isStalled: boolean;
}

/**
 * A TCP proxy that can fail in the ways that matter: stalled (takes connections, moves no byte, closes nothing),
 * refusing (nobody listens), slamming (takes connections and closes them).
 */
export class TcpProxy {
  readonly crossings: Crossing[] = [];
  readonly accepted = new Mailbox<number>();
  readonly #target: number;
  #server: Server;
  #port = 0;
  #isStalled = false;
  #isSlamming = false;

  private constructor(target: number) {
    this.#target = target;
    this.#server = this.#serve();
  }

  static async to(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    running.add(proxy);
    await proxy.#listen(0);
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  stall(): void {
    this.#isStalled = true;
    for (const crossing of this.crossings) this.stallOne(crossing);
  }

  /** From now on closes every connection as soon as it is made. */
  slam(): void {
    this.#isSlamming = true;
    for (const { client } of this.crossings) client.destroy();
  }

  stallOne(crossing: Crossing): void {
    crossing.isStalled = true;
    crossing.client.pause();
    crossing.server?.pause();
  }

  /** Moves on; `forgetting` what was stalled: that stays silent for ever, as after lost packets, new ones pass. */
  forward({ forgetting = false } = {}): void {
    this.#isStalled = false;
    if (forgetting) return;
    for (const crossing of this.crossings) {
      crossing.isStalled = false;
      if (crossing.server === null) this.#cross(crossing);
      crossing.client.resume();
      crossing.server?.resume();
    }
  }

  /** Nobody listens any more; what was open is reset. */
  async refuse(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const { client, server } of this.crossings) {
      client.destroy();
      server?.destroy();
    }
    await closed;
  }

  async listenAgain(): Promise<void> {
    this.#server = this.#serve();
    await this.#listen(this.#port);
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.refuse();
  }

  async #listen(port: number): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as { port: number }).port; // TCP has no other kind of address
  }

  #serve(): Server {
    return createServer({ noDelay: true }, (client) => {
      const crossing: Crossing = { client, server: null, bytes: 0, isStalled: this.#isStalled };
      this.crossings.push(crossing);
      client.on('error', () => {});
      client.on('close', () => {
        crossing.server?.destroy();
        this.crossings.splice(this.crossings.indexOf(crossing), 1);
      });
      if (this.#isSlamming) client.destroy();
      else if (this.#isStalled) client.pause();
      else this.#cross(crossing);
      this.accepted.note(now());
    });
  }

  #cross(crossing: Crossing): void {
    const { client } = crossing;
    const server = createConnection({ port: this.#target, host: '127.0.0.1', noDelay: true });
    crossing.server = server;
    client.on('data', (bytes) => {
      crossing.bytes += bytes.length;
      server.write(bytes);
    });
    server.on('data', (bytes) => client.write(bytes));
    server.on('error', () => {});
    server.on('close', () => client.destroy());
    client.on('end', () => server.end());
  }
}
