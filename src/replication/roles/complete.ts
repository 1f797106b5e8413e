/**
 * What a copy says of itself, in the pool: how far everything of a holder has arrived (`quorate:complete`), and in which tenure this
 * node itself may have written (`quorate:written`). A takeover is decided by it, so it is written only after looking.
 */
import type { Clock } from '../../clock.ts';
import { instant } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import {
  type CommandRunner,
  commandError,
  exitError,
  type KernelFiles,
  readPoolState,
  usability,
  WRITTEN,
} from '../../resources/index.ts';
import type { CompleteCopy, CopyWords } from '../../state/index.ts';
import type { NamedSnapshot } from '../channel.ts';

export const COMPLETE = 'quorate:complete';
/** GUID:DATASET of one of its snapshots: a name alone can be given twice. For the audit; nothing is decided by it. */
export const COMPLETE_OF = 'quorate:complete-of';

const LIMITS = { commandMs: 10_000, outputBytes: 4 * 1024 * 1024, namesAtOnce: 100 } as const;

export interface CompleteParts {
  readonly commands: Pick<CommandRunner, 'run'>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface CompleteOrder {
  readonly epoch: number;
  /** Of every dataset that is replicated: what was taken at one moment, by one name. */
  readonly snapshots: readonly NamedSnapshot[];
  /** Taken after the holder had shut the pool for a planned release. */
  readonly isFinal: boolean;
}

/**
 * On the receiver, by the holder's order after a whole round. Everything is looked for here by name and GUID; the oldest of their
 * times counts. Rejects `replication-conflict` where one is missing: then the word stays as it was.
 */
export async function markComplete(pool: string, order: CompleteOrder, parts: CompleteParts): Promise<void> {
  const [first] = order.snapshots;
  if (first === undefined)
    throw new QuorateError('replication-conflict', `${pool}: nothing was said to have arrived`);
  const takenAt = await findAll(order.snapshots, parts);
  const text = `1:${order.epoch}:${takenAt}:${order.isFinal ? 'final' : 'running'}:${first.name}`;
  // What this node wrote before is in common now, or set aside: the next tail here is nobody's tenure.
  await must(['zfs', 'inherit', WRITTEN, pool], parts);
  const of = `${COMPLETE_OF}=${first.guid}:${first.dataset}`;
  await must(['zfs', 'set', `${COMPLETE}=${text}`, of, pool], parts);
}

/** The oldest of their times, in seconds. Rejects `replication-conflict` where one is not here. */
export async function findAll(snapshots: readonly NamedSnapshot[], parts: CompleteParts): Promise<number> {
  let takenAt = Number.POSITIVE_INFINITY;
  for (let at = 0; at < snapshots.length; at += LIMITS.namesAtOnce) {
    const wanted = snapshots.slice(at, at + LIMITS.namesAtOnce);
    const names = wanted.map(({ dataset, name }) => `${dataset}@${name}`);
    const listed = await must(
      ['zfs', 'list', '-H', '-p', '-t', 'snapshot', '-o', 'name,guid,creation', ...names],
      parts,
    );
    const found = new Map(
      listed.split('\n').map((line) => {
        const [name = '', guid = '', creation = ''] = line.split('\t');
        return [`${name} ${guid}`, creation] as const;
      }),
    );
    for (const { dataset, name, guid } of wanted) {
      const creation = found.get(`${dataset}@${name} ${guid}`);
      if (creation === undefined || !/^\d{1,12}$/.test(creation))
        throw new QuorateError('replication-conflict', `${dataset}@${name} (${guid}) has not arrived`);
      takenAt = Math.min(takenAt, Number(creation));
    }
  }
  return takenAt;
}

/** Never rejects: what cannot be read is unknown. */
export async function readCopyWords(
  pool: string,
  parts: CompleteParts & { readonly kernel: KernelFiles },
): Promise<CopyWords> {
  const unknown = (why: string): CopyWords => ({ kind: 'unknown', pool, why: why.slice(0, 500) });
  const state = readPoolState(pool, parts.kernel);
  if (state.kind !== 'imported') return unknown(`the pool ${state.why}`);
  // Of a pool that waits for a lost disk no command comes back.
  if (usability(state.word) !== 'usable') return unknown(`the pool is ${state.word}`);
  try {
    const properties = `${COMPLETE},${WRITTEN},${COMPLETE_OF}`;
    const text = await must(['zfs', 'get', '-H', '-p', '-o', 'property,value', properties, pool], parts);
    return parseCopyWords(pool, text) ?? unknown('what it says of itself is not understood');
  } catch (error) {
    if (error instanceof QuorateError) return unknown(error.message);
    throw error;
  }
}

/** Null where it is not understood. */
export function parseCopyWords(pool: string, text: string): CopyWords | null {
  const lines = text.split('\n').map((line) => line.split('\t') as [string, string]);
  const values = new Map(lines);
  // A line break in a value can look like another property.
  if (values.size !== lines.length) return null;
  const [complete, written] = [values.get(COMPLETE), values.get(WRITTEN)];
  if (complete === undefined || written === undefined) return null;
  const [, epoch, seconds, end, snapshot = ''] =
    /^1:(\d{1,15}):(\d{1,12}):(final|running):(.+)$/.exec(complete) ?? [];
  if ((complete !== '-' && snapshot === '') || !/^(-|\d{1,15})$/.test(written)) return null;
  return {
    kind: 'read',
    pool,
    written: written === '-' ? null : Number(written),
    complete:
      complete === '-'
        ? null
        : {
            epoch: Number(epoch),
            snapshot,
            takenAtMs: Number(seconds) * 1000,
            isFinal: end === 'final',
            of: parseOf(pool, values.get(COMPLETE_OF) ?? '-'),
          },
  };
}

function parseOf(pool: string, text: string): CompleteCopy['of'] {
  const [, guid = '', dataset = ''] = /^([1-9]\d{0,19}):(.{1,255})$/.exec(text) ?? [];
  return dataset.startsWith(`${pool}/`) ? { guid, dataset } : null;
}

async function must(command: readonly string[], { commands, clock, signal }: CompleteParts): Promise<string> {
  const deadline = instant(clock.now() + LIMITS.commandMs);
  const options = { deadline, signal, environment: { LC_ALL: 'C' }, maxOutputBytes: LIMITS.outputBytes };
  const result = await commands.run(command, options);
  if (result.kind !== 'exited') throw commandError(command, result);
  if (result.code !== 0) throw exitError(command, result.code, result.stderr);
  return result.stdout;
}
