/** What the guard's thread and its spawn helper say to each other: one JSON document per line, both of one build. */
import type { ChildEnd, ChildSpec, StreamName } from './spawner.ts';

/** To the helper, on its standard input. */
export type SpawnRequest =
  | ({ readonly kind: 'spawn'; readonly id: number } & ChildSpec)
  /** SIGKILL to its group. */
  | { readonly kind: 'kill'; readonly id: number };

/** From it, on its standard output. */
export type SpawnEvent =
  | { readonly kind: 'ready' }
  | { readonly kind: 'started'; readonly id: number; readonly pid: number }
  | { readonly kind: 'output'; readonly id: number; readonly stream: StreamName; readonly text: string }
  | { readonly kind: 'ended'; readonly id: number; readonly end: ChildEnd }
  | { readonly kind: 'drained'; readonly id: number };

/** A pipe gives 64 KiB at a time, and JSON makes six characters of one at most; an input is a ruleset, or a script. */
export const MAX_SPAWN_LINE = 4 * 1024 * 1024;

export const toSpawnLine = (message: SpawnRequest | SpawnEvent): string => `${JSON.stringify(message)}\n`;
