/**
 * `zfs send` into whatever carries the stream.
 *
 * 1. Where the sink has a descriptor, the child gets it as its stdout: no byte passes this process. It is closed here as soon as
 *    the child has it, so that the other end sees the end of the stream when the child ends.
 * 2. The children stay in this process's group, and die with it.
 * 3. Its output may stop for a while, as the receiver writes; one that stands still for `STALL_MS` is ended. What has arrived
 *    is not sent again: the next round resumes.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import type { Clock, Timer } from '../../clock.ts';
import { readLines } from '../../lines.ts';
import type { StreamStep } from '../plan.ts';
import { type Progress, ProgressReader } from './progress.ts';

export type SendEnd =
  | { readonly kind: 'sent' }
  /** `isOwn`: on this side; else the stream was not taken any more, and the other side knows why. */
  | { readonly kind: 'failed'; readonly why: string; readonly isOwn: boolean };

export interface Sending {
  /** Never rejects. */
  readonly ended: Promise<SendEnd>;
  stop(why: string, isOwn?: boolean): void;
}

export interface SendOptions {
  readonly step: StreamStep;
  readonly sink: Writable;
  /** Null: as fast as it goes. */
  readonly bytesPerSecond: number | null;
  readonly clock: Clock;
  readonly onProgress: (progress: Progress) => void;
}

const STALL_MS = 300_000;
const MAX_LINE = 4096;
const MAX_WORDS = 300;

/**
 * Compressed, with large blocks and embedded data as they are in the pool; encrypted data raw. A token has the flags that its
 * stream was begun with.
 */
export function sendCommand(step: StreamStep): readonly string[] {
  const told = ['-v', '-P'];
  if (step.kind === 'resume') return ['zfs', 'send', ...told, '-t', step.token];
  const form = step.isRaw ? ['-w'] : ['-L', '-e', '-c'];
  const isRun = step.kind === 'incremental' && (step.between?.length ?? 0) > 0;
  const from = step.kind === 'incremental' ? [isRun ? '-I' : '-i', step.from] : [];
  return ['zfs', 'send', ...form, ...told, ...from, `${step.dataset}@${step.snapshot}`];
}

export function startSend(options: SendOptions): Sending {
  return new Pipeline(options);
}

class Pipeline implements Sending {
  readonly ended: Promise<SendEnd>;
  readonly #options: SendOptions;
  readonly #reader = new ProgressReader();
  readonly #children: ChildProcess[] = [];
  #stopped: Extract<SendEnd, { kind: 'failed' }> | null = null;
  #stall: Timer;

  constructor(options: SendOptions) {
    this.#options = options;
    this.#stall = this.#watch();
    this.ended = this.#run().finally(() => this.#stall.cancel());
  }

  stop(why: string, isOwn = true): void {
    this.#stopped ??= { kind: 'failed', why, isOwn };
    this.#kill();
  }

  #kill(): void {
    for (const child of this.#children) if (child.exitCode === null) child.kill('SIGKILL');
  }

  #watch(): Timer {
    return this.#options.clock.after(STALL_MS, () =>
      this.stop(`not a byte has gone out within ${STALL_MS / 1000} s`),
    );
  }

  async #run(): Promise<SendEnd> {
    const { step, sink, bytesPerSecond } = this.#options;
    const ends: Promise<Failure | null>[] = [];
    try {
      let into = sink;
      if (bytesPerSecond !== null) {
        const pv = this.#start(['pv', '-q', '-L', String(bytesPerSecond)], into, 'pipe');
        ends.push(endOf('pv', pv, () => ''));
        if (pv.stdin === null) throw new Error('pv has no stdin');
        into = pv.stdin;
      }
      const zfs = this.#start(sendCommand(step), into, 'ignore');
      if (zfs.stderr !== null) this.#listen(zfs.stderr);
      ends.push(endOf('zfs', zfs, () => this.#reader.complaint));
      if (this.#stopped !== null) this.#kill();
    } catch (error) {
      this.stop(error instanceof Error ? error.message : String(error));
      sink.destroy();
    }
    const failures = (await Promise.all(ends)).filter((one) => one !== null);
    const missing = failures.find(({ kind }) => kind === 'not-started');
    if (missing !== undefined) return { kind: 'failed', why: missing.why, isOwn: true };
    if (this.#stopped !== null) return this.#stopped;
    // Of pv only the code is known: where both have failed, ZFS says why.
    const said = failures.at(-1);
    if (said === undefined) return { kind: 'sent' };
    return { kind: 'failed', why: said.why.slice(0, MAX_WORDS), isOwn: said.kind === 'failed' };
  }

  /** Hands the sink on, and keeps no copy of it. */
  #start(command: readonly string[], into: Writable, stdin: 'ignore' | 'pipe'): ChildProcess {
    const [program = '', ...args] = command;
    const isHanded = hasDescriptor(into);
    const stdio: StdioOptions = [stdin, isHanded ? into : 'pipe', program === 'zfs' ? 'pipe' : 'ignore'];
    const child = spawn(program, args, { stdio, env: { ...process.env, LC_ALL: 'C' } });
    this.#children.push(child);
    child.stdin?.on('error', () => undefined);
    into.on('error', () => this.stop('the stream was not taken any more', false));
    if (isHanded) into.destroy();
    else child.stdout?.pipe(into);
    return child;
  }

  #listen(stderr: NonNullable<ChildProcess['stderr']>): void {
    const { clock, onProgress } = this.#options;
    let bytes = -1;
    const onLine = (line: string): void => {
      if (!this.#reader.onLine(line, clock.now())) return;
      const { progress } = this.#reader;
      if (progress.bytes !== bytes) {
        bytes = progress.bytes;
        this.#stall.cancel();
        this.#stall = this.#watch();
      }
      onProgress(progress);
    };
    readLines(
      stderr,
      { onLine, onTooLong: () => this.stop('zfs send says what is not understood') },
      MAX_LINE,
    );
  }
}

interface Failure {
  /** `cut-off`: whoever read from it has gone. */
  readonly kind: 'not-started' | 'failed' | 'cut-off';
  readonly why: string;
}

const CUT_OFF = /broken pipe|SIGPIPE|EPIPE/i;

/** Null: it did what it should. */
function endOf(program: string, child: ChildProcess, complaint: () => string): Promise<Failure | null> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      const isMissing = 'code' in error && error.code === 'ENOENT';
      const why = isMissing ? `${program} is not installed or not in PATH` : error.message;
      resolve({ kind: 'not-started', why });
    });
    // "close": what it has said is read by then.
    child.once('close', (code, signal) => {
      if (code === 0) return resolve(null);
      const said = complaint()
        .trim()
        .replaceAll(/\s*\n\s*/g, ' / ');
      const how = code === null ? `was killed by ${signal}` : `ended with code ${code}`;
      const why = `${program === 'zfs' ? 'zfs send' : program} ${how}${said === '' ? '' : `: ${said}`}`;
      resolve({ kind: CUT_OFF.test(why) ? 'cut-off' : 'failed', why });
    });
  });
}

/** What a child can be given: a socket, a pipe, a file. */
export function hasDescriptor(stream: Writable): boolean {
  if ('fd' in stream && typeof stream.fd === 'number') return true;
  const handle = '_handle' in stream ? stream._handle : null;
  return (
    typeof handle === 'object' &&
    handle !== null &&
    'fd' in handle &&
    typeof handle.fd === 'number' &&
    handle.fd >= 0
  );
}
