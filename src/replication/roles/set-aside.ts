/**
 * Performs what `aside.ts` plans, on the node whose copy has the tail. It must not hold: nothing of the pool may be written to
 * meanwhile. What is left to do is read from the pool, again and again, so that it goes on wherever an earlier one ended.
 */
import type { Clock } from '../../clock.ts';
import { assertNever, instant } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import { type CommandRunner, commandError, exitError, WRITTEN } from '../../resources/index.ts';
import type { Tail } from '../channel.ts';
import { batchesOf, HOLDS, heldIn } from '../holds.ts';
import { type HasDevice, whyNotReplayed } from '../intent-log.ts';
import { ListTextError } from '../list-text.ts';
import type { Guid } from '../pool.ts';
import { saysOnly } from '../says-only.ts';
import { type AsideStep, nextAside, UNREPLAYED } from './aside.ts';
import {
  ASIDE_COMMANDS,
  ASIDE_MARK,
  type AsideDataset,
  type AsidePool,
  isPerhapsOpen,
  ownNames,
  ownValues,
  parseAside,
  withoutQuotas,
} from './aside-reading.ts';

const LIMITS = {
  commandMs: 30_000,
  outputBytes: 4 * 1024 * 1024,
  /** All snapshots of a pool: some 150,000 of them, and on a slow host each ten thousand take seconds. */
  reading: { commandMs: 60_000, outputBytes: 16 * 1024 * 1024 },
  /** Of one dataset; what needs more is going round in circles. */
  stepsPerDataset: 12,
} as const;

type CommandLimits = Readonly<Record<'commandMs' | 'outputBytes', number>>;

/** Of the holds that keep a tail; the operator's `drop` lets go of them. */
export const ASIDE_TAG = 'quorate-diverged';

export interface AsideParts {
  readonly commands: Pick<CommandRunner, 'run'>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Asked before every command that changes something: whether this node still only receives. A rejection says why not. */
  readonly mayChange: () => boolean | Promise<boolean>;
}

export interface SetAside {
  /** What was done, as the commands; none where nothing was to do. */
  readonly commands: readonly string[];
}

export interface AsideOrder {
  readonly pool: string;
  /** Of the tenure that sends now. */
  readonly epoch: number;
  readonly tails: readonly Tail[];
}

/** By the sender's order. Rejects `replication-conflict` where it cannot go on, with the remedy in its sentence. */
export async function setAside(
  order: AsideOrder,
  parts: AsideParts & { readonly hasDevice: HasDevice },
): Promise<SetAside> {
  const command = (words: readonly string[]): Promise<void> => changeAside(words, parts);
  const logs = { hasDevice: parts.hasDevice, command };
  await mustBeOwn(order, parts);
  return perform(order, parts, (dataset) => whyNotReplayed(dataset, logs, parts.signal));
}

/** What a crash has left undone. Rejects as `setAside` does. */
export const finishAside = (pool: string, parts: AsideParts): Promise<SetAside> =>
  // No snapshot is taken without a tail.
  perform({ pool, epoch: 0, tails: [] }, parts, async () => null);

async function perform(
  { pool, epoch, tails }: AsideOrder,
  parts: AsideParts,
  replay: (dataset: AsideDataset) => Promise<string | null>,
): Promise<SetAside> {
  const done: string[] = [];
  let unreplayed: ReadonlySet<Guid> | null = null;
  let limit = Number.POSITIVE_INFINITY;
  for (;;) {
    let read = await readAside(pool, parts);
    if (unreplayed === null) {
      const perhaps = perhapsLogged(read, tails);
      unreplayed = await notReplayed(perhaps, replay);
      if (perhaps.length > 0) read = await readAside(pool, parts);
    }
    read = withoutWritten(read, unreplayed);
    if (limit === Number.POSITIVE_INFINITY) limit = (read.size + tails.length) * LIMITS.stepsPerDataset;
    const next = nextAside(pool, read, epoch, tails);
    if (next.kind === 'done') return { commands: done };
    if (next.kind === 'stuck') throw new QuorateError('replication-conflict', next.why);
    for (const step of next.steps) {
      if (done.length >= limit)
        throw new QuorateError('replication-conflict', `${pool}: setting aside did not come to an end`);
      for (const command of await commandsOf(await afterReplay(step), parts))
        done.push((await changedOrLess(command, parts)).join(' '));
    }
  }

  /**
   * The snapshot is to have what was written last. Where its log cannot be replayed, as without the key, that stays in the log of what is
   * kept, whose next mount replays it: nothing is lost by going on, and the name of the snapshot says it.
   */
  async function afterReplay(step: AsideStep): Promise<AsideStep> {
    if (step.kind !== 'snapshot' || (await replay(step.of)) === null) return step;
    return { ...step, name: `${step.name}${UNREPLAYED}` };
  }
}

