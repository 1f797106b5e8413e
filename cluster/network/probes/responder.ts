/**
 * Stands in for the service of a data node: answers with the node's name, on UDP and on TCP, to whatever arrives at one of
 * the service addresses. Runs from boot on; whether anybody reaches it is up to the addresses, which the cluster moves.
 *
 * UDP answers from the address that was asked, so it binds each of them, before the kernel has it (`ip_nonlocal_bind`,
 * only while it binds: what is tested runs with the kernel's own setting).
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';

export interface ResponderOptions {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly udp: number;
  readonly tcp: number;
  /** A unix socket that leads to the agent's admin service, for the harness: no cut touches it. */
  readonly admin: { readonly socket: string; readonly port: number };
}

/** `file`: the options, as JSON. */
export function runResponderFrom(file: string): Promise<void> {
  return runResponder(JSON.parse(readFileSync(file, 'utf8')) as ResponderOptions);
}

const NONLOCAL = '/proc/sys/net/ipv4/ip_nonlocal_bind';

export async function runResponder(options: ResponderOptions): Promise<void> {
  writeFileSync(NONLOCAL, '1');
  await Promise.all(options.addresses.map((address) => answerUdp(address, options)));
  writeFileSync(NONLOCAL, '0');
  await Promise.all([answerTcp(options), forwardAdmin(options)]);
  // The node waits for this line.
  process.stdout.write('ready\n');
}

async function answerUdp(address: string, { name, udp }: ResponderOptions): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  socket.on('message', (question, from) => {
    socket.send(`${question} ${name}`, from.port, from.address, () => undefined);
  });
  socket.bind(udp, address);
  await once(socket, 'listening');
  socket.on('error', () => undefined);
  return socket;
}

async function answerTcp({ name, tcp }: ResponderOptions): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end(name);
  });
  server.listen(tcp, '0.0.0.0');
  await once(server, 'listening');
}

async function forwardAdmin({ admin }: ResponderOptions): Promise<void> {
  const server = createServer((near) => {
    const far = connect(admin.port, '127.0.0.1');
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
    near.pipe(far).pipe(near);
  });
  // Of an earlier life of the node.
  rmSync(admin.socket, { force: true });
  server.listen(admin.socket);
  await once(server, 'listening');
}
