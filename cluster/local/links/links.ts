/**
 * Links of the local cluster: a TCP proxy for every ordered pair of nodes and port. A direction x→y is cut for itself:
 * then bytes that flow from x to y, on connections dialled by either side, are withheld, not lost: they flow
 * after the heal, as retransmissions would. The end of a stream is withheld like its bytes. A node without power
 * is *dark*: nothing passes, and nothing says so (its real peers would get no reset either).
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Route {
  readonly from: string;
  readonly to: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly target: { readonly host: string; readonly port: number };
}

/** `stall`: packets vanish. `reset`: connections break and new ones are refused. */
export type CutMode = 'stall' | 'reset';

/** One direction of one connection. */
class Flow {
  readonly #source: Socket;
  readonly #sink: Socket;
  #held: Buffer[] = [];
  #isCut = false;
  #isFull = false;
  #hasEnded = false;
  #isBroken = false;

  constructor(source: Socket, sink: Socket) {
    this.#source = source;
    this.#sink = sink;
    source.on('data', (chunk: Buffer) => {
      this.#held.push(chunk);
      this.#pump();
    });
    source.on('end', () => {
      this.#hasEnded = true;
      this.#pump();
    });
    source.on('close', () => {
      this.#isBroken = true;
      this.#pump();
    });
    sink.on('drain', () => {
      this.#isFull = false;
      this.#pump();
    });
  }

  setCut(isCut: boolean): void {
    this.#isCut = isCut;
    this.#pump();
  }

  #pump(): void {
    if (this.#isCut || this.#isFull) {
      this.#source.pause();
      return;
    }
    while (this.#held.length > 0 && !this.#isFull) {
      const chunk = this.#held.shift();
      if (chunk !== undefined && !this.#sink.destroyed) this.#isFull = !this.#sink.write(chunk);
    }
    if (this.#held.length > 0) return;
    if (this.#hasEnded || this.#isBroken) this.#sink.end();
    else this.#source.resume();
  }
}

class Connection {
  readonly route: Route;
  readonly #client: Socket;
  readonly #onEnd: () => void;
  #server: Socket | null = null;
  #forward: Flow | null = null;
  #backward: Flow | null = null;

  constructor(route: Route, client: Socket, onEnd: () => void) {
    this.route = route;
    this.#client = client;
    this.#onEnd = onEnd;
    client.setNoDelay(true);
    client.on('error', () => client.destroy());
    client.on('close', () => {
      if (this.#server === null || this.#server.destroyed) this.#onEnd();
    });
  }

  /** A connection is made when both directions are open; until then its client hangs. */
  apply(isForwardCut: boolean, isBackwardCut: boolean): void {
    if (this.#server === null) {
      if (isForwardCut || isBackwardCut || this.#client.destroyed) return;
      this.#dial();
    }
    this.#forward?.setCut(isForwardCut);
    this.#backward?.setCut(isBackwardCut);
  }

  #dial(): void {
    const { host, port } = this.route.target;
    const server = connect({ host, port, allowHalfOpen: true });
    this.#server = server;
    server.setNoDelay(true);
    server.on('error', () => server.destroy());
    server.on('close', () => {
      if (this.#client.destroyed) this.#onEnd();
    });
    this.#forward = new Flow(this.#client, server);
    this.#backward = new Flow(server, this.#client);
  }

  destroy(): void {
    this.#client.resetAndDestroy();
    this.#server?.resetAndDestroy();
    this.#onEnd();
  }
}

const direction = (from: string, to: string): string => `${from}>${to}`;

export class Links {
  readonly #servers: Server[] = [];
  readonly #connections = new Set<Connection>();
  readonly #cuts = new Map<string, CutMode>();
  readonly #dark = new Set<string>();

  async listen(routes: readonly Route[]): Promise<void> {
    await Promise.all(
      routes.map((route) => {
        // Half open: the end of one direction must not end the other, which may be cut.
        const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) =>
          this.#accept(route, client),
        );
        this.#servers.push(server);
        return new Promise<void>((resolve, reject) => {
          server.once('error', reject);
          server.listen(route.listen.port, route.listen.host, resolve);
        });
      }),
    );
  }

  cut(from: string, to: string, mode: CutMode = 'stall'): void {
    this.#cuts.set(direction(from, to), mode);
    if (mode === 'reset') this.#destroyWhere(({ route }) => isBetween(route, from, to));
    this.#applyAll();
  }

  heal(from: string, to: string): void {
    this.#cuts.delete(direction(from, to));
    this.#applyAll();
  }

  healAll(): void {
    this.#cuts.clear();
    this.#applyAll();
  }

  darken(node: string): void {
    this.#dark.add(node);
    this.#applyAll();
  }

  /** Power is back: what was connected before the cut is forgotten on this side, and answered by a reset. */
  lighten(node: string): void {
    this.#destroyWhere(({ route }) => route.from === node || route.to === node);
    this.#dark.delete(node);
    this.#applyAll();
  }

  close(): void {
    for (const server of this.#servers) server.close();
    this.#destroyWhere(() => true);
  }

  #isCut(from: string, to: string): boolean {
    return this.#cuts.has(direction(from, to)) || this.#dark.has(from) || this.#dark.has(to);
  }

  #accept(route: Route, client: Socket): void {
    const modes = [
      this.#cuts.get(direction(route.from, route.to)),
      this.#cuts.get(direction(route.to, route.from)),
    ];
    if (modes.includes('reset')) {
      client.resetAndDestroy();
      return;
    }
    const connection = new Connection(route, client, () => this.#connections.delete(connection));
    this.#connections.add(connection);
    this.#apply(connection);
  }

  #apply(connection: Connection): void {
    const { from, to } = connection.route;
    connection.apply(this.#isCut(from, to), this.#isCut(to, from));
  }

  #applyAll(): void {
    for (const connection of this.#connections) this.#apply(connection);
  }

  #destroyWhere(isMeant: (connection: Connection) => boolean): void {
    for (const connection of [...this.#connections]) if (isMeant(connection)) connection.destroy();
  }
}

const isBetween = (route: Route, one: string, other: string): boolean =>
  (route.from === one && route.to === other) || (route.from === other && route.to === one);
