/**
 * Runs commands as children that can be killed, each in a process group of its own.
 *
 * 1. Every child is marked in its environment with this data directory, and so are its descendants: whoever starts
 *    after we died finds and kills them (O1). A record in a file could be lost between fork and write; this cannot.
 * 2. A child is killed with its group at its deadline or when its signal fires, and counts as in flight until it is gone.
 * 3. Output is bounded: a command that says more is killed, and nobody reads half of what it said. What a daemon
 *    inherits stays open and is drained, so that it never meets a broken pipe.
 * 4. A reading is shared only by those who ask for it before anything else can happen: nothing that they know of has ended
 *    since it was started. A child costs 2 ms at least (measured), so a verification starts none twice.
 */
import type { Clock } from '../clock.ts';
import { assertNever, type Instant } from '../core/index.ts';
import { splitLines } from '../lines.ts';
import type { CommandOptions, CommandResult, CommandRunner, FollowHandlers } from '../resources/index.ts';
import { directSpawner } from './direct-spawner.ts';
import { groupOf, isGroupGone, processesWith, signalProcess } from './processes.ts';
import type { ChildEnd, ChildListener, ChildSpec, Spawner, StreamName } from './spawner.ts';

export const NODE_MARK = 'QUORATE_EXECUTOR_CHILD';
/** Not `QUORATE_RESOURCE`: a hook finds its resource's name there. */
export const RESOURCE_MARK = 'QUORATE_RESOURCE_MARK';

/** For each of stdout and stderr, where the caller names no other limit. */
const MAX_OUTPUT_BYTES = 256 * 1024;
/** Of one that is followed. */
const MAX_FOLLOWED_LINE = 1024 * 1024;
const tooMuchOutput = (bytes: number): CommandResult => ({
  kind: 'died',
  why: `more than ${bytes / 1024} KiB of output`,
  isTooMuch: true,
});
const OUTPUT_LOST: CommandResult = {
  kind: 'died',
  why: 'what it said was lost with the process that had started it',
};
/** How long a killed child may take to vanish before its caller is told; it stays in flight. */
const KILL_GRACE_MS = 50;
const SCAN_PAUSE_MS = 10;
const MAX_SCANS = 200;
const GROUP_POLL_MS = 2;

