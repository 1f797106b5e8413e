/**
 * Entry of the spawn helper (dist/spawn-helper.mjs): a small process that starts the executor's commands. A fork costs
 * the time to copy the tables of the whole memory, 12 ms for 200 MB and 1.7 ms for this one (measured), and whoever forks stands still meanwhile: the
 * guard's thread must not (T4).
 *
 * It decides nothing. It carries the mark of the executor's children in its environment, as they do: a successor finds it
 * and ends it first (O1). When the executor is gone, so are it and what still runs.
 */
import type { Readable } from 'node:stream';
import { directSpawner } from './direct-spawner.ts';
import { readLines } from './lines.ts';
import { MAX_SPAWN_LINE, type SpawnEvent, type SpawnRequest, toSpawnLine } from './spawn-protocol.ts';
import type { SpawnedChild } from './spawner.ts';

const children = new Map<number, SpawnedChild>();

function say(event: SpawnEvent): void {
  process.stdout.write(toSpawnLine(event));
}

function obey(request: SpawnRequest): void {
  if (request.kind === 'kill') {
    children.get(request.id)?.kill();
    return;
  }
  const { id, kind: _, ...spec } = request;
  const child = directSpawner.spawn(spec, {
    onStart: (pid) => say({ kind: 'started', id, pid }),
    onOutput: (stream, text) => say({ kind: 'output', id, stream, text }),
    onEnd: (end) => {
      children.delete(id);
      say({ kind: 'ended', id, end });
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
const input: Readable = process.stdin;
input.on('end', end);
input.on('error', end);
process.stdout.on('error', end);
readLines(
  input,
  { onLine: (line) => obey(JSON.parse(line) as SpawnRequest), onTooLong: end },
  MAX_SPAWN_LINE,
);
say({ kind: 'ready' });