/** Of what ZFS counts nothing as written since the common snapshot, and something may be in its log all the same: a snapshot lacks that. */
const perhapsLogged = (pool: AsidePool, tails: readonly Tail[]): readonly AsideDataset[] =>
  tails.flatMap(({ dataset, common }) => {
    const found = pool.get(dataset);
    const isAll = found?.written === 0 && found.snapshots.at(-1)?.guid === common;
    return isAll && found.mark === null && !found.isKept ? [found] : [];
  });

async function notReplayed(
  all: readonly AsideDataset[],
  replay: (dataset: AsideDataset) => Promise<string | null>,
): Promise<ReadonlySet<Guid>> {
  const left = new Set<Guid>();
  for (const one of all) if ((await replay(one)) !== null) left.add(one.guid);
  return left;
}

/** Of these nobody knows. */
const withoutWritten = (pool: AsidePool, unreplayed: ReadonlySet<Guid>): AsidePool =>
  new Map([...pool].map(([name, one]) => [name, unreplayed.has(one.guid) ? { ...one, written: null } : one]));

/** Whether a crash has left something undone: until it is done, names are missing. Rejects where the pool cannot be read. */
export async function isAsideOpen(pool: string, parts: Omit<AsideParts, 'mayChange'>): Promise<boolean> {
  // Nearly always not, which the marks tell; all the snapshots of a large pool cost many times as much.
  if (!isPerhapsOpen(pool, await said(ASIDE_COMMANDS.open(pool), parts))) return false;
  return nextAside(pool, await readAside(pool, parts), 0, []).kind !== 'done';
}

/**
 * By a takeover, before anything is opened: a set-aside that was under way when the holder died must not leave names without
 * their datasets. Where nothing was renamed yet, it is called off, and the tail is what goes on. Returns what was done.
 */
export async function endAside(pool: string, parts: AsideParts): Promise<SetAside> {
  // As in `isAsideOpen`; and a takeover that has nothing to end does not fail because the pool has more snapshots than can be read.
  if (!isPerhapsOpen(pool, await said(ASIDE_COMMANDS.open(pool), parts))) return { commands: [] };
  const read = await readAside(pool, parts);
  const open = [...read.values()].filter(({ mark, isDone }) => mark !== null && !isDone);
  // What lay below is brought back last, and has no mark of its own.
  const isToBringBack = open.length === 0 && nextAside(pool, read, 0, []).kind === 'steps';
  if (open.some(({ isKept }) => isKept) || isToBringBack) return finishAside(pool, parts);
  if (open.length === 0) return { commands: [] };
  const command = ['zfs', 'inherit', ASIDE_MARK];
  for (const { name } of open) await changeAside([...command, name], parts);
  return { commands: open.map(({ name }) => [...command, name].join(' ')) };
}

/** A snapshot that a person, or a timer, has taken of a copy comes again and again, and is theirs to keep or to destroy. */
async function mustBeOwn({ pool, tails }: AsideOrder, parts: AsideParts): Promise<void> {
  const written = await said(['zfs', 'get', '-H', '-p', '-o', 'value,source', WRITTEN, pool], parts);
  if (/^\d+\tlocal$/.test(written.trim())) return;
  const names = tails.map(({ dataset }) => dataset).join(', ');
  throw new QuorateError(
    'replication-conflict',
    `${names}: what is only here was not written by a tenure of this node since everything was last in common`,
  );
}

/** Also for the list that operators see. Rejects where the pool cannot be read. */
export async function readAside(pool: string, parts: Omit<AsideParts, 'mayChange'>): Promise<AsidePool> {
  const datasets = await said(ASIDE_COMMANDS.datasets(pool), parts, LIMITS.reading);
  const snapshots = await said(ASIDE_COMMANDS.snapshots(pool), parts, LIMITS.reading);
  const marks = await said(ASIDE_COMMANDS.marks(pool), parts, LIMITS.reading);
  try {
    return parseAside(pool, { datasets, snapshots, marks });
  } catch (error) {
    if (error instanceof ListTextError) throw new QuorateError('command-failed', error.message);
    throw error;
  }
}

