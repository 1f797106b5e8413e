/** The real host, for the checks: files, sockets, interfaces. */
import {
  type FileHandle,
  lstat,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  stat,
  statfs,
} from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { networkInterfaces, release, uptime } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { TlsFiles } from '../config/index.ts';
import { localAddressOf } from '../resources/index.ts';
import type { FileKind, Files, Host, HttpAnswer, Network, PeerCertificate, Reach } from './context.ts';

const MAX_FILE_BYTES = 1024 * 1024;
const MAX_BODY_BYTES = 64 * 1024;
const MAX_WALKED = 10_000;

const nullOnError = <Value>(work: Promise<Value>): Promise<Value | null> => work.catch(() => null);

export const systemFiles: Files = {
  read: (path) => nullOnError(readBounded(path)),
  list: (directory) => nullOnError(readdir(directory)),
  kindOf: (path) => nullOnError(kindOf(path)),
  target: (path) => nullOnError(readlink(path)),
  realPath: (path) => nullOnError(realpath(path)),
  size: (directory) => nullOnError(sizeOf(directory)),
  freeBytes: async (directory) => {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  },
  timeSyncs,
};

/** Files of /proc and /sys say that they are empty: they are read, not measured. */
async function readBounded(path: string): Promise<string> {
  if ((await stat(path)).size > MAX_FILE_BYTES) throw new RangeError(`${path} is too large`);
  return (await readFile(path, 'utf8')).slice(0, MAX_FILE_BYTES);
}

async function kindOf(path: string): Promise<FileKind> {
  const found = await stat(path);
  if (found.isFile()) return 'file';
  if (found.isDirectory()) return 'directory';
  if (found.isCharacterDevice()) return 'character';
  if (found.isBlockDevice()) return 'block';
  return found.isSocket() ? 'socket' : 'other';
}

async function sizeOf(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true });
  if (names.length > MAX_WALKED) throw new RangeError(`${directory} has too many files`);
  // What is gone meanwhile has no size: LevelDB removes files as it likes.
  const sizes = await Promise.all(
    names.map((name) =>
      lstat(join(directory, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Appended, as the log is. The file is removed whatever happens. */
async function timeSyncs(
  directory: string,
  count: number,
  bytes: number,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const path = join(directory, `.doctor-${process.pid}`);
  const block = Buffer.alloc(bytes, 'q');
  const ms: number[] = [];
  let file: FileHandle | null = null;
  try {
    file = await open(path, 'w', 0o600);
    while (ms.length < count && !signal.aborted) {
      const startedAt = performance.now();
      await file.write(block);
      await file.datasync();
      ms.push(performance.now() - startedAt);
    }
    return ms;
  } finally {
    await file?.close();
    await rm(path, { force: true });
  }
}

export function systemHost(environment: Host['environment'] = process.env): Host {
  return {
    nodeVersion: process.versions.node,
    kernelRelease: release(),
    environment,
    interfaces: () =>
      Object.entries(networkInterfaces()).map(([name, addresses]) => ({
        name,
        addresses: (addresses ?? []).map(({ address }) => address),
      })),
    bootMs: () => uptime() * 1000,
  };
}

export function systemNetwork(tls: TlsFiles): Network {
  return {
    connect,
    http,
    certificateOf: (address, limitMs, signal) => certificateOf(tls, address, limitMs, signal),
  };
}

function connect(
  { host, port, localAddress }: Parameters<Network['connect']>[0],
  limitMs: number,
  signal: AbortSignal,
): Promise<Reach> {
  const from = localAddress === null ? null : localAddressOf(localAddress);
  if (from === null && localAddress !== null) return Promise.resolve({ kind: 'no-local-address' });
  return new Promise((resolve) => {
    const startedAt = performance.now();
    const socket = connectTcp({ host, port, ...(from === null ? {} : { localAddress: from }) });
    const end = (reach: Reach): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(reach);
    };
    const onAbort = (): void => end({ kind: 'failed', why: 'not tried to the end' });
    const timer = setTimeout(() => end({ kind: 'failed', why: `no answer within ${limitMs} ms` }), limitMs);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () =>
      end({
        kind: 'connected',
        ms: performance.now() - startedAt,
        localAddress: socket.localAddress ?? '',
        remoteAddress: socket.remoteAddress ?? '',
      }),
    );
    // For good: an error that nobody hears would end the executor, which releases then.
    socket.on('error', (error: Error & { code?: unknown }) => {
      if (error.code === 'ECONNREFUSED') end({ kind: 'refused' });
      else if (error.code === 'EADDRNOTAVAIL' && localAddress !== null) end({ kind: 'no-local-address' });
      else end({ kind: 'failed', why: error.message });
    });
    if (signal.aborted) onAbort();
  });
}

/** The names in the certificate are looked at by the caller; here only that our CA issued it, and that ours is accepted. */
async function certificateOf(
  tls: TlsFiles,
  { host, port }: { readonly host: string; readonly port: number },
  limitMs: number,
  signal: AbortSignal,
): Promise<PeerCertificate> {
  const [ca, cert, key] = await Promise.all(
    [tls.ca, tls.cert, tls.key].map((file) => readFile(file, 'utf8')),
  );
  const { identityOf, identityUri } = await import('../peer/index.ts');
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      host,
      port,
      ca,
      cert,
      key,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['h2'],
      servername: 'any.quorate',
      checkServerIdentity: () => undefined,
    });
    const fail = (error: Error & { code?: unknown }): void => {
      stop();
      const code =
        typeof error.code === 'string' && !error.message.includes(error.code) ? ` (${error.code})` : '';
      reject(new Error(`${error.message}${code}`));
    };
    const onAbort = (): void => fail(new Error('not tried to the end'));
    const timer = setTimeout(() => fail(new Error(`no handshake within ${limitMs} ms`)), limitMs);
    const stop = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', fail);
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate();
      if (certificate === undefined) return fail(new Error('no certificate was shown'));
      const identity = identityOf(certificate.raw);
      // In TLS 1.3 a server refuses a client's certificate after the handshake: its first bytes (HTTP/2 settings) are its consent.
      socket.once('data', () => {
        stop();
        resolve({
          validToMs: Date.parse(certificate.validTo),
          identity: identity === null ? null : identityUri(identity),
        });
      });
      socket.once('end', () => fail(new Error('it closed the connection after the handshake')));
    });
    if (signal.aborted) onAbort();
  });
}

function http(
  { method, url, headers }: Parameters<Network['http']>[0],
  limitMs: number,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? httpsRequest : httpRequest;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
    const request = send(
      url,
      { method, headers: { ...headers }, signal: limit, agent: false },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          body += text;
          if (body.length > MAX_BODY_BYTES) request.destroy(new Error('the answer is too long'));
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
        response.on('error', reject);
      },
    );
    request.on('error', (error) =>
      reject(limit.aborted && !signal.aborted ? new Error(`no answer within ${limitMs} ms`) : error),
    );
    request.end();
  });
}
