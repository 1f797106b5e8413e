/**
 * What the guard's thread and its spawn helper say to each other: one JSON document per line, both of one build: a helper that
 * is started again after the files were replaced is refused by its version.
 */
import type { ProcessId } from './processes.ts';
import type { ChildEnd, ChildSpec, StreamName } from './spawner.ts';

/** To the helper, on its standard input. */
export type SpawnRequest =
  | ({ readonly kind: 'spawn'; readonly id: number } & ChildSpec)
  /** SIGKILL to its group. */
  | { readonly kind: 'kill'; readonly id: number };

/** From it, on its standard output. */
export type SpawnEvent =
  | { readonly kind: 'ready'; readonly version: string }
  | { readonly kind: 'started'; readonly id: number; readonly child: ProcessId }
  | { readonly kind: 'output'; readonly id: number; readonly stream: StreamName; readonly text: string }
  | { readonly kind: 'ended'; readonly id: number; readonly end: ChildEnd }
  | { readonly kind: 'drained'; readonly id: number };

/** JSON makes six characters of one at most, so an input of this size fits, as does what a pipe gives at a time. */
export const MAX_SPAWN_INPUT = 512 * 1024;
export const MAX_SPAWN_LINE = 4 * 1024 * 1024;

export const toSpawnLine = (message: SpawnRequest | SpawnEvent): string => `${JSON.stringify(message)}\n`;
