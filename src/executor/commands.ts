/**
 * Runs commands as children that can be killed, each in a process group of its own.
 *
 * 1. Every child is marked in its environment with this data directory, and so are its descendants: whoever starts
 *    after we died finds and kills them (O1). A record in a file could be lost between fork and write; this cannot.
 * 2. A child is killed with its group at its deadline or when its signal fires, and counts as in flight until it is gone.
 * 3. Output is bounded: a command that says more is killed, and nobody reads half of what it said. What a daemon
 *    inherits stays open and is drained, so that it never meets a broken pipe.
 * 4. A reading is shared only by those who ask for it before anything else can happen: nothing that they know of has ended
 *    since it was started. A child costs this thread 1 ms and 0.03 ms for each MB of the process (measured), so a verification
 *    starts none twice.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Clock } from '../clock.ts';
import type { Instant } from '../core/index.ts';
import type { CommandOptions, CommandResult, CommandRunner, FollowHandlers } from '../resources/index.ts';
import { groupOf, isGroupGone, processesWith, signalProcess } from './processes.ts';

export const NODE_MARK = 'QUORATE_EXECUTOR_CHILD';
/** Not `QUORATE_RESOURCE`: a hook finds its resource's name there. */
export const RESOURCE_MARK = 'QUORATE_RESOURCE_MARK';

/** For each of stdout and stderr. */
const MAX_OUTPUT_BYTES = 256 * 1024;
const TOO_MUCH_OUTPUT: CommandResult = { kind: 'died', why: 'more than 256 KiB of output', isTooMuch: true };
/** How long a killed child may take to vanish before its caller is told; it stays in flight. */
const KILL_GRACE_MS = 50;
/** After exit, how long to wait for the rest of the output if a daemon holds the pipe open. */
const DRAIN_MS = 20;
const SCAN_PAUSE_MS = 10;
const MAX_SCANS = 200;
const GROUP_POLL_MS = 2;

