/**
 * What a copy says of itself, in the pool: how far everything of a holder has arrived (`quorate:complete`), and in which tenure this
 * node itself may have written (`quorate:written`). A takeover is decided by it, so it is written only after looking.
 */
import type { Clock } from '../../clock.ts';
import { instant } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import {
  COMPLETE,
  type CommandResult,
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
import { leaveOut, type PartOfAWord, takeUp } from './left-out.ts';

/** GUID:DATASET of one of its snapshots: a name alone can be given twice. For the audit; nothing is decided by it. */
export const COMPLETE_OF = 'quorate:complete-of';

const LIMITS = { commandMs: 10_000, outputBytes: 4 * 1024 * 1024, namesAtOnce: 100 } as const;

export interface CompleteParts {
  readonly commands: Pick<CommandRunner, 'run'>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** `snapshots`: of every dataset that is replicated, what was taken at one moment, by one name; `leftOut`: what else there is here. */
export interface CompleteOrder extends PartOfAWord {
  readonly epoch: number;
  /** Taken after the holder had shut the pool for a planned release. */
  readonly isFinal: boolean;
}

/**
 * On the receiver, by the holder's order after a whole round. Everything is looked for here by name and GUID; the oldest of their
 * times counts. Rejects `replication-conflict` where one is missing: then the word stays as it was.
 *
 * Of one tenure the word never goes back: a sender that was started anew goes by what it has read, which may be older than the last order
 * of the one before. The last one of a planned release is never older.
 */
export async function markComplete(pool: string, order: CompleteOrder, parts: CompleteParts): Promise<void> {
  const [first] = order.snapshots;
  if (first === undefined)
    throw new QuorateError('replication-conflict', `${pool}: nothing was said to have arrived`);
  const takenAt = await findAll(order.snapshots, parts);
  const again = await leaveOut(order, parts);
  if (!order.isFinal && (await isBehind(pool, order.epoch, first.name, parts))) return;
  await takeUp(again, parts);
  const text = `1:${order.epoch}:${takenAt}:${order.isFinal ? 'final' : 'running'}:${first.name}`;
  // What this node wrote before is in common now, or set aside: the next tail here is nobody's tenure.
  await must(['zfs', 'inherit', WRITTEN, pool], parts);
  const of = `${COMPLETE_OF}=${first.guid}:${first.dataset}`;
  await must(['zfs', 'set', `${COMPLETE}=${text}`, of, pool], parts);
}

/** As `markComplete`, of an order of which more follows: nothing is written down yet. */
export async function markPart(pool: string, order: CompleteOrder, parts: CompleteParts): Promise<void> {
  await findAll(order.snapshots, parts);
  const again = await leaveOut(order, parts);
  const name = order.snapshots[0]?.name ?? '';
  if (again.length === 0 || (!order.isFinal && (await isBehind(pool, order.epoch, name, parts)))) return;
  await takeUp(again, parts);
}

/** By how this pool orders them; false where what the word is about is not here any more. */
async function isBehind(pool: string, epoch: number, name: string, parts: CompleteParts): Promise<boolean> {
  const words = parseCopyWords(pool, await must(copyWordsCommand(pool), parts));
  const now = words?.kind === 'read' ? words.complete : null;
  if (now === null || now.epoch !== epoch || !now.of || now.snapshot === name) return false;
  const { guid, dataset } = now.of;
  const names = [`${dataset}@${now.snapshot}`, `${dataset}@${name}`];
  const command = ['zfs', 'list', '-H', '-p', '-t', 'snapshot', '-o', 'name,guid,createtxg', ...names];
  const result = await run(command, parts);
  if (result.kind !== 'exited') throw commandError(command, result);
  const rows = result.stdout.split('\n').map((line) => line.split('\t'));
  const [written, ordered] = names.map((of) => rows.find(([found]) => found === of));
  const isSame = result.code === 0 && written?.[1] === guid;
  return isSame && Number(written?.[2]) > Number(ordered?.[2]);
}

/** The oldest of their times, in seconds. Rejects `replication-conflict` where one is not here. */
async function findAll(snapshots: readonly NamedSnapshot[], parts: CompleteParts): Promise<number> {
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
    return (
      parseCopyWords(pool, await must(copyWordsCommand(pool), parts)) ??
      unknown('what it says of itself is not understood')
    );
  } catch (error) {
    if (error instanceof QuorateError) return unknown(error.message);
    throw error;
  }
}

const WORDS = [COMPLETE, WRITTEN, COMPLETE_OF];

export const copyWordsCommand = (pool: string): readonly string[] => [
  ...['zfs', 'get', '-H', '-p', '-o', 'property,value,source', WORDS.join(',')],
  pool,
];

/** Null where it is not understood. Only what was set here: what has come with a stream is the word of another node about itself. */
export function parseCopyWords(pool: string, text: string): CopyWords | null {
  if (!text.endsWith('\n')) return null;
  const lines = text
    .slice(0, -1)
    .split('\n')
    .map((line) => line.split('\t'));
  // A line break in a value can look like another property.
  if (lines.length !== WORDS.length || lines.some((line) => line.length !== 3)) return null;
  const values = new Map(
    lines.map(([property = '', value = '', source]) => [property, source === 'local' ? value : '-']),
  );
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

async function must(command: readonly string[], parts: CompleteParts): Promise<string> {
  const result = await run(command, parts);
  if (result.kind !== 'exited') throw commandError(command, result);
  if (result.code !== 0) throw exitError(command, result.code, result.stderr);
  return result.stdout;
}

function run(command: readonly string[], { commands, clock, signal }: CompleteParts): Promise<CommandResult> {
  const deadline = instant(clock.now() + LIMITS.commandMs);
  const options = { deadline, signal, environment: { LC_ALL: 'C' }, maxOutputBytes: LIMITS.outputBytes };
  return commands.run(command, options);
}
