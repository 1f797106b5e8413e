/**
 * Address plan of a local cluster: 127.C.x.y, C chosen free per run.
 * Node number n (from 1): port 1 (replication) 127.C.1.n, port 2 (service) 127.C.2.n. The way from node m to node n
 * is dialled at 127.C.(10+m).n, where a link listens. Controller 127.C.0.1, elastic IP 127.C.80.1.
 */
import { createServer, type Server } from 'node:net';

/** Whoever listens here owns 127.C: runs on one host stay out of each other's way. */
const CLAIM_PORT = 7399;
const claims = new Map<number, Server>();

export const port1 = (network: number, node: number): string => `127.${network}.1.${node}`;
export const port2 = (network: number, node: number): string => `127.${network}.2.${node}`;
export const linkHost = (network: number, from: number, to: number): string =>
  `127.${network}.${10 + from}.${to}`;

function claim(network: number): Promise<Server | null> {
  const server = createServer((socket) => socket.destroy());
  server.unref();
  return new Promise((resolve) => {
    server.once('error', () => resolve(null));
    server.listen({ host: `127.${network}.0.254`, port: CLAIM_PORT, exclusive: true }, () => resolve(server));
  });
}

/** The second byte of a network that nobody on this host uses; claimed until this process ends. */
export async function freeNetwork(first = 10 + (process.pid % 200)): Promise<number> {
  for (let step = 0; step < 240; step += 1) {
    const network = 10 + ((first - 10 + step) % 240);
    const server = await claim(network);
    if (server === null) continue;
    claims.set(network, server);
    return network;
  }
  throw new Error('no free network in 127.10.0.0 to 127.249.0.0');
}

export function releaseNetwork(network: number): void {
  claims.get(network)?.close();
  claims.delete(network);
}
