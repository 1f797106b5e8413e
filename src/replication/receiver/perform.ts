/**
 * The orders that change what is here, apart from receiving. Every snapshot is found again by its GUID before anything is
 * done to its name; what is done already counts as done, because a sender repeats an order whose answer was lost.
 *
 * 1. Destroyed is only what the replication has taken, by its name, is not held, is not the newest of its dataset, and bears the
 *    GUID that the sender said. A sender that is out of its mind destroys nobody's own snapshot.
 * 2. All of an order is looked at before any of it is done.
 */
import { assertNever } from '../../core/index.ts';
import { QuorateError } from '../../errors.ts';
import type { NamedSnapshot, ReceiverOrder } from '../channel.ts';
import { readOwnName } from '../engine/index.ts';
import { batchesOf, HOLD_TAG, HOLDS } from '../holds.ts';
import { saysOnly } from '../says-only.ts';
import type { SnapshotNow, Zfs } from './zfs.ts';

/** Those of a change of roles are performed in `roles.ts`. */
export type DatasetOrder = Exclude<ReceiverOrder, { readonly kind: 'set-aside' | 'complete' }>;

export const refused = (why: string): QuorateError => new QuorateError('replication-refused', why);

export async function perform(order: DatasetOrder, zfs: Zfs, signal: AbortSignal): Promise<void> {
  switch (order.kind) {
    case 'rename':
      return rename(order.from, order.to, zfs, signal);
    case 'abandon':
      return abandon(order.dataset, zfs, signal);
    case 'hold':
      return hold(order.keep, order.letGo, zfs, signal);
    case 'prune':
      return prune(order.snapshots, zfs, signal);
    default:
      return assertNever(order);
  }
}

async function rename(from: string, to: string, zfs: Zfs, signal: AbortSignal): Promise<void> {
  if (from.split('/')[0] !== to.split('/')[0]) throw refused(`${from} and ${to} are in different pools`);
  if (`${to}/`.startsWith(`${from}/`)) throw refused(`${to} would lie in itself`);
  const kind = await zfs.kindOf(from, signal);
  if (kind === null) throw refused(`${from} is not here`);
  if ((await zfs.kindOf(to, signal)) !== null) throw refused(`${to} is here already`);
  // -u: nothing here is mounted, and a rename must not mount it; volumes do not know the option.
  await zfs.change(['rename', ...(kind === 'filesystem' ? ['-u'] : []), from, to], signal);
}

async function abandon(dataset: string, zfs: Zfs, signal: AbortSignal): Promise<void> {
  if ((await zfs.resumeTokenOf(dataset, signal)) === null) return;
  await zfs.change(['receive', '-A', dataset], signal);
}

async function hold(
  keep: NamedSnapshot,
  letGo: readonly NamedSnapshot[],
  zfs: Zfs,
  signal: AbortSignal,
): Promise<void> {
  return settle(keep, letGo, await Here.of([keep, ...letGo], zfs, signal), zfs, signal);
}

/** `hold`, where what is here has been read: after a stream. */
export async function settle(
  keep: NamedSnapshot,
  letGo: readonly NamedSnapshot[],
  here: Here,
  zfs: Zfs,
  signal: AbortSignal,
): Promise<void> {
  const kept = here.find(keep);
  if (kept === null) throw refused(`${text(keep)} with the GUID ${keep.guid} is not here`);
  if (letGo.some(({ guid }) => guid === keep.guid))
    throw refused(`${text(keep)} is to be kept and let go at once`);
  const go = letGo.flatMap((one) => {
    const found = here.find(one);
    return found !== null && found.holds > 0 ? [`${one.dataset}@${found.name}`] : [];
  });
  await zfs.change(
    ['hold', HOLD_TAG, `${keep.dataset}@${kept.name}`],
    signal,
    saysOnly(/tag already exists/),
  );
  // Only now: there is always one that is held.
  await release(go, zfs, signal);
}

/** A hold too many costs space, and goes with the next order: what has arrived, and is held, does not fail by it. */
async function release(names: readonly string[], zfs: Zfs, signal: AbortSignal): Promise<void> {
  const until = zfs.now() + HOLDS.allMs;
  for (const batch of batchesOf(names, HOLDS.atOnce)) {
    if (zfs.now() > until) return;
    try {
      await zfs.change(['release', HOLD_TAG, ...batch], signal, saysOnly(/no such tag|does not exist/));
    } catch (error) {
      const code = error instanceof QuorateError ? error.code : null;
      if (code === 'command-timed-out') return;
      if (code !== 'command-failed') throw error;
    }
  }
}

async function prune(snapshots: readonly NamedSnapshot[], zfs: Zfs, signal: AbortSignal): Promise<void> {
  const here = await Here.of(snapshots, zfs, signal);
  const names = new Map<string, string[]>();
  for (const one of snapshots) {
    const found = here.find(one);
    if (found === null) continue;
    if (found.holds > 0) throw refused(`${text(one)} is held (${found.holds})`);
    if (here.all(one.dataset).every(({ createtxg }) => createtxg <= found.createtxg))
      throw refused(`${text(one)} is the newest of ${one.dataset}`);
    if (readOwnName(found.name) === null) throw refused(`${text(one)} was not taken by the replication`);
    names.set(one.dataset, [...(names.get(one.dataset) ?? []), found.name]);
  }
  for (const [dataset, some] of names) await destroy(dataset, some, zfs, signal);
}

/**
 * Without -d, -r and -R: what is held, or has a clone, ZFS does not destroy, and for one of them none of a command's. A tail that is kept
 * is such a clone: then each for itself.
 */
async function destroy(
  dataset: string,
  names: readonly string[],
  zfs: Zfs,
  signal: AbortSignal,
): Promise<void> {
  const unlessCloned = (some: readonly string[]): Promise<boolean> =>
    zfs.change(['destroy', `${dataset}@${some.join(',')}`], signal, (stderr) =>
      /dependent clones/.test(stderr),
    );
  if ((await unlessCloned(names)) || names.length === 1) return;
  for (const name of names) await unlessCloned([name]);
}

/** What is here of the datasets of an order, read once. */
export class Here {
  readonly #read: ReadonlyMap<string, readonly SnapshotNow[]>;

  constructor(read: ReadonlyMap<string, readonly SnapshotNow[]>) {
    this.#read = read;
  }

  static async of(named: readonly NamedSnapshot[], zfs: Zfs, signal: AbortSignal): Promise<Here> {
    const datasets = [...new Set(named.map(({ dataset }) => dataset))];
    return new Here(await zfs.snapshotsOfEach(datasets, signal));
  }

  all(dataset: string): readonly SnapshotNow[] {
    return this.#read.get(dataset) ?? [];
  }

  /** By its GUID, under the name that the sender knows: another name means that somebody is renaming, and that it must look again. */
  find({ dataset, name, guid }: NamedSnapshot): SnapshotNow | null {
    const all = this.all(dataset);
    const found = all.find((one) => one.guid === guid) ?? null;
    if (found !== null && found.name !== name)
      throw refused(`${dataset}@${name} is called @${found.name} here`);
    if (found === null && all.some((one) => one.name === name))
      throw refused(`${dataset}@${name} is another snapshot here: its GUID is not ${guid}`);
    return found;
  }
}

const text = ({ dataset, name }: NamedSnapshot): string => `${dataset}@${name}`;
