/** One node's executor as a real process, with stand-ins for everything outside, and a client that plays the agent. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../src/clock.ts';
import { deriveTiming, epoch, type Instant, instant, nodeId, term } from '../../../src/core/index.ts';
import { ChildRunner } from '../../../src/executor/commands.ts';
import {
  createExecutorClient,
  type ExecutorClient,
  type ExecutorClientOptions,
  type ExecutorEvent,
  startTimeOf,
} from '../../../src/executor/index.ts';
import { lockOwner } from '../../../src/executor/lock.ts';
import { killAndWait } from '../../../src/executor/processes.ts';
import { createAuthority, issueNode, type KeyPairPem } from '../../../src/peer/index.ts';
import { FakeDrbd } from './fake-drbd.ts';
import { FakeEc2 } from './fake-ec2.ts';
import { FakeWatchdog } from './fake-watchdog.ts';

export const now = (): Instant => instant(Number(process.hrtime.bigint()) / 1e6);

export interface NodeOptions {
  readonly program: string;
  readonly leaseMs?: number;
  readonly releaseMs?: number;
  readonly watchdogMs?: number;
  readonly resources?: string;
  readonly args?: readonly string[];
}

interface Pki {
  readonly authority: KeyPairPem;
  readonly a: KeyPairPem;
  readonly b: KeyPairPem;
}
let pki: Pki | null = null;

/** Once per test file. */
export async function makePki(): Promise<Pki> {
  const authority = await createAuthority('test');
  pki = { authority, a: await issueNode(authority, 'a'), b: await issueNode(authority, 'b') };
  return pki;
}

const SERVICE = `#!/bin/sh
# start|stop|probe of a daemon that keeps the block device open (the fake drbdadm looks for service-pid)
dir=$(dirname "$0")
case "$1" in
  start)
    setsid sh -c 'while :; do sleep 1; done' > /dev/null 2>&1 &
    echo $! > "$dir/service-pid" ;;
  stop)
    if [ -e "$dir/stop-hangs" ]; then sleep 60; fi
    if [ -e "$dir/stop-fails" ]; then echo "busy mount" >&2; exit 1; fi
    if [ -e "$dir/service-pid" ]; then kill "$(cat "$dir/service-pid")" 2> /dev/null; fi
    rm -f "$dir/service-pid" ;;
  probe)
    [ -e "$dir/service-pid" ] && kill -0 "$(cat "$dir/service-pid")" 2> /dev/null ;;
esac
`;

export const ALL_RESOURCES = (directory: string): string => `
  - {name: block, kind: drbd, resource: r0}
  - {name: eip, kind: elastic-ip, allocation: eipalloc-03a7e962, interfaces: {a: eni-46561127, b: eni-77f0c1aa}, after: [block]}
  - {name: store, kind: service, start: [${directory}/service, start], stop: [${directory}/service, stop], probe: [${directory}/service, probe], after: [block]}
`;

export class TestNode {
  readonly directory: string;
  readonly drbd: FakeDrbd;
  readonly ec2 = new FakeEc2();
  readonly watchdog: FakeWatchdog | null;
  readonly events: ExecutorEvent[] = [];
  client: ExecutorClient | null = null;
  /** Stands for the agent's process: the executor kills it when the channel closes. */
  agent: ChildProcess;
  /** Nobody listens there. */
  readonly members = new Map([
    [nodeId('b'), '127.0.0.1:9'],
    [nodeId('w'), '127.0.0.1:9'],
  ]);
  readonly #options: NodeOptions;
  readonly #clients: ExecutorClient[] = [];
  readonly #waiting = new Set<() => void>();
  readonly leaseMs: number;
  readonly releaseMs: number;
  #renewing: NodeJS.Timeout | null = null;

  constructor(options: NodeOptions) {
    this.#options = options;
    this.leaseMs = options.leaseMs ?? 600;
    this.releaseMs = options.releaseMs ?? 1000;
    this.directory = mkdtempSync(join(tmpdir(), 'quorate-node-'));
    this.drbd = new FakeDrbd(join(this.directory, 'bin'));
    writeFileSync(join(this.drbd.directory, 'service'), SERVICE, { mode: 0o755 });
    this.watchdog = options.watchdogMs === undefined ? null : new FakeWatchdog(options.watchdogMs);
    this.agent = spawn('sleep', ['600'], { stdio: 'ignore' });
  }

  get dataDir(): string {
    return join(this.directory, 'data');
  }

  async start(): Promise<ExecutorClient> {
    const endpoint = await this.ec2.listen();
    if (this.watchdog !== null) await this.watchdog.listen(join(this.directory, 'watchdog'));
    this.writeConfig(endpoint);
    process.env.PATH = this.drbd.path;
    process.env.AWS_ACCESS_KEY_ID = 'AKIDEXAMPLE';
    process.env.AWS_SECRET_ACCESS_KEY = 'secret';
    return this.connect();
  }

