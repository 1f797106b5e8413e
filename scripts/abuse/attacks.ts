/**
 * What somebody can throw at the listeners of a live agent, who may reach them but not more: each attack is bounded in number and
 * in time, and ends by itself. None of them gives an order that the cluster would obey.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Client, credentials } from '@grpc/grpc-js';
import type { TlsMaterial } from '../../src/peer/index.ts';

export interface Listener {
  readonly name: 'peer' | 'admin' | 'http' | 'replication';
  readonly host: string;
  readonly port: number;
}

export interface Victim {
  readonly listeners: Readonly<Record<Listener['name'], Listener>>;
  /** Of the cluster: may ask. */
  readonly known: TlsMaterial;
  /** The other data node's. */
  readonly other: TlsMaterial;
  /** Of another authority, with the name of a node of this cluster. */
  readonly stranger: TlsMaterial;
}

/** How many ended in which way. */
export type Tally = Record<string, number>;

const ATTEMPT_MS = 3_000;
/** At a time, of one attack. */
const ABREAST = 16;

export async function times(
  count: number,
  one: (at: number) => Promise<string>,
  abreast = ABREAST,
): Promise<Tally> {
  const tally: Tally = {};
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const end = await one(next++);
      tally[end] = (tally[end] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: Math.min(abreast, count) }, worker));
  return tally;
}

function opened({ host, port }: Listener): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => resolve(socket));
    socket.on('error', () => resolve(null));
    socket.setTimeout(ATTEMPT_MS, () => socket.destroy());
    socket.once('close', () => resolve(null));
  });
}

/** Writes, and waits until the other side closes or says something, or for a moment. */
function provoke(socket: Socket, bytes: Buffer, patienceMs = 200): Promise<string> {
  return new Promise((resolve) => {
    const end = (how: string) => (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(how);
    };
    const timer = setTimeout(end('silent'), patienceMs);
    socket.on('error', end('closed'));
    socket.once('close', end('closed'));
    socket.once('data', end('answered'));
    socket.write(bytes);
  });
}

/** A piece of good bytes with some of them changed, cut, doubled or made up. */
export function mutated(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let change = randomInt(1, 8); change > 0 && copy.length > 0; change--)
    copy[randomInt(copy.length)] = randomInt(256);
  const way = randomInt(4);
  if (way === 0) return copy.subarray(0, randomInt(copy.length + 1));
  if (way === 1) return Buffer.concat([copy, copy]);
  return way === 2 ? Buffer.concat([copy, randomBytes(randomInt(512))]) : copy;
}

/** Bytes that are no TLS, or almost. */
const HELLO = Buffer.from('16030102000100 01fc0303'.replaceAll(' ', ''), 'hex');
export const garbage = (listener: Listener, count: number): Promise<Tally> =>
  times(count, async () => {
    const socket = await opened(listener);
    if (socket === null) return 'refused';
    const bytes =
      randomInt(2) === 0 ? randomBytes(randomInt(1, 2048)) : Buffer.concat([HELLO, randomBytes(300)]);
    return provoke(socket, bytes);
  });

const REQUEST = Buffer.from('GET /holder?max-lag=3 HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nX: y\r\n\r\n');
export const httpRequests = (listener: Listener, count: number): Promise<Tally> =>
  times(count, async () => {
    const socket = await opened(listener);
    return socket === null ? 'refused' : provoke(socket, mutated(REQUEST));
  });

/** A client's preface and settings, then a frame: what HTTP/2 begins with. */
const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from('000000040000000000', 'hex'),
  Buffer.from('00000a010500000001828684418b', 'hex'),
]);
/** Past TLS, with a certificate of the cluster. */
export const frames = (listener: Listener, tls: TlsMaterial, count: number): Promise<Tally> =>
  times(count, async () => {
    const socket = await secured(listener, tls);
    return socket === null ? 'refused' : provoke(socket, mutated(PREFACE));
  });

/** Whom TLS must not let in: over when the server has closed. */
export const wrongCertificates = (listener: Listener, tls: TlsMaterial, count: number): Promise<Tally> =>
  times(count, async () => {
    const socket = await secured(listener, tls);
    return socket === null ? 'closed' : provoke(socket, PREFACE, 1_000);
  });

function secured({ host, port }: Listener, { ca, cert, key }: TlsMaterial): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connectTls(
      { host, port, ca, cert, key, ALPNProtocols: ['h2'], checkServerIdentity: () => undefined },
      () => resolve(socket),
    );
    socket.on('error', () => resolve(null));
    socket.once('close', () => resolve(null));
    socket.setTimeout(ATTEMPT_MS, () => socket.destroy());
  });
}

const asIs = (bytes: Buffer): Buffer => bytes;

/** Messages to a method, as they are: in its frame, and whatever in it. */
export async function messages(
  listener: Listener,
  tls: TlsMaterial,
  path: string,
  count: number,
  make: () => Buffer,
): Promise<Tally> {
  const { ca, cert, key } = tls;
  const secure = credentials.createSsl(Buffer.from(ca), Buffer.from(key), Buffer.from(cert), {
    checkServerIdentity: () => undefined,
  });
  const client = new Client(`${listener.host}:${listener.port}`, secure, {
    'grpc.ssl_target_name_override': 'agent.quorate',
    'grpc.max_send_message_length': -1,
    'grpc.enable_retries': 0,
  });
  try {
    return await times(
      count,
      () =>
        new Promise((resolve) => {
          const call = client.makeUnaryRequest(
            ...([path, asIs, asIs, make(), { deadline: Date.now() + ATTEMPT_MS }] as const),
            (error) => resolve(error === null ? 'ok' : `code ${error.code}`),
          );
          call.on('error', () => undefined);
        }),
    );
  } finally {
    client.close();
  }
}

/** Connections that say nothing, as many as the listener lets in; `end` closes them. */
export async function idle(listener: Listener, count: number): Promise<{ tally: Tally; end(): void }> {
  const sockets: Socket[] = [];
  const tally = await times(
    count,
    async () => {
      const socket = await opened(listener);
      if (socket === null) return 'refused';
      socket.setTimeout(0);
      sockets.push(socket);
      return 'open';
    },
    64,
  );
  return {
    tally,
    end: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Asks for much and reads nothing; `end` closes them. */
export async function slowReaders(listener: Listener, count: number): Promise<{ tally: Tally; end(): void }> {
  const sockets: Socket[] = [];
  const tally = await times(count, async () => {
    const socket = await opened(listener);
    if (socket === null) return 'refused';
    socket.setTimeout(0);
    socket.pause();
    socket.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n');
    for (let ask = 0; ask < 50; ask++) socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
    sockets.push(socket);
    return 'open';
  });
  return {
    tally,
    end: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}
