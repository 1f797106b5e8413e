/** What starts children, and what it tells of them. Two do: this thread itself, and a small process for it (spawn-helper.ts). */
import type { StartLimit } from '../resources/index.ts';

export type StreamName = 'stdout' | 'stderr';
export const STREAMS: readonly StreamName[] = ['stdout', 'stderr'];

export interface ChildSpec {
  /** The program, found by PATH, and its arguments. */
  readonly command: readonly string[];
  /** Added to the environment of the executor. */
  readonly environment: Readonly<Record<string, string>>;
  /** Its standard input; null: there is none. */
  readonly input: string | null;
  /** O1: asked again right before it is started; null for what needs no lease. */
  readonly limit: StartLimit | null;
  /** It is killed when it has said more, in bytes for each of stdout and stderr; null: it is followed. */
  readonly maxOutputBytes: number | null;
}

export type ChildEnd =
  /** By itself, or by somebody's signal. What it left in its process group may run on. */
  | { readonly kind: 'exited'; readonly code: number | null; readonly signal: string | null }
  | { readonly kind: 'not-started'; readonly code: string | null; readonly why: string }
  /** Its limit had passed: it was not started. */
  | { readonly kind: 'too-late' }
  /** Who started it is gone, and it was killed with its group. */
  | { readonly kind: 'lost' };

/** In this order: a start, output, the end, the rest of the output, and that this was all. */
export interface ChildListener {
  onStart(pid: number): void;
  onOutput(stream: StreamName, text: string): void;
  onEnd(end: ChildEnd): void;
  /**
   * After `exited`: all that it had said by its end has been told, or that is not known, and then what was told may be half of
   * it. What has inherited its output talks on unheard.
   */
  onDrained(isWhole: boolean): void;
}

export interface SpawnedChild {
  /** SIGKILL to its process group; to nobody once it has ended. Whether one that was about to start has run, its end says. */
  kill(): void;
}

export interface Spawner {
  /** Never throws: what cannot be started says so by its end. */
  spawn(spec: ChildSpec, listener: ChildListener): SpawnedChild;
  /** Is this group the spawner's own, or one of a child whose start may not have been told yet? */
  isOwn(group: number): boolean;
}
