/**
 * What runs into a replicated pool when this node takes it over: `zfs receive` of the replication, ended; of anybody else, said.
 *
 * First whatever the receiver has registered (registry.ts): by then the agent says that this node may hold, so nothing begins any
 * more, and an order that was under way has made its last change. Then whoever is there all the same.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Clock } from '../clock.ts';
import type { Instant } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { EndedReceives } from '../replication/receiver/index.ts';
import { type ActionContext, SHUT_PROPERTIES } from '../resources/index.ts';
import { allPids, killAndWait, type ProcessId, startTimeOf } from './processes.ts';

export interface Receiving {
  readonly process: ProcessId;
  readonly dataset: string;
  /** Only the replication's own have its word among their arguments. */
  readonly isOurs: boolean;
}

export interface ReceivesParts {
  readonly clock: Clock;
  /** The system's own where absent. */
  readonly find?: (pool: string) => readonly Receiving[];
  /** False: it stays. Likewise. */
  readonly kill?: (id: ProcessId, limitMs: number) => Promise<boolean>;
  /** Ends what the receiver of this node has registered, whatever pool it is about. */
  readonly endRegistered: (deadline: Instant) => Promise<EndedReceives>;
}

/**
 * Part of a stream that has arrived stays as it is: it goes on, or is given up, by whoever receives next. Rejects `pool-receiving`
 * where something is being received that is not ours, or that does not end.
 */
export async function endReceives(
  pool: string,
  { deadline }: ActionContext,
  parts: ReceivesParts,
): Promise<string | null> {
  const { clock, find = receivesInto } = parts;
  const { kill = (id, limitMs) => killAndWait(id, limitMs, clock) } = parts;
  const foreign = find(pool).find(({ isOurs }) => !isOurs);
  if (foreign !== undefined)
    throw new QuorateError(
      'pool-receiving',
      `process ${foreign.process.pid} receives a stream into ${foreign.dataset}, and it is not the replication's`,
    );
  const known = await parts.endRegistered(deadline);
  if (known.kind === 'left')
    throw new QuorateError(
      'pool-receiving',
      `the replication has not come to its end here: ${known.datasets.slice(0, 3).join(', ')}`,
    );
  const running = find(pool);
  const ended = await Promise.all(
    running.map(({ process }) => kill(process, Math.max(0, deadline - clock.now()))),
  );
  const left = running.find((_, at) => ended[at] !== true);
  if (left !== undefined)
    throw new QuorateError(
      'pool-receiving',
      `process ${left.process.pid} receives a stream into ${left.dataset}, and cannot be ended`,
    );
  const count = running.length + known.count;
  return count === 0 ? null : `ended ${count} stream${count === 1 ? '' : 's'} into it`;
}

function receivesInto(pool: string): readonly Receiving[] {
  return allPids().flatMap((pid): readonly Receiving[] => {
    const startTime = startTimeOf(pid);
    const receiving = readReceive(commandOf(pid), pool);
    return startTime === null || receiving === null ? [] : [{ process: { pid, startTime }, ...receiving }];
  });
}

/** Null: it is no `zfs receive` into the pool. */
export function readReceive(
  words: readonly string[],
  pool: string,
): { readonly dataset: string; readonly isOurs: boolean } | null {
  const [program = '', verb = ''] = words;
  const [dataset = ''] = (words.at(-1) ?? '').split('@');
  if (basename(program) !== 'zfs' || !['receive', 'recv'].includes(verb)) return null;
  if (dataset !== pool && !dataset.startsWith(`${pool}/`)) return null;
  return { dataset, isOurs: SHUT_PROPERTIES.every((property) => words.includes(property)) };
}

function commandOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    // It has ended.
    return [];
  }
}
