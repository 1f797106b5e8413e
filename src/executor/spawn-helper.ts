/**
 * Entry of the spawn helper (dist/spawn-helper.mjs): a small process that starts the executor's commands. A fork copies
 * the tables of the whole memory, which takes 12 ms for 200 MB and 1.7 ms for this one (measured), and whoever forks
 * stands still meanwhile: the guard's thread must not (T4).
 *
 * It decides nothing. It carries the mark of the executor's children in its environment, as they do: a successor finds it
 * and ends it first (O1). When the executor is gone, so are it and what still runs.
 */

import { readLines } from '../lines.ts';
import { VERSION } from '../version.ts';
import { directSpawner } from './direct-spawner.ts';
import { startTimeOf } from './processes.ts';
import { MAX_SPAWN_LINE, type SpawnEvent, type SpawnRequest, toSpawnLine } from './spawn-protocol.ts';
import type { SpawnedChild } from './spawner.ts';

/** Kept for an executor that stands still: beyond it something is wrong, and this process ends. */
const MAX_UNREAD_BYTES = 16 * 1024 * 1024;

type SpawnOrder = Extract<SpawnRequest, { kind: 'spawn' }>;

const children = new Map<number, SpawnedChild>();
/** Told, and not started: what is called off with the same breath never runs. */
const waiting = new Map<number, SpawnOrder>();

function say(event: SpawnEvent): void {
  process.stdout.write(toSpawnLine(event));
  if (process.stdout.writableLength > MAX_UNREAD_BYTES) end();
}

function obey(request: SpawnRequest): void {
  const { id } = request;
  if (request.kind === 'spawn') {
    waiting.set(id, request);
    setImmediate(startWaiting);
  } else if (waiting.delete(id)) {
    say({ kind: 'ended', id, end: { kind: 'too-late' } });
  } else {
    children.get(id)?.kill();
  }
}

function startWaiting(): void {
  for (const order of waiting.values()) {
    waiting.delete(order.id);
    start(order);
  }
}

function start({ kind: _, id, ...spec }: SpawnOrder): void {
  const child = directSpawner.spawn(spec, {
    onStart: (pid) => say({ kind: 'started', id, child: { pid, startTime: startTimeOf(pid) ?? '' } }),
    onOutput: (stream, text) => say({ kind: 'output', id, stream, text }),
    onEnd: (how) => {
      children.delete(id);
      say({ kind: 'ended', id, end: how });
    },
    onDrained: () => say({ kind: 'drained', id }),
  });
  children.set(id, child);
}

function end(): never {
  for (const child of children.values()) child.kill();
  process.exit();
}

// systemd sends these to the whole unit; the executor needs its commands until it has released everything.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.stdin.on('end', end);
process.stdin.on('error', end);
process.stdout.on('error', end);
readLines(
  process.stdin,
  { onLine: (line) => obey(JSON.parse(line) as SpawnRequest), onTooLong: end },
  MAX_SPAWN_LINE,
);
say({ kind: 'ready', version: VERSION });
