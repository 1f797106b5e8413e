/**
 * A cluster of one node, for what one agent does alone with bad files, tools and clouds. Its processes carry a mark in
 * their environment, so that a test can prove that none is left.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { findProcesses, killProcesses, NODE_VARIABLE } from '../../../cluster/local/node/index.ts';
import { AdminClient, type StatusDocument } from '../../../src/admin/index.ts';
import { createAuthority, issueClient, issueNode, type TlsMaterial } from '../../../src/peer/index.ts';
import { type CommandResult, quorate } from './command.ts';
import { eventually } from './eventually.ts';

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

const SERVICE = `#!/bin/sh
cd "$(dirname "$0")"
case "$1" in
  start) touch serving ;;
  stop) rm -f serving ;;
  probe) [ -e serving ] ;;
esac
`;

type Section = Record<string, unknown>;

export class OneNode {
  readonly dist: string;
  readonly directory: string;
  readonly tag: string;
  readonly peerPort: number;
  readonly adminPort: number;
  config: Section;
  #agent: ChildProcess | null = null;
  #operator: TlsMaterial | null = null;
  #admin: AdminClient | null = null;

  private constructor(dist: string, directory: string, peerPort: number, adminPort: number) {
    this.dist = dist;
    this.directory = directory;
    this.tag = `one/${directory}`;
    this.peerPort = peerPort;
    this.adminPort = adminPort;
    this.config = {
      cluster: 'one',
      node: 'a',
      data_dir: 'data',
      members: { a: { peer: `127.0.0.1:${peerPort}` } },
      timing: { heartbeat: '100ms', lease: '600ms', release: '400ms' },
      tls: { ca: 'ca.pem', cert: 'a.pem', key: 'a.key' },
      admin: { listen: `127.0.0.1:${adminPort}` },
      watchdog: { mode: 'off' },
      resources: [this.service],
    };
  }

  static async create(dist: string): Promise<OneNode> {
    const directory = mkdtempSync(join(tmpdir(), 'quorate-one-'));
    const node = new OneNode(dist, directory, await freePort(), await freePort());
    node.#operator = await node.issue('one', '');
    mkdirSync(join(directory, 'bin'));
    writeFileSync(join(directory, 'bin', 'service'), SERVICE, { mode: 0o755 });
    return node;
  }

  /** `ca.pem`, `a.pem` and `a.key` of a new cluster, with something before their names; returns an operator's identity. */
  async issue(cluster: string, prefix: string): Promise<TlsMaterial> {
    const authority = await createAuthority(cluster);
    const pair = await issueNode(authority, 'a');
    writeFileSync(this.path(`${prefix}ca.pem`), authority.certificate);
    writeFileSync(this.path(`${prefix}a.pem`), pair.certificate);
    writeFileSync(this.path(`${prefix}a.key`), pair.key);
    const { certificate, key } = await issueClient(authority, 'admin', 'test');
    return { ca: authority.certificate, cert: certificate, key };
  }

  get service(): Section {
    const script = join(this.directory, 'bin', 'service');
    const [start, stop, probe] = ['start', 'stop', 'probe'].map((word) => [script, word]);
    return { name: 'store', kind: 'service', start, stop, probe };
  }

  path(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  /** Of this node's config, with other values for some sections. */
  writeConfig(changes: Section = {}, name = 'q.yaml'): string {
    writeFileSync(this.path(name), stringify({ ...this.config, ...changes }));
    return this.path(name);
  }

  get environment(): Record<string, string> {
    return {
      PATH: `${this.path('bin')}:/usr/bin:/bin`,
      [NODE_VARIABLE]: this.tag,
      AWS_ACCESS_KEY_ID: 'LOCAL',
      AWS_SECRET_ACCESS_KEY: 'local',
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    };
  }

  /** `quorate agent`, expected to end by itself. */
  runAgent(changes: Section = {}, uid?: number): Promise<CommandResult> {
    const config = this.writeConfig(changes, 'run.yaml');
    return quorate(this.dist, ['agent', '--config', config], {
      env: this.environment,
      ...(uid === undefined ? {} : { uid }),
      timeoutMs: 20_000,
    });
  }

  command(...words: string[]): Promise<CommandResult> {
    return quorate(this.dist, [...words, '--config', this.path('q.yaml')], { env: this.environment });
  }

  /** Starts the agent with `q.yaml`; it may take a moment to answer. */
  start(changes: Section = {}): void {
    const config = this.writeConfig(changes);
    const log = openSync(this.path('agent.log'), 'a');
    this.#agent = spawn(process.execPath, [join(this.dist, 'quorate.mjs'), 'agent', '--config', config], {
      env: this.environment,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
  }

  get log(): string {
    return readFileSync(this.path('agent.log'), 'utf8');
  }

  /** Asked directly: a process for every look would be most of the test's time. */
  status(): Promise<StatusDocument> {
    if (this.#operator === null) throw new Error('no identity');
    this.#admin ??= new AdminClient({
      address: `127.0.0.1:${this.adminPort}`,
      tls: this.#operator,
      who: 'test',
    });
    return this.#admin.status();
  }

  answers(): Promise<void> {
    return eventually('the agent answers', async () => (await this.status()).observer === 'a', 20_000);
  }

  /** Starts it, with a log that names this node as in sync. */
  async bootstrap(changes: Section = {}): Promise<void> {
    this.start(changes);
    await this.answers();
    const { exit, stderr } = await this.command('bootstrap', '--in-sync', 'a');
    if (exit !== 0) throw new Error(stderr);
  }

  /** Of a tenure after `epoch`: an agent that has just started shows the one of its log until that is over. */
  async holds(epoch = 0): Promise<number> {
    let held = 0;
    await eventually(
      'the node holds everything',
      async () => {
        const { holder, epoch: current, lastTakeover } = await this.status();
        if (holder !== 'a' || current === null || lastTakeover === null) return false;
        held = current;
        return current > epoch && lastTakeover.epoch === current && lastTakeover.totalMs !== null;
      },
      20_000,
    );
    return held;
  }

  /** SIGTERM; its exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const agent = this.#agent;
    this.#agent = null;
    if (agent === null || agent.exitCode !== null) return agent?.exitCode ?? null;
    const ended = once(agent, 'exit');
    agent.kill(signal);
    const [code] = await ended;
    return typeof code === 'number' ? code : null;
  }

  async remains(): Promise<number[]> {
    await eventually('every process has ended', () => findProcesses(this.tag).length === 0, 15_000);
    return findProcesses(this.tag);
  }

  remove(): void {
    this.#admin?.close();
    killProcesses(this.tag);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
