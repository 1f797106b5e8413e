/**
 * Keeps the receiver process running where the replication's channel is gRPC. Nothing waits for it and nothing depends on it: a
 * receiver that hangs or dies costs a round of the replication. It ends with its stdin, so with this process, however that ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Clock, Timer } from '../clock.ts';
import { type Config, dataNodes } from '../config/index.ts';
import type { NodeId } from '../core/index.ts';
import { yieldFromStart } from './yielding.ts';

const RESTART = { firstMs: 1000, mostMs: 30_000, settledMs: 60_000 } as const;
const END_LIMIT_MS = 2000;
/** To one that hangs nothing more is said. */
const MAX_UNSENT_BYTES = 16 * 1024;

export interface ReceiverProcessOptions {
  readonly config: Config;
  /** Of the bundle. */
  readonly program: URL;
  readonly clock: Clock;
  readonly log: (level: 'warn', fields: Record<string, unknown>) => void;
}

export class ReceiverProcess {
  readonly #options: ReceiverProcessOptions;
  #child: ChildProcess | null = null;
  #timer: Timer | null = null;
  #pauseMs: number = RESTART.firstMs;
  #isEnding = false;
  #members: readonly NodeId[] | null = null;

  constructor(options: ReceiverProcessOptions) {
    this.#options = options;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Does nothing where there is nothing to receive by gRPC. */
  start(): void {
    const { config } = this.#options;
    if (config.replication?.channel?.kind !== 'grpc') return;
    if (!dataNodes(config).some(({ id }) => id === config.node)) return;
    this.#spawn();
  }

  /** E5: the log's word, which the next process is told too. */
  setMembers(ids: readonly NodeId[]): void {
    this.#members = ids;
    this.#tellMembers();
  }

  #tellMembers(): void {
    const { stdin } = this.#child ?? {};
    if (this.#members === null || stdin?.writable !== true || stdin.writableLength > MAX_UNSENT_BYTES) return;
    stdin.write(`${JSON.stringify({ kind: 'members', ids: this.#members })}\n`);
  }

  async stop(): Promise<void> {
    this.#isEnding = true;
    this.#timer?.cancel();
    const child = this.#child;
    if (child === null) return;
    const { clock } = this.#options;
    await new Promise<void>((resolve) => {
      const limit = clock.after(END_LIMIT_MS, () => {
        child.kill('SIGKILL');
        resolve();
      });
      child.once('close', () => {
        limit.cancel();
        resolve();
      });
      child.stdin?.end();
    });
  }

  #spawn(): void {
    const { config, program, clock, log } = this.#options;
    const startedAt = clock.now();
    const words = [fileURLToPath(program), '--config', config.file, '--node', config.node];
    const child = spawn(process.execPath, words, { stdio: ['pipe', 'ignore', 'inherit'] });
    this.#child = child;
    yieldFromStart(child.pid);
    child.stdin?.on('error', () => {});
    this.#tellMembers();
    let isOver = false;
    const over = (why: string): void => {
      if (isOver) return;
      isOver = true;
      this.#child = null;
      if (this.#isEnding) return;
      if (clock.now() - startedAt > RESTART.settledMs) this.#pauseMs = RESTART.firstMs;
      log('warn', { event: 'receiver-gone', why, againInMs: this.#pauseMs });
      this.#timer = clock.after(this.#pauseMs, () => this.#spawn());
      this.#pauseMs = Math.min(RESTART.mostMs, this.#pauseMs * 2);
    };
    child.once('error', (error) => over(error.message));
    child.once('close', (code, signal) => over(signal ?? `code ${code}`));
  }
}
