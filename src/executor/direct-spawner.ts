/** Children of this process, each leader of a process group of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { systemClock } from '../clock.ts';
import type { StartLimit } from '../resources/index.ts';
import { signalProcess } from './processes.ts';
import { type ChildListener, type SpawnedChild, type Spawner, STREAMS } from './spawner.ts';
import { isStillApart } from './suspend-check.ts';

/** After its exit, how long to wait for the rest of the output if a daemon holds the pipe open. */
const DRAIN_MS = 20;

export const directSpawner: Spawner = {
  spawn(spec, listener) {
    if (!mayStart(spec.limit)) {
      queueMicrotask(() => listener.onEnd({ kind: 'too-late' }));
      return { kill: () => undefined };
    }
    const [program = '', ...args] = spec.command;
    const child = spawn(program, args, {
      // Detached means that it leads a group with its own pid as number.
      detached: true,
      stdio: [spec.input === null ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...spec.environment },
    });
    // One that ends before it has read everything says so by its code.
    child.stdin?.on('error', () => undefined).end(spec.input);
    return new DirectChild(child, listener);
  },
  // spawn() returns after the exec.
  isOwn: () => false,
};

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

  constructor(child: ChildProcess, listener: ChildListener) {
    this.#child = child;
    this.#listener = listener;
    const { pid } = child;
    if (pid !== undefined) listener.onStart(pid);
    child.once('error', (error: Error & { code?: unknown }) => {
      // Also emitted where a started one cannot be signalled.
      if (pid !== undefined) return;
      const code = typeof error.code === 'string' ? error.code : null;
      listener.onEnd({ kind: 'not-started', code, why: error.message });
    });
    child.once('exit', (code, signal) => this.#onExit(code, signal));
    for (const name of STREAMS) {
      const stream = child[name];
      stream?.setEncoding('utf8');
      stream?.on('data', (text: string) => listener.onOutput(name, text));
      stream?.on('error', () => undefined);
      stream?.once('close', () => {
        this.#open -= 1;
        if (this.#open === 0 && this.#hasEnded) this.#drained();
      });
    }
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
    this.#listener.onDrained();
  }
}