  writeConfig(endpoint: string): void {
    const { ca, a } = this.#pki();
    writeFileSync(join(this.directory, 'ca.pem'), ca);
    writeFileSync(join(this.directory, 'a.pem'), a.certificate);
    writeFileSync(join(this.directory, 'a.key'), a.key);
    const watchdog =
      this.watchdog === null ? '{mode: off}' : `{device: ${this.directory}/watchdog, mode: required}`;
    writeFileSync(
      join(this.directory, 'config.yaml'),
      `cluster: test
node: a
data_dir: ${this.dataDir}
members:
  a: {zone: z1, peer: 127.9.1.1:7400}
  b: {zone: z2, peer: 127.9.1.2:7400}
  w: {zone: z3, peer: 127.9.1.3:7400, witness: true}
timing: {heartbeat: 20ms, lease: ${this.leaseMs}ms, release: ${this.releaseMs}ms}
tls: {ca: ca.pem, cert: a.pem, key: a.key}
admin: {listen: 127.0.0.1:7401}
watchdog: ${watchdog}
fencing: {ec2_stop: off}
cloud: {region: us-east-1, endpoint: "${endpoint}"}
resources:${this.#options.resources ?? ALL_RESOURCES(this.drbd.directory)}`,
    );
  }

  #pki(): { ca: string; a: KeyPairPem } {
    if (pki === null) throw new Error('makePki first');
    return { ca: pki.authority.certificate, a: pki.a };
  }

  clientOptions(): ExecutorClientOptions {
    const pid = this.agent.pid ?? 0;
    return {
      node: nodeId('a'),
      cluster: 'test',
      configFile: join(this.directory, 'config.yaml'),
      dataDir: this.dataDir,
      members: this.members,
      timing: deriveTiming({
        heartbeatMs: 20,
        leaseMs: this.leaseMs,
        releaseMs: this.releaseMs,
        guardMs: 25,
        watchdogTimeoutMs: this.#options.watchdogMs ?? null,
        clockErrorRate: 0.005,
      }),
      program: this.#options.program,
      agentProcess: { pid, startTime: startTimeOf(pid) ?? '' },
      args: this.#options.args ?? [],
    };
  }

  async connect(): Promise<ExecutorClient> {
    const client = createExecutorClient(this.clientOptions());
    this.#clients.push(client);
    this.client = client;
    await client.start((event) => {
      this.events.push(event);
      for (const look of this.#waiting) look();
    });
    return client;
  }

  /** The first event of that kind from `from` on, now or later. */
  event<Kind extends ExecutorEvent['kind']>(
    kind: Kind,
    options: {
      from?: number;
      limitMs?: number;
      where?: (event: Extract<ExecutorEvent, { kind: Kind }>) => boolean;
    } = {},
  ): Promise<Extract<ExecutorEvent, { kind: Kind }>> {
    const { from = 0, limitMs = 10_000, where = () => true } = options;
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.events
          .slice(from)
          .filter((event): event is Extract<ExecutorEvent, { kind: Kind }> => event.kind === kind)
          .find(where);
        if (found === undefined) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(
          new Error(`no ${kind} within ${limitMs} ms; events: ${JSON.stringify(this.events.slice(-8))}`),
        );
      }, limitMs);
      this.#waiting.add(look);
      look();
    });
  }

  /** Renews as an agent with a quorum does. */
  renewing(of: number, everyMs = 20): void {
    this.stopRenewing();
    const send = (): void => this.client?.renew(epoch(of), instant(now() + this.leaseMs));
    send();
    this.#renewing = setInterval(send, everyMs);
  }

  stopRenewing(): void {
    if (this.#renewing !== null) clearInterval(this.#renewing);
    this.#renewing = null;
  }

  async take(
    of: number,
    previousReleased = false,
    isForced = false,
  ): Promise<Extract<ExecutorEvent, { kind: 'taken' }>> {
    const from = this.events.length;
    this.renewing(of);
    this.client?.take({
      epoch: epoch(of),
      term: term(3),
      until: instant(now() + this.leaseMs),
      previousReleased,
      ...(isForced ? { isForced } : {}),
    });
    return this.event('taken', { from, where: (event) => event.epoch === of });
  }

  /** As when the agent dies: no farewell. */
  breakConnection(): void {
    this.stopRenewing();
    void this.client?.close('abandon');
  }

  newAgent(): void {
    this.agent = spawn('sleep', ['600'], { stdio: 'ignore' });
  }

  async stop(): Promise<void> {
    this.stopRenewing();
    for (const client of this.#clients) await client.close().catch(() => undefined);
    this.agent.kill('SIGKILL');
    // An executor that cannot verify its release does not end, as it should be; the test's does.
    const executor = lockOwner(this.dataDir);
    if (executor !== null) await killAndWait(executor, 5000, systemClock);
    await new ChildRunner(`test/a@${this.dataDir}`, systemClock).killLeftovers();
    await this.ec2.close();
    this.watchdog?.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
