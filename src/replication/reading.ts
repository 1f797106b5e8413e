/**
 * Reads pools, and carries what was read to another node: as the commands printed it, so that both sides are taken apart
 * by the same parser, where the plan is made. Nothing is changed by any of it.
 */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { instant } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import {
  type CommandRunner,
  commandError,
  exitError,
  type KernelFiles,
  readPoolState,
  usability,
} from '../resources/index.ts';
import { COMMANDS, ListTextError, leftOutCommand, type PoolTexts, parsePool } from './list-text.ts';
import type { PoolSide } from './pool.ts';

/**
 * Milliseconds for one pool, all its commands: with some ten thousand snapshots, or on a slow host, they take longer than ten seconds. All
 * pools are read at once.
 */
export const READ_LIMIT_MS = 60_000;
const LIMITS = {
  /** Of one command: some 40,000 snapshots. */
  outputBytes: 4 * 1024 * 1024,
  /** Of all pools, packed: some 25,000 snapshots. More is not carried, and said to be unknown. */
  packedBytes: 768 * 1024,
  /** Likewise unpacked: no small answer may become a large one. */
  unpackedBytes: 32 * 1024 * 1024,
  pools: 16,
} as const;

const why = z.string().max(1000);
const poolName = z.string().max(128);
const output = z.string().max(LIMITS.outputBytes);

const readingSchema = z.strictObject({
  version: z.literal(1),
  pools: z
    .array(
      z.discriminatedUnion('kind', [
        z.strictObject({
          kind: z.literal('read'),
          name: poolName,
          texts: z.strictObject({
            ...{ pool: output, status: output, datasets: output, points: output },
            leftOut: output.optional(),
          }),
        }),
        z.strictObject({ kind: z.literal('absent'), name: poolName, why }),
        z.strictObject({ kind: z.literal('unknown'), name: poolName, why }),
      ]),
    )
    .max(LIMITS.pools),
});

export type PoolsReading = z.output<typeof readingSchema>;
type PoolReading = PoolsReading['pools'][number];

export interface ReadingParts {
  readonly commands: Pick<CommandRunner, 'run'>;
  readonly kernel: KernelFiles;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Of a moment ago: what a snapshot does not change is taken from it, and not asked for again. */
  readonly known?: PoolsReading;
  /** Of the own pools, which this node may send: also what is left out of its takeover. Not for another node's version of before. */
  readonly withLeftOut?: boolean;
}

/** Never rejects for what the system says: what cannot be read is unknown. */
export async function readPools(names: readonly string[], parts: ReadingParts): Promise<PoolsReading> {
  return { version: 1, pools: await Promise.all(names.map((name) => readPool(name, parts))) };
}

async function readPool(name: string, parts: ReadingParts): Promise<PoolReading> {
  const unknown = (why: string): PoolReading => ({ kind: 'unknown', name, why: why.slice(0, 1000) });
  const state = readPoolState(name, parts.kernel);
  if (state.kind === 'unknown') return unknown(state.why);
  if (state.kind === 'absent') return { kind: 'absent', name, why: `the pool ${state.why}` };
  // Of a pool that waits for a lost disk no command comes back.
  if (usability(state.word) !== 'usable') return unknown(`the pool is ${state.word} there`);
  const deadline = instant(parts.clock.now() + READ_LIMIT_MS);
  const said = async (command: readonly string[]): Promise<string> => {
    const { signal } = parts;
    const options = { deadline, signal, environment: { LC_ALL: 'C' }, maxOutputBytes: LIMITS.outputBytes };
    const result = await parts.commands.run(command, options);
    if (result.kind !== 'exited') throw commandError(command, result);
    if (result.code !== 0) throw exitError(command, result.code, result.stderr);
    return result.stdout;
  };
  const before = parts.known?.pools.find((pool) => pool.name === name);
  const known = before?.kind === 'read' ? before.texts : null;
  try {
    const texts: PoolTexts = {
      pool: known?.pool ?? (await said(COMMANDS.pool(name))),
      status: known?.status ?? (await said(COMMANDS.status(name))),
      datasets: await said(COMMANDS.datasets(name)),
      points: await said(COMMANDS.points(name)),
    };
    const isAsked = parts.withLeftOut === true && known === null;
    const leftOut = isAsked ? await said(leftOutCommand(name)) : (known?.leftOut ?? '');
    return { kind: 'read', name, texts: leftOut === '' ? texts : { ...texts, leftOut } };
  } catch (error) {
    if (error instanceof QuorateError) return unknown(error.message);
    throw error;
  }
}

/** What it says of one pool. A node whose config does not name the pool has not looked. */
export function sideOf(reading: PoolsReading, name: string): PoolSide {
  const found = reading.pools.find((pool) => pool.name === name);
  if (found === undefined)
    return { kind: 'unknown', why: 'its own config does not have it under replication.pools' };
  if (found.kind !== 'read') return { kind: found.kind, why: printable(found.why) };
  try {
    return { kind: 'read', pool: parsePool(name, found.texts) };
  } catch (error) {
    if (error instanceof ListTextError) return { kind: 'unknown', why: error.message };
    throw error;
  }
}

/** As base64, for the way through executor, agent and peer. */
export async function packReading(reading: PoolsReading): Promise<string> {
  const packed = await promisify(gzip)(JSON.stringify(reading));
  if (packed.length <= LIMITS.packedBytes) return packed.toString('base64');
  const kib = (bytes: number): number => Math.ceil(bytes / 1024);
  const why = `what its pools hold takes ${kib(packed.length)} KiB packed, more than the ${kib(LIMITS.packedBytes)} KiB that one answer may have`;
  const pools = reading.pools.map(({ name }) => ({ kind: 'unknown', name, why }) as const);
  return packReading({ version: 1, pools });
}

/** Null where it is not understood. */
export async function unpackReading(text: string): Promise<PoolsReading | null> {
  try {
    const json = await promisify(gunzip)(Buffer.from(text, 'base64'), {
      maxOutputLength: LIMITS.unpackedBytes,
    });
    const result = readingSchema.safeParse(JSON.parse(json.toString('utf8')));
    return result.success ? result.data : null;
  } catch {
    // Not gzip, too large, or not JSON.
    return null;
  }
}

/** Another node's words, for a terminal. */
const printable = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, '?');
