/**
 * Two data nodes as the channels see them, on 127.0.1.1 and 127.0.1.2: configs, certificates, an agent's word on a socket, an sshd each,
 * and a `zfs` that takes a stream to nowhere as fast as it comes. What is measured is then the way, and no disk.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { LocalSocket } from '../../../src/admin/index.ts';
import { pairWith } from '../../../src/agent/pairing.ts';
import { type Config, loadConfig } from '../../../src/config/index.ts';
import { nodeId } from '../../../src/core/index.ts';
import { createAuthority, issueNode } from '../../../src/peer/index.ts';
import { acceptOffer, ownOffer } from '../../../src/replication/channels/index.ts';

const CLUSTER = 'bench';
const ADDRESS = { a: '127.0.1.1', b: '127.0.1.2' } as const;
const START_LIMIT_MS = 30_000;
const SSHD = ['/usr/sbin/sshd', '/usr/local/sbin/sshd'].find((path) => existsSync(path)) ?? null;
/** Of the tenure that sends; the agents' word of these hosts says the same. */
export const BENCH_EPOCH = 7;
export type Way = 'ssh' | 'grpc';

/** The dataset is there once its stream has arrived, with the snapshot that was said. */
const ZFS = (state: string): string => `#!/bin/sh
case "$1 $*" in
  "list "*"-t snapshot"*) [ -e '${state}' ] && printf 'tank/bench@s1\\t11\\t1\\t0\\n' && exit 0 ;;
  "list "*) [ -e '${state}' ] && echo filesystem && exit 0 ;;
  "get "*)
    # get -H -p -o COLUMNS NAMES DATASET: a line for each, in the order in which they were asked for.
    if [ -e '${state}' ]; then
      IFS=,
      for name in $6; do
        case $name in type) value=filesystem ;; guid) value=7 ;; *) value=- ;; esac
        printf '%s\\t-\\t%s\\n' "$name" "$value"
      done
      exit 0
    fi
    ;;
  "receive "*) cat >/dev/null && : >'${state}' && exit 0 ;;
esac
echo "cannot open: dataset does not exist" >&2
exit 1
`;

interface Host {
  readonly directory: string;
  readonly config: (way: Way) => string;
  readonly state: string;
}

export class BenchHosts {
  readonly #directory = mkdtempSync(join(tmpdir(), 'quorate-bench-'));
  readonly #children: ChildProcess[] = [];
  readonly #sockets: LocalSocket[] = [];
  readonly #hosts: Record<'a' | 'b', Host>;
  readonly #dist: string;
  #sshPort = 0;