async function commandsOf(step: AsideStep, parts: AsideParts): Promise<readonly (readonly string[])[]> {
  switch (step.kind) {
    case 'abandon':
      return [['zfs', 'receive', '-A', step.dataset]];
    case 'snapshot':
      return [['zfs', 'snapshot', `${step.of.name}@${step.name}`]];
    case 'keep': {
      const held = new Set<string>();
      for (const some of batchesOf(step.snapshots, HOLDS.asked))
        for (const name of heldIn(await said(['zfs', 'holds', '-H', ...some], parts), ASIDE_TAG))
          held.add(name);
      const lacking = step.snapshots.filter((name) => !held.has(name));
      const holds = [...batchesOf(lacking, HOLDS.atOnce)].map((some) => ['zfs', 'hold', ASIDE_TAG, ...some]);
      // The mark last: from then on nothing of this is asked for again.
      const again = step.isAgain ? ['quorate:readonly=on'] : [];
      return [...holds, ['zfs', 'set', ...again, `${ASIDE_MARK}=${step.mark}`, step.dataset]];
    }
    case 'forget':
      return [['zfs', 'inherit', ASIDE_MARK, step.dataset]];
    case 'create': {
      const unused = ['-o', 'canmount=off', '-o', 'mountpoint=none', '-o', 'readonly=on'];
      return [['zfs', 'create', ...unused, step.dataset]];
    }
    case 'rename':
      // Without -u ZFS mounts what has sharenfs or sharesmb, and canmount=on. Volumes do not know the option.
      return [['zfs', 'rename', ...(step.of === 'filesystem' ? ['-u'] : []), step.from, step.to]];
    case 'clone': {
      const own = (await ownProperties(step.of.name, parts)).flatMap((one) => ['-o', one]);
      // A clone that may be mounted is mounted at once, at the place of what it comes from.
      const unmounted = step.of.kind === 'filesystem' ? ['-o', 'canmount=noauto'] : [];
      return [['zfs', 'clone', ...own, ...unmounted, `${step.of.name}@${step.snapshot}`, step.to]];
    }
    case 'promote':
      return [['zfs', 'promote', step.dataset]];
    case 'finish': {
      const { kept, heir, word, mark } = step;
      const isFileSystem = kept.kind === 'filesystem';
      const mountable =
        heir === null || !isFileSystem ? [] : [['zfs', 'set', `canmount=${kept.canmount}`, heir]];
      const hidden = isFileSystem ? ['canmount=noauto'] : [];
      const said = [`quorate:readonly=${word}`, `${ASIDE_MARK}=${mark}`];
      return [...mountable, ['zfs', 'set', 'readonly=on', ...hidden, ...said, kept.name]];
    }
    default:
      return assertNever(step);
  }
}

/**
 * The common snapshot may refer to more than the refquota allows that the dataset has had since, and ZFS makes no clone with such a one
 * (ENOSPC, as where the pool is full). Its name would be missing for ever: so it is made without quotas. Returns what was done.
 */
async function changedOrLess(command: readonly string[], parts: AsideParts): Promise<readonly string[]> {
  const less = command[1] === 'clone' ? withoutQuotas(command) : command;
  try {
    await changeAside(command, parts);
    return command;
  } catch (error) {
    const isRefused = error instanceof QuorateError && error.code === 'command-failed';
    if (!isRefused || less.length === command.length) throw error;
  }
  await changeAside(less, parts);
  return less;
}

/**
 * The names first, which have no line breaks: a value may have some, and lines after them that look like another property, as a mount point
 * that a stream has brought in what is nobody's. Where the values cannot be told apart, each is asked for itself.
 */
async function ownProperties(dataset: string, parts: AsideParts): Promise<readonly string[]> {
  const get = (columns: string, ...words: readonly string[]): Promise<string> =>
    said(['zfs', 'get', '-H', '-p', '-o', columns, ...words, dataset], parts);
  const names = ownNames(await get('property', '-s', 'local,received', 'all'));
  if (names.length === 0) return [];
  const values = ownValues(await get('property,value', names.join(',')), names);
  if (values !== null) return names.map((name, at) => `${name}=${values[at]}`);
  const own: string[] = [];
  for (const name of names) own.push(`${name}=${(await get('value', name)).slice(0, -1)}`);
  return own;
}

export async function changeAside(command: readonly string[], parts: AsideParts): Promise<void> {
  if (!(await parts.mayChange()))
    throw new QuorateError('order-refused', `"${command.slice(0, 2).join(' ')}": this node may hold now`);
  const result = await run(command, parts);
  if (result.kind !== 'exited') throw commandError(command, result);
  if (result.code === 0) return;
  // It was held by an attempt that ended between the hold and the mark.
  if (command[1] === 'hold' && isHeldAlready(result.stderr)) return;
  throw exitError(command, result.code, result.stderr);
}

const isHeldAlready = saysOnly(/tag already exists/);

export async function said(
  command: readonly string[],
  parts: Omit<AsideParts, 'mayChange'>,
  limits: CommandLimits = LIMITS,
): Promise<string> {
  const result = await run(command, parts, limits);
  if (result.kind !== 'exited') throw commandError(command, result);
  if (result.code !== 0) throw exitError(command, result.code, result.stderr);
  return result.stdout;
}

function run(
  command: readonly string[],
  { commands, clock, signal }: Omit<AsideParts, 'mayChange'>,
  { commandMs, outputBytes }: CommandLimits = LIMITS,
) {
  const deadline = instant(clock.now() + commandMs);
  const environment = { LC_ALL: 'C' };
  return commands.run(command, { deadline, signal, environment, maxOutputBytes: outputBytes });
}