export class ChildRunner implements CommandRunner {
  readonly #mark: string;
  readonly #clock: Clock;
  readonly #spawner: Spawner;
  readonly #inFlight = new Map<Running, Promise<void>>();
  /** Process groups of living children, followers too. */
  readonly #groups = new Set<number>();
  /** Of this very moment. */
  #readings: {
    readonly command: string;
    readonly options: CommandOptions;
    readonly result: Promise<CommandResult>;
  }[] = [];

  /** `mark` names this node on this host, for example its data directory. */
  constructor(mark: string, clock: Clock, spawner: Spawner = directSpawner) {
    this.#mark = mark;
    this.#clock = clock;
    this.#spawner = spawner;
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
    return new Promise((resolve) => {
      let ending: CommandResult | null = null;
      let hasExited = false;
      const kill = (why: CommandResult): void => {
        if (ending !== null || hasExited) return;
        ending = why;
        running.kill();
        setTimeout(() => finish(why), KILL_GRACE_MS);
      };
      const onAbort = (): void => kill({ kind: 'aborted' });
      const timer = setTimeout(() => kill({ kind: 'timed-out', limitMs }), limitMs);
      const calm = (): void => {
        clearTimeout(timer);
        options.signal.removeEventListener('abort', onAbort);
      };
      const finish = (result: CommandResult): void => {
        calm();
        resolve(result);
      };
      options.signal.addEventListener('abort', onAbort, { once: true });
      const maxBytes = options.maxOutputBytes ?? MAX_OUTPUT_BYTES;
      const output = new Output(maxBytes, () => kill(tooMuchOutput(maxBytes)));
      let code: number | null = null;
      const running = this.#spawn(command, options, {
        onOutput: (stream, text) => output.add(stream, text),
        onEnd: (end) => {
          const failure = ending ?? failureOf(end);
          if (failure !== null) return finish(failure);
          // From here on a late kill would only hit what the command has left running on purpose: a daemon.
          hasExited = true;
          calm();
          code = end.kind === 'exited' ? end.code : null;
        },
        onDrained: (isWhole) => {
          if (code !== null) finish(isWhole ? output.result(code) : OUTPUT_LOST);
        },
      });
    });
  }

  /** SIGKILL to everything that runs, then wait until it is gone; false if something is not at the end. */
  async killInFlight(limitMs: number): Promise<boolean> {
    const running = [...this.#inFlight];
    for (const [child] of running) child.kill();
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
      processesWith(NODE_MARK, this.#mark).filter((pid) => !this.#isOurs(groupOf(pid) ?? pid)),
    );
    return result.isGone;
  }

  #isOurs(group: number): boolean {
    return this.#groups.has(group) || this.#spawner.isOwn(group);
  }

  follow(command: readonly string[], handlers: FollowHandlers): () => void {
    let isOver = false;
    const end = (why: string): void => {
      if (isOver) return;
      isOver = true;
      handlers.onEnd(why);
    };
    const read = splitLines(
      { onLine: (line) => handlers.onLine(line), onTooLong: () => running.kill() },
      MAX_FOLLOWED_LINE,
      () => !isOver,
    );
    const running = this.#spawn(
      command,
      {},
      {
        onOutput: (stream, text) => {
          if (!isOver && stream === 'stdout') read(text);
        },
        onEnd: (how) => end(how.kind === 'exited' ? `exit code ${how.code}` : how.kind),
        onDrained: () => undefined,
      },
      true,
    );
    return () => {
      isOver = true;
      running.kill();
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
    { marker, environment, input, startLimit, maxOutputBytes = MAX_OUTPUT_BYTES }: Partial<CommandOptions>,
    told: Omit<ChildListener, 'onStart'>,
    isFollower = false,
  ): Running {
    const spec: ChildSpec = {
      command,
      environment: {
        ...environment,
        [NODE_MARK]: this.#mark,
        ...(marker === undefined ? {} : { [RESOURCE_MARK]: marker }),
      },
      input: input ?? null,
      limit: startLimit ?? null,
      maxOutputBytes: isFollower ? null : maxOutputBytes,
    };
    let pid: number | null = null;
    let isKilled = false;
    let onGone: () => void = () => undefined;
    const child = this.#spawner.spawn(spec, {
      ...told,
      onStart: (its) => {
        pid = its;
        this.#groups.add(its);
      },
      onEnd: (end) => {
        if (pid !== null) this.#groups.delete(pid);
        // Who was killed is in flight until its whole group is gone; who ended by itself may leave a daemon there.
        if (pid !== null && isKilled) void this.#groupGone(pid).then(onGone);
        else onGone();
        told.onEnd(end);
      },
    });
    const running: Running = {
      kill: () => {
        isKilled = true;
        child.kill();
      },
    };
    if (!isFollower)
      this.#inFlight.set(
        running,
        new Promise((resolve) => {
          onGone = () => {
            this.#inFlight.delete(running);
            resolve();
          };
        }),
      );
    return running;
  }

  async #groupGone(group: number): Promise<void> {
    while (!isGroupGone(group)) await this.#clock.sleep(GROUP_POLL_MS);
  }
}

interface Running {
  /** SIGKILL to its group; it stays in flight until that is gone. */
  kill(): void;
}

/** Null: it has exited by itself, with a code. */
function failureOf(end: ChildEnd): CommandResult | null {
  switch (end.kind) {
    case 'exited':
      return end.code === null ? { kind: 'died', why: `killed by ${end.signal}` } : null;
    case 'not-started':
      return end.code === 'ENOENT' ? { kind: 'missing' } : { kind: 'died', why: end.why };
    case 'too-late':
      return { kind: 'aborted' };
    case 'lost':
      return { kind: 'died', why: 'killed: the process that had started it is gone' };
    default:
      return assertNever(end);
  }
}

class Output {
  readonly #texts = { stdout: '', stderr: '' };
  readonly #bytes = { stdout: 0, stderr: 0 };
  readonly #maxBytes: number;
  readonly #onTooMuch: () => void;
  #isTooMuch = false;

  constructor(maxBytes: number, onTooMuch: () => void) {
    this.#maxBytes = maxBytes;
    this.#onTooMuch = onTooMuch;
  }

  add(stream: StreamName, text: string): void {
    this.#bytes[stream] += Buffer.byteLength(text);
    if (this.#bytes[stream] <= this.#maxBytes) {
      this.#texts[stream] += text;
    } else if (!this.#isTooMuch) {
      this.#isTooMuch = true;
      this.#onTooMuch();
    }
  }

  result(code: number): CommandResult {
    return this.#isTooMuch ? tooMuchOutput(this.#maxBytes) : { kind: 'exited', code, ...this.#texts };
  }
}