  constructor(dist: string) {
    this.#dist = dist;
    const host = (node: 'a' | 'b'): Host => {
      const directory = join(this.#directory, node);
      return {
        directory,
        config: (way) => join(directory, `${way}.yaml`),
        state: join(directory, 'received'),
      };
    };
    this.#hosts = { a: host('a'), b: host('b') };
  }

  get hasSsh(): boolean {
    return SSHD !== null;
  }

  /** Of the sender. */
  config(way: Way): string {
    return this.#hosts.a.config(way);
  }

  async start(): Promise<void> {
    const authority = await createAuthority(CLUSTER);
    const [sshPort, grpcPort] = [await freePort(ADDRESS.b), await freePort(ADDRESS.b)];
    this.#sshPort = sshPort;
    for (const node of ['a', 'b'] as const) {
      const { directory, config, state } = this.#hosts[node];
      const bin = join(directory, 'bin');
      mkdirSync(bin, { recursive: true });
      mkdirSync(join(directory, 'data'));
      writeFileSync(join(bin, 'zfs'), ZFS(state));
      chmodSync(join(bin, 'zfs'), 0o755);
      const pem = await issueNode(authority, nodeId(node), { hosts: [ADDRESS[node]] });
      writeFileSync(join(directory, 'ca.pem'), authority.certificate);
      writeFileSync(join(directory, 'n.pem'), pem.certificate);
      writeFileSync(join(directory, 'n.key'), pem.key, { mode: 0o600 });
      const ssh = {
        ...{ kind: 'ssh', user: userInfo().username, port: sshPort, hosts: ADDRESS },
        authorized_keys: join(directory, 'authorized_keys'),
        host_keys: [join(directory, 'host_key.pub')],
        command: [
          '/usr/bin/env',
          `PATH=${bin}:${process.env.PATH}`,
          process.execPath,
          join(this.#dist, 'quorate.mjs'),
        ],
      };
      writeFileSync(config('ssh'), configText(node, ssh));
      writeFileSync(config('grpc'), configText(node, { kind: 'grpc', port: grpcPort, hosts: ADDRESS }));
      const socket = new LocalSocket(join(directory, 'data', 'agent.sock'), {
        fencePeer: () => Promise.reject(new Error('not here')),
        authority: () => ({ mayHold: false, tenure: { epoch: BENCH_EPOCH, node: 'a', isReleased: false } }),
      });
      await socket.start();
      this.#sockets.push(socket);
    }
    await this.#startReceiver();
    if (SSHD !== null) await this.#startSsh(SSHD);
  }

  /** What was sent before is forgotten: the next stream is a first copy again. */
  forget(): void {
    rmSync(this.#hosts.b.state, { force: true });
  }

  /** ssh as the operator's own, to the same sshd, without a forced command. */
  plainSsh(): readonly string[] {
    const at = (name: string): string => join(this.#hosts.a.directory, name);
    return [
      ...['ssh', '-F', 'none', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes'],
      ...[
        '-o',
        `UserKnownHostsFile=${at('plain_known')}`,
        '-o',
        'GlobalKnownHostsFile=none',
        '-i',
        at('plain_key'),
      ],
      ...['-o', 'IdentitiesOnly=yes', '-p', String(this.#sshPort), `${userInfo().username}@${ADDRESS.b}`],
    ];
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
      child.kill('SIGTERM');
      await gone;
    }
    for (const socket of this.#sockets) await socket.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** As the executor starts it. */
  async #startReceiver(): Promise<void> {
    const { directory, config } = this.#hosts.b;
    const child = spawn(process.execPath, [join(this.#dist, 'receiver.mjs'), '--config', config('grpc')], {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { ...process.env, PATH: `${join(directory, 'bin')}:${process.env.PATH}` },
    });
    this.#children.push(child);
    await saying(child, /receiver-started/);
  }

  async #startSsh(sshd: string): Promise<void> {
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
    for (const node of ['a', 'b'] as const) {
      const at = (name: string): string => join(this.#hosts[node].directory, name);
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at('host_key')]);
      const text = [
        `ListenAddress ${ADDRESS[node]}`,
        `Port ${this.#sshPort}`,
        `HostKey ${at('host_key')}`,
        'PidFile none',
        `AuthorizedKeysFile ${at('authorized_keys')}`,
        'AuthenticationMethods publickey',
        'PermitRootLogin yes',
        'StrictModes no',
        'UsePAM no',
      ];
      writeFileSync(at('sshd_config'), `${text.join('\n')}\n`);
      const child = spawn(sshd, ['-D', '-e', '-f', at('sshd_config')], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      this.#children.push(child);
      await saying(child, /Server listening on/);
    }
    const { a, b } = this.#hosts;
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(a.directory, 'plain_key')]);
    writeFileSync(
      join(b.directory, 'authorized_keys'),
      readFileSync(join(a.directory, 'plain_key.pub'), 'utf8'),
    );
    const [kind, key] = readFileSync(join(b.directory, 'host_key.pub'), 'utf8').split(' ');
    writeFileSync(join(a.directory, 'plain_known'), `[${ADDRESS.b}]:${this.#sshPort} ${kind} ${key}\n`);
    const configs = new Map<string, Config>(
      (['a', 'b'] as const).map((node) => [node, loadConfig(this.#hosts[node].config('ssh'))]),
    );
    const [own, other] = [configs.get('a'), configs.get('b')];
    if (own === undefined || other === undefined) throw new Error('no config');
    // As "quorate replication pair" does it, without the wire between the agents, and without trying the way back.
    const parts = { config: own, peer: nodeId('b'), command: [] };
    const offer = await ownOffer(parts, false);
    const answer = await pairWith(other, nodeId('a'), { ...offer, isDryRun: false }, { warn: () => {} });
    await acceptOffer(parts, answer, false);
  }
}

function configText(node: 'a' | 'b', channel: object): string {
  return JSON.stringify({
    ...{ cluster: CLUSTER, node, data_dir: 'data', resources: [] },
    members: {
      a: { peer: `${ADDRESS.a}:17410` },
      b: { peer: `${ADDRESS.b}:17410` },
      w: { peer: '127.0.1.3:17410', witness: true },
    },
    tls: { ca: 'ca.pem', cert: 'n.pem', key: 'n.key' },
    admin: { listen: `${ADDRESS[node]}:17411` },
    watchdog: { mode: 'off' },
    replication: { pools: ['tank'], channel },
  });
}

function saying(child: ChildProcess, what: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const late = setTimeout(
      () => reject(new Error(`not within ${START_LIMIT_MS} ms: ${what}: ${said}`)),
      START_LIMIT_MS,
    );
    child.once('close', () => reject(new Error(`it has ended: ${said}`)));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-2000);
      if (!what.test(said)) return;
      clearTimeout(late);
      resolve();
    });
  });
}

function freePort(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
