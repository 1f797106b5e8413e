/** Children of this process, each leader of a process group of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { systemClock } from '../clock.ts';
import type { StartLimit } from '../resources/index.ts';
import { signalProcess } from './processes.ts';
import {
  type ChildEnd,
  type ChildListener,
  type ChildSpec,
  type SpawnedChild,
  type Spawner,
  STREAMS,
  type StreamName,
} from './spawner.ts';
import { isStillApart } from './suspend-check.ts';

/** After its exit, how long to wait for the rest of the output if a daemon holds the pipe open. */
const DRAIN_MS = 20;

export const directSpawner: Spawner = {
  spawn(spec, listener) {
    if (!mayStart(spec.limit)) return notStarted(listener, { kind: 'too-late' });
    try {
      return new DirectChild(start(spec), spec, listener);
    } catch (error) {
      // Too many arguments, no memory: Node throws for some, and emits others.
      return notStarted(listener, startFailure(error));
    }
  },
  // spawn() returns after the exec.
  isOwn: () => false,
};

function start({ command, environment, input }: ChildSpec): ChildProcess {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    // Detached means that it leads a group with its own pid as number.
    detached: true,
    stdio: [input === null ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  // One that ends before it has read everything says so by its code.
  child.stdin?.on('error', () => undefined).end(input);
  return child;
}

function notStarted(listener: ChildListener, end: ChildEnd): SpawnedChild {
  queueMicrotask(() => listener.onEnd(end));
  return { kill: () => undefined };
}

function startFailure(error: unknown): ChildEnd {
  const why = error instanceof Error ? error.message : String(error);
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
  return { kind: 'not-started', code, why };
}

/** O1, T3: as for a call to the cloud (`leaseGate`). */
function mayStart(limit: StartLimit | null): boolean {
  if (limit === null) return true;
  const { until, distanceMs } = limit;
  return isStillApart(distanceMs) && systemClock.now() < until;
}

class DirectChild implements SpawnedChild {
  readonly #child: ChildProcess;
  readonly #listener: ChildListener;
  #hasEnded = false;
  #isDrained = false;
  #open = STREAMS.length;

  constructor(child: ChildProcess, { maxOutputBytes }: ChildSpec, listener: ChildListener) {
    this.#child = child;
    this.#listener = listener;
    const { pid } = child;
    if (pid !== undefined) listener.onStart(pid);
    child.once('error', (error) => {
      // Also emitted where a started one cannot be signalled.
      if (pid === undefined) listener.onEnd(startFailure(error));
    });
    child.once('exit', (code, signal) => this.#onExit(code, signal));
    for (const name of STREAMS) this.#read(name, maxOutputBytes);
  }

  #read(name: StreamName, maxBytes: number | null): void {
    const stream = this.#child[name];
    let bytes = 0;
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => {
      bytes += Buffer.byteLength(text);
      // Told once, so that whoever hears it knows that it is too much; then no more is kept for anybody.
      if (maxBytes !== null && bytes > maxBytes) {
        stream.removeAllListeners('data').resume();
        this.kill();
      }
      this.#listener.onOutput(name, text);
    });
    stream?.on('error', () => undefined);
    stream?.once('close', () => {
      this.#open -= 1;
      if (this.#open === 0 && this.#hasEnded) this.#drained();
    });
  }

  kill(): void {
    const { pid } = this.#child;
    if (pid !== undefined && !this.#hasEnded && !signalProcess(-pid, 'SIGKILL')) this.#child.kill('SIGKILL');
  }

  #onExit(code: number | null, signal: string | null): void {
    this.#hasEnded = true;
    this.#listener.onEnd({ kind: 'exited', code, signal });
    if (this.#open === 0) return this.#drained();
    // This thread may have stood still for those 20 ms: what is in the pipes is read before an immediate comes.
    setTimeout(() => setImmediate(() => setImmediate(() => this.#drained())), DRAIN_MS);
  }

  #drained(): void {
    if (this.#isDrained) return;
    this.#isDrained = true;
    // What inherited the pipes meets no broken one: they are read on.
    for (const name of STREAMS) this.#child[name]?.removeAllListeners('data').resume();
    this.#listener.onDrained(true);
  }
}
