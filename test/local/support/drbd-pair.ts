/** Two DRBD stand-ins in processes of their own, joined by a link that can be cut, with shims as an agent sees them. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  askDaemon,
  BLOCK_BYTES,
  createReplica,
  type DaemonOptions,
  DeviceClient,
  type DrbdSnapshot,
  drbdSnapshot,
  newGeneration,
  probeWrite,
  writeShims,
} from '../../../cluster/local/drbd/index.ts';
import { Links } from '../../../cluster/local/links/index.ts';
import { freeNetwork } from '../../../cluster/local/node/network.ts';
import { bundle } from './build.ts';
import { until } from './until.ts';

export type Side = 'a' | 'b';
const PEER: Record<Side, Side> = { a: 'b', b: 'a' };
export const BLOCKS = 512;

interface ShimResult {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class DrbdPair {
  readonly links = new Links();
  readonly directory = mkdtempSync(join(tmpdir(), 'quorate-local-drbd-'));
  readonly #network: number;
  readonly #script: string;
  readonly #processes = new Map<Side, ChildProcess>();

  private constructor(network: number, script: string) {
    this.#network = network;
    this.#script = script;
  }

  static async start(): Promise<DrbdPair> {
    const outdir = await bundle({ 'local-drbd': 'cluster/local/drbd/main.ts' });
    const pair = new DrbdPair(await freeNetwork(), join(outdir, 'local-drbd.mjs'));
    const generation = newGeneration();
    for (const side of ['a', 'b'] as const) {
      mkdirSync(pair.#path(side));
      createReplica(pair.#path(side), generation);
      writeShims(pair.#path(side, 'bin'), pair.options(side).control);
      writeFileSync(pair.#path(side, 'options.json'), JSON.stringify(pair.options(side)));
      pair.fence(side, 'exit 1');
    }
    await pair.links.listen([
      { from: 'a', to: 'b', listen: pair.options('a').peer, target: pair.options('b').listen },
      { from: 'b', to: 'a', listen: pair.options('b').peer, target: pair.options('a').listen },
    ]);
    await Promise.all([pair.boot('a'), pair.boot('b')]);
    await pair.isInSync();
    return pair;
  }

  #path(side: Side, name = ''): string {
    return join(this.directory, side, name);
  }

  options(side: Side): DaemonOptions {
    const n = side === 'a' ? 1 : 2;
    const host = `127.${this.#network}.1.${n}`;
    return {
      node: side,
      peerNode: PEER[side],
      resource: 'r0',
      minor: 0,
      directory: this.#path(side),
      blocks: BLOCKS,
      listen: { host, port: 7788 },
      peer: { host: `127.${this.#network}.${10 + n}.${3 - n}`, port: 7788 },
      fencing: 'resource-and-stonith',
      fencePeerCommand: `/bin/sh ${this.#path(side, 'fence-peer.sh')}`,
      pingTimeoutMs: 300,
      connectIntervalMs: 50,
      control: { host, port: 7790 },
      device: { host, port: 7791 },
    };
  }

  /** What the fence-peer handler does from now on; what it was called with is in `fenceLog`. */
  fence(side: Side, script: string): void {
    writeFileSync(
      this.#path(side, 'fence-peer.sh'),
      `env | grep ^DRBD_ >> ${this.#path(side, 'fence.log')}\n${script}\n`,
    );
  }

  fenceLog(side: Side): string {
    return readFileSync(this.#path(side, 'fence.log'), 'utf8');
  }

  log(side: Side): string {
    return readFileSync(this.#path(side, 'drbd.log'), 'utf8');
  }

  async boot(side: Side): Promise<void> {
    const log = openSync(this.#path(side, 'drbd.log'), 'a');
    const child = spawn(process.execPath, [this.#script, this.#path(side, 'options.json')], {
      stdio: ['ignore', 'pipe', log],
    });
    this.#processes.set(side, child);
    if (child.stdout !== null) await once(child.stdout, 'data');
  }

  async kill(side: Side): Promise<void> {
    const child = this.#processes.get(side);
    this.#processes.delete(side);
    if (child === undefined || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  isRunning(side: Side): boolean {
    return this.#processes.has(side);
  }

  signal(side: Side, name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#processes.get(side)?.kill(name);
  }

  cut(): void {
    this.links.cut('a', 'b');
    this.links.cut('b', 'a');
  }

  shim(side: Side, program: 'drbdadm' | 'drbdsetup', ...words: string[]): Promise<ShimResult> {
    return new Promise((resolve) => {
      execFile(this.#path(side, `bin/${program}`), words, (error, stdout, stderr) => {
        resolve({ exit: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
      });
    });
  }

  adm(side: Side, ...words: string[]): Promise<ShimResult> {
    return this.shim(side, 'drbdadm', ...words);
  }

  /** Starts `events2` and collects its lines. */
  follow(side: Side): { lines: string[]; stop: () => void } {
    const child = spawn(this.#path(side, 'bin/drbdsetup'), ['events2', 'r0']);
    const lines: string[] = [];
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts);
    });
    return { lines, stop: () => child.kill('SIGKILL') };
  }

  local(side: Side, ...words: string[]): Promise<ShimResult> {
    return askDaemon(this.options(side).control, ['local', ...words], 2_000);
  }

  snapshot(side: Side): Promise<DrbdSnapshot> {
    return drbdSnapshot(this.options(side).control, 1_000);
  }

  probe(side: Side, timeoutMs = 150): Promise<boolean> {
    return probeWrite(this.options(side).control, timeoutMs);
  }

  open(side: Side): Promise<DeviceClient> {
    const { device } = this.options(side);
    return DeviceClient.open(device.host, device.port);
  }

  /** Waits until the snapshot of a side has these values. */
  async sees(side: Side, expected: Partial<DrbdSnapshot>, timeoutMs = 10_000): Promise<void> {
    let last: DrbdSnapshot | null = null;
    await until(
      `${side} sees ${JSON.stringify(expected)}`,
      async () => {
        const seen = await this.snapshot(side);
        last = seen;
        return Object.entries(expected).every(([key, value]) => seen[key as keyof DrbdSnapshot] === value);
      },
      timeoutMs,
    ).catch((error) => {
      throw new Error(`${String(error)}, last seen ${JSON.stringify(last)}`);
    });
  }

  async isInSync(): Promise<void> {
    const expected = { connection: 'Connected', disk: 'UpToDate', peerDisk: 'UpToDate' };
    await this.sees('a', expected);
    await this.sees('b', expected);
  }

  /** Numbers of the blocks in which the two data files differ. */
  differences(): number[] {
    const a = readFileSync(this.#path('a', 'drbd.data'));
    const b = readFileSync(this.#path('b', 'drbd.data'));
    const found: number[] = [];
    for (let block = 0; block < BLOCKS; block += 1) {
      const at = block * BLOCK_BYTES;
      if (!a.subarray(at, at + BLOCK_BYTES).equals(b.subarray(at, at + BLOCK_BYTES))) found.push(block);
    }
    return found;
  }

  async stop(): Promise<void> {
    await Promise.all([this.kill('a'), this.kill('b')]);
    this.links.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export function blockOf(text: string): Buffer {
  const data = Buffer.alloc(BLOCK_BYTES);
  data.write(text);
  return data;
}