export class ChildRunner implements CommandRunner {
  readonly #mark: string;
  readonly #clock: Clock;
  readonly #inFlight = new Map<ChildProcess, Promise<void>>();
  readonly #killed = new WeakSet<ChildProcess>();
  /** Process groups of living children, followers too. */
  readonly #groups = new Set<number>();
  /** Of this very moment. */
  #readings: {
    readonly command: string;
    readonly options: CommandOptions;
    readonly result: Promise<CommandResult>;
  }[] = [];

  /** `mark` names this node on this host, for example its data directory. */
  constructor(mark: string, clock: Clock) {
    this.#mark = mark;
    this.#clock = clock;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  run(command: readonly string[], options: CommandOptions): Promise<CommandResult> {
    return options.isReading === true ? this.#share(command, options) : this.#run(command, options);
  }

  #share(words: readonly string[], options: CommandOptions): Promise<CommandResult> {
    const command = JSON.stringify([words, options.environment]);
    const present = this.#readings.find(
      (reading) =>
        reading.command === command &&
        reading.options.deadline === options.deadline &&
        reading.options.signal === options.signal,
    );
    if (present !== undefined) return present.result;
    const result = this.#run(words, options);
    // Before any event is dealt with: the end of a change that this reading may have missed is one.
    if (this.#readings.length === 0)
      queueMicrotask(() => {
        this.#readings = [];
      });
    this.#readings.push({ command, options, result });
    return result;
  }

  #run(command: readonly string[], options: CommandOptions): Promise<CommandResult> {
    const limitMs = options.deadline - this.#clock.now();
    if (options.signal.aborted) return Promise.resolve({ kind: 'aborted' });
    if (limitMs <= 0) return Promise.resolve({ kind: 'timed-out', limitMs: 0 });
    const child = this.#spawn(command, options);
    return new Promise((resolve) => {
      const output = collect(child, () => kill(TOO_MUCH_OUTPUT));
      let ending: CommandResult | null = null;
      let hasExited = false;
      const kill = (why: CommandResult): void => {
        if (ending !== null || hasExited) return;
        ending = why;
        this.#kill(child);
        setTimeout(() => finish(why), KILL_GRACE_MS);
      };
      const onAbort = (): void => kill({ kind: 'aborted' });
      const timer = setTimeout(() => kill({ kind: 'timed-out', limitMs }), limitMs);
      const finish = (result: CommandResult): void => {
        clearTimeout(timer);
        options.signal.removeEventListener('abort', onAbort);
        resolve(result);
      };
      options.signal.addEventListener('abort', onAbort, { once: true });
      child.once('error', (error) => finish(startError(error)));
      child.once('exit', (code, signal) => {
        if (ending !== null) return finish(ending);
        // From here on a late kill would only hit what the command has left running on purpose: a daemon.
        hasExited = true;
        clearTimeout(timer);
        options.signal.removeEventListener('abort', onAbort);
        if (code === null) return finish({ kind: 'died', why: `killed by ${signal}` });
        void output.ended(DRAIN_MS).then(() => {
          if (output.isTooMuch()) return finish(TOO_MUCH_OUTPUT);
          finish({ kind: 'exited', code, stdout: output.stdout(), stderr: output.stderr() });
        });
      });
    });
  }

  /** SIGKILL to everything that runs, then wait until it is gone; false if something is not at the end. */
  async killInFlight(limitMs: number): Promise<boolean> {
    const running = [...this.#inFlight];
    for (const [child] of running) this.#kill(child);
    if (running.length === 0) return true;
    const ended = Promise.all(running.map(([, gone]) => gone)).then(() => true);
    return Promise.race([ended, this.#clock.sleep(limitMs).then(() => false)]);
  }

  async killMarked(marker: string, deadline: Instant): Promise<number> {
    return (await this.#killAll(() => processesWith(RESOURCE_MARK, marker), deadline)).killed;
  }

  /** Children of an executor of this node that died before us (O1); false if one of them cannot be killed. */
  async killLeftovers(): Promise<boolean> {
    const result = await this.#killAll(() =>
      processesWith(NODE_MARK, this.#mark).filter((pid) => !this.#groups.has(groupOf(pid) ?? 0)),
    );
    return result.isGone;
  }

  follow(command: readonly string[], handlers: FollowHandlers): () => void {
    const child = this.#spawn(command, {}, true);
    let isOver = false;
    const end = (why: string): void => {
      if (isOver) return;
      isOver = true;
      handlers.onEnd(why);
    };
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (!isOver) handlers.onLine(line);
      });
    }
    child.stderr?.resume();
    child.once('error', (error) => end(startError(error).kind));
    child.once('exit', (code) => end(`exit code ${code}`));
    return () => {
      isOver = true;
      killGroup(child);
    };
  }

  /**
   * Until two scans in a row find nobody: a killed process may have forked just before. The first scan is made even
   * after the deadline: what can be killed is killed.
   */
  async #killAll(scan: () => number[], deadline?: Instant): Promise<{ killed: number; isGone: boolean }> {
    const killed = new Set<number>();
    let quiet = 0;
    for (let round = 0; round < MAX_SCANS && quiet < 2; round++) {
      const found = scan();
      for (const pid of found) {
        killed.add(pid);
        signalProcess(pid, 'SIGKILL');
      }
      quiet = found.length === 0 ? quiet + 1 : 0;
      if (killed.size === 0) return { killed: 0, isGone: true };
      const pauseMs = quiet === 0 ? SCAN_PAUSE_MS : 1;
      if (deadline !== undefined && this.#clock.now() + pauseMs > deadline) break;
      await this.#clock.sleep(pauseMs);
    }
    return { killed: killed.size, isGone: quiet >= 2 };
  }

  #spawn(
    command: readonly string[],
    { marker, environment, input }: Pick<CommandOptions, 'marker' | 'environment' | 'input'>,
    isFollower = false,
  ): ChildProcess {
    const [program = '', ...args] = command;
    const env = {
      ...process.env,
      ...environment,
      [NODE_MARK]: this.#mark,
      ...(marker === undefined ? {} : { [RESOURCE_MARK]: marker }),
    };
    const stdin = input === undefined ? 'ignore' : 'pipe';
    const child = spawn(program, args, { detached: true, stdio: [stdin, 'pipe', 'pipe'], env });
    // One that ends before it has read everything says so by its code.
    child.stdin?.on('error', () => undefined).end(input);
    const { pid } = child;
    if (pid !== undefined) {
      this.#groups.add(pid);
      child.once('exit', () => this.#groups.delete(pid));
    }
    if (!isFollower) {
      const gone = new Promise<void>((resolve) => {
        const end = (): void => {
          this.#inFlight.delete(child);
          resolve();
        };
        child.once('exit', () => {
          // Who was killed is in flight until its whole group is gone; who ended by itself may leave a daemon there.
          if (this.#killed.has(child)) void this.#groupGone(child).then(end);
          else end();
        });
        child.once('error', () => {
          if (child.pid === undefined) end();
        });
      });
      this.#inFlight.set(child, gone);
    }
    return child;
  }

  #kill(child: ChildProcess): void {
    this.#killed.add(child);
    killGroup(child);
  }

  async #groupGone({ pid }: ChildProcess): Promise<void> {
    while (pid !== undefined && !isGroupGone(pid)) await this.#clock.sleep(GROUP_POLL_MS);
  }
}

function killGroup(child: ChildProcess): void {
  // Detached means that the child leads a group with its own pid as number.
  if (child.pid !== undefined && !signalProcess(-child.pid, 'SIGKILL')) child.kill('SIGKILL');
}

function startError(error: Error & { code?: unknown }): CommandResult {
  return error.code === 'ENOENT' ? { kind: 'missing' } : { kind: 'died', why: error.message };
}

function collect(child: ChildProcess, onTooMuch: () => void) {
  const texts = { stdout: '', stderr: '' };
  const bytes = { stdout: 0, stderr: 0 };
  let isTooMuch = false;
  let open = 0;
  let onAllEnded: () => void = () => undefined;
  for (const name of ['stdout', 'stderr'] as const) {
    const stream = child[name];
    if (stream === null) continue;
    open += 1;
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      bytes[name] += Buffer.byteLength(text);
      if (bytes[name] <= MAX_OUTPUT_BYTES) {
        texts[name] += text;
      } else if (!isTooMuch) {
        isTooMuch = true;
        onTooMuch();
      }
    });
    stream.on('error', () => undefined);
    stream.once('close', () => {
      open -= 1;
      if (open === 0) onAllEnded();
    });
  }
  return {
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    isTooMuch: () => isTooMuch,
    /** Both pipes closed, or the limit: a daemon that inherited them never closes them. */
    ended: (limitMs: number): Promise<void> =>
      new Promise((resolve) => {
        if (open === 0) return resolve();
        const timer = setTimeout(resolve, limitMs);
        onAllEnded = () => {
          clearTimeout(timer);
          resolve();
        };
      }),
  };
}
