/** A real sshd of the test's own: on 127.0.1.x, with its own config, host keys and authorized_keys, ended with the test. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { until } from './hosts.ts';

export const SSHD = ['/usr/sbin/sshd', '/usr/local/sbin/sshd'].find((path) => existsSync(path)) ?? null;

export interface TestSshd {
  readonly log: () => string;
  close(): Promise<void>;
}

export const hostKeyOf = (directory: string): string => join(directory, 'ssh_host_ed25519_key');

export function makeHostKey(directory: string): void {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', hostKeyOf(directory)]);
}

/** `key`: another host's, where the test wants the wrong one. */
export async function startSshd(
  directory: string,
  address: string,
  port: number,
  key = hostKeyOf(directory),
): Promise<TestSshd> {
  if (SSHD === null) throw new Error('no sshd');
  // As root it wants its empty directory, which Debian makes at boot.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const file = join(directory, `sshd_config.${port}`);
  writeFileSync(
    file,
    `ListenAddress ${address}
Port ${port}
HostKey ${key}
PidFile none
AuthorizedKeysFile ${join(directory, 'authorized_keys')}
AuthenticationMethods publickey
PermitRootLogin yes
StrictModes no
UsePAM no
LogLevel VERBOSE
MaxStartups 100
`,
  );
  const child: ChildProcess = spawn(SSHD, ['-D', '-e', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const isOver = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await until(`sshd listens: ${said}`, () => /Server listening on/.test(said));
  return {
    log: () => said,
    close: async () => {
      child.kill('SIGTERM');
      await isOver;
    },
  };
}

/** Between ssh and sshd; cuts a connection when so many bytes have gone to sshd through it. */
export class CuttingProxy {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  /** Null: never. */
  cutAfterBytes: number | null = null;
  passed = 0;

  constructor(target: { readonly host: string; readonly port: number }) {
    this.#server = createServer((from) => {
      const to = connect(target);
      let bytes = 0;
      const cut = (): void => {
        from.destroy();
        to.destroy();
      };
      for (const socket of [from, to]) {
        this.#open.add(socket);
        socket.on('error', cut);
        socket.on('close', () => {
          this.#open.delete(socket);
          cut();
        });
      }
      from.on('data', (data) => {
        bytes += data.length;
        this.passed += data.length;
        if (this.cutAfterBytes !== null && bytes >= this.cutAfterBytes) return cut();
        if (!to.write(data)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
      });
      to.on('data', (data) => from.write(data));
    });
  }

  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** A port of this address that nobody has just now. */
export function freePort(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
