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
import type { SnapshotNow, Zfs } from './zfs.ts';

/** Those of a change of roles are performed in `roles.ts`. */
export type DatasetOrder = Exclude<ReceiverOrder, { readonly kind: 'set-aside' | 'complete' }>;

/** The user reference on the newest common snapshot: the sender holds its own by the same one, and roles change. */
export const HOLD_TAG = 'quorate';

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
  const here = new Here(zfs, signal);
  const kept = await here.find(keep);
  if (kept === null) throw refused(`${text(keep)} with the GUID ${keep.guid} is not here`);
  if (letGo.some(({ guid }) => guid === keep.guid))
    throw refused(`${text(keep)} is to be kept and let go at once`);
  const go: string[] = [];
  for (const one of letGo) {
    const found = await here.find(one);
    if (found !== null && found.holds > 0) go.push(`${one.dataset}@${found.name}`);
  }
  await unless(/tag already exists/, () =>
    zfs.change(['hold', HOLD_TAG, `${keep.dataset}@${kept.name}`], signal),
  );
  // Only now: there is always one that is held.
  for (const name of go) await unless(/no such tag/, () => zfs.change(['release', HOLD_TAG, name], signal));
}

async function prune(snapshots: readonly NamedSnapshot[], zfs: Zfs, signal: AbortSignal): Promise<void> {
  const here = new Here(zfs, signal);
  const names = new Map<string, string[]>();
  for (const one of snapshots) {
    const found = await here.find(one);
    if (found === null) continue;
    if (found.holds > 0) throw refused(`${text(one)} is held (${found.holds})`);
    const all = await here.of(one.dataset);
    if (all.every(({ createtxg }) => createtxg <= found.createtxg))
      throw refused(`${text(one)} is the newest of ${one.dataset}`);
    if (readOwnName(found.name) === null) throw refused(`${text(one)} was not taken by the replication`);
    names.set(one.dataset, [...(names.get(one.dataset) ?? []), found.name]);
  }
  // Without -d, -r and -R: what is held, or has a clone, ZFS does not destroy. A tail that is kept is such a clone.
  for (const [dataset, some] of names) {
    for (const name of some)
      await unless(/dependent clones/, () => zfs.change(['destroy', `${dataset}@${name}`], signal));
  }
}

/** What is here, read once for each dataset of an order. */
class Here {
  readonly #zfs: Zfs;
  readonly #signal: AbortSignal;
  readonly #read = new Map<string, Promise<readonly SnapshotNow[] | null>>();

  constructor(zfs: Zfs, signal: AbortSignal) {
    this.#zfs = zfs;
    this.#signal = signal;
  }

  async of(dataset: string): Promise<readonly SnapshotNow[]> {
    const reading = this.#read.get(dataset) ?? this.#zfs.snapshotsOf(dataset, this.#signal);
    this.#read.set(dataset, reading);
    return (await reading) ?? [];
  }

  /** By its GUID, under the name that the sender knows: another name means that somebody is renaming, and that it must look again. */
  async find({ dataset, name, guid }: NamedSnapshot): Promise<SnapshotNow | null> {
    const all = await this.of(dataset);
    const found = all.find((one) => one.guid === guid) ?? null;
    if (found !== null && found.name !== name)
      throw refused(`${dataset}@${name} is called @${found.name} here`);
    if (found === null && all.some((one) => one.name === name))
      throw refused(`${dataset}@${name} is another snapshot here: its GUID is not ${guid}`);
    return found;
  }
}

async function unless(done: RegExp, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof QuorateError) || !done.test(error.message)) throw error;
  }
}

const text = ({ dataset, name }: NamedSnapshot): string => `${dataset}@${name}`;
