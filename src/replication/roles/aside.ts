/**
 * Setting aside what only this node has: the next commands, from what the pool holds now. Pure.
 *
 *     tank/home @s1 @s2 @s3 (+ data)            @s2 is the newest that the holder has too
 *       snapshot, hold, mark                     @quorate-diverged-20: what is there now; the mark says what is left to do
 *       rename → tank/.diverged/20/home          with everything below it
 *       clone @s2 → tank/home                    the name is there again
 *       promote tank/home                        it has @s1 @s2; the tail is a clone of @s2, and stays what it was
 *       rename back what lay below it and has no tail of its own
 *
 * 1. No command destroys anything: ZFS could go back to @s2 under one name only by destroying @s3, so the names change instead.
 * 2. Every command leaves a pool from which the rest is known by its marks alone: after a crash anywhere it goes on.
 * 3. An encrypted dataset leaves its encryption root never: what inherits its key is set aside together with its root.
 * 4. What is to be done of datasets that do not lie in each other is said at once: a reading of a large pool costs more than a command.
 *    The outer one comes first.
 */
import { assertNever } from '../../core/index.ts';
import { KEPT } from '../../resources/index.ts';
import type { Tail } from '../channel.ts';
import { type Guid, isWithin, parentsOf } from '../pool.ts';
import { type AsideDataset, type AsideMark, type AsidePool, keptWord, markText } from './aside-reading.ts';

interface Wanted {
  readonly dataset: string;
  /** Null: it has no snapshot. */
  readonly common: Guid | null;
  /** It has the key of one with a tail, and is set aside for that. */
  readonly isRoot: boolean;
}

export type AsideStep =
  /** Part of a stream that can never go on behind a tail. */
  | { readonly kind: 'abandon'; readonly dataset: string }
  | { readonly kind: 'snapshot'; readonly of: AsideDataset; readonly name: string }
  | {
      readonly kind: 'keep';
      readonly dataset: string;
      readonly snapshots: readonly string[];
      readonly mark: string;
      /** It was kept once, and is a dataset of its own again: its old word would say that this one is done. */
      readonly isAgain: boolean;
    }
  /** The mark of what somebody has taken out of `.diverged`. */
  | { readonly kind: 'forget'; readonly dataset: string }
  | { readonly kind: 'create'; readonly dataset: string }
  | {
      readonly kind: 'rename';
      readonly of: AsideDataset['kind'];
      readonly from: string;
      readonly to: string;
    }
  /** With the own properties of what it is a clone of. */
  | {
      readonly kind: 'clone';
      readonly of: AsideDataset;
      readonly snapshot: string;
      readonly to: string;
    }
  /** `origin`: whose snapshots it takes over. */
  | { readonly kind: 'promote'; readonly dataset: string; readonly origin: string }
  /** Nobody mounts what is kept; who has its name now is mounted as that was. */
  | {
      readonly kind: 'finish';
      readonly kept: AsideDataset;
      readonly word: string;
      readonly mark: string;
      /** Null: there is nothing to mount. */
      readonly heir: string | null;
    };

export type AsideNext =
  /** One or more (4). */
  { readonly kind: 'steps'; readonly steps: readonly AsideStep[] } | Nothing;

type Nothing = { readonly kind: 'done' } | { readonly kind: 'stuck'; readonly why: string };

/** Of one dataset. */
type Next = { readonly kind: 'step'; readonly step: AsideStep } | Nothing;

/** At the end of the name of a snapshot that lacks what was in the intent log. */
export const UNREPLAYED = '-unreplayed';

/** A snapshot that a set-aside has taken; of an earlier order's epoch where a crash lay between. */
export const TAKEN = new RegExp(`^quorate-diverged-\\d+(\\.\\d+)?(${UNREPLAYED})?$`);

const MAX_PLACES = 100;
const DONE = { kind: 'done' } as const;

const step = (one: AsideStep): Next => ({ kind: 'step', step: one });
const stuck = (why: string): Nothing => ({ kind: 'stuck', why });

/** `epoch`: of the tenure that sends now. Without tails: what a crash has left undone. */
export function nextAside(
  poolName: string,
  pool: AsidePool,
  epoch: number,
  tails: readonly Tail[],
): AsideNext {
  // Not without an order: it is no reason to change anything.
  const out = tails.length > 0 ? [...pool.values()].filter(({ isTakenOut }) => isTakenOut) : [];
  const forgotten = together(out.map(({ name }) => step({ kind: 'forget', dataset: name })));
  if (forgotten.kind !== 'done') return forgotten;
  const marked = together(withRoots(poolName, pool, epoch, tails).map((tail) => mark(pool, epoch, tail)));
  if (marked.kind !== 'done') return marked;
  return together(inOrder(pool).map((dataset) => goOn(poolName, pool, dataset)));
}

/** (4) In this order; what cannot be done hinders only once nothing else is left to do. */
function together(all: readonly Next[]): AsideNext {
  const steps: AsideStep[] = [];
  const touched: string[] = [];
  for (const next of all) {
    if (next.kind !== 'step') continue;
    const names = namesOf(next.step);
    if (names.some((name) => touched.some((other) => isWithin(name, other) || isWithin(other, name))))
      continue;
    steps.push(next.step);
    touched.push(...names);
  }
  if (steps.length > 0) return { kind: 'steps', steps };
  return all.findLast((next): next is Nothing => next.kind === 'stuck') ?? DONE;
}

/** What must stay as it is, or comes, meanwhile. Of marks too: what has the key of another is not marked before that. */
function namesOf(one: AsideStep): readonly string[] {
  switch (one.kind) {
    case 'abandon':
    case 'keep':
    case 'forget':
    case 'create':
      return [one.dataset];
    case 'snapshot':
      return [one.of.name];
    case 'promote':
      return [one.dataset, one.origin];
    case 'rename':
      return [one.from, one.to];
    case 'clone':
      return [one.of.name, one.to];
    case 'finish':
      return [one.kept.name, ...(one.heir === null ? [] : [one.heir])];
    default:
      return assertNever(one);
  }
}

/** It has been renamed away, and what has its name now is not finished. */
const isUnderWay = (pool: AsidePool, dataset: string): boolean =>
  [...pool.values()].some(({ mark: has, isDone }) => has?.original === dataset && !isDone);

/** `written` of what has just been cloned is ZFS's own (decide.ts, 4), and nobody but a tenure writes to it: of a later epoch, then. */
function hasTail(
  pool: AsidePool,
  epoch: number,
  { name, snapshots, written }: AsideDataset,
  common: Guid,
): boolean {
  return snapshots.at(-1)?.guid !== common || (written !== 0 && !isHeir(pool, epoch, name, common));
}

/** It has taken the place of what was set aside in this tenure; `newest`: and has received nothing since. */
export function isHeir(pool: AsidePool, epoch: number, name: string, newest: Guid | null = null): boolean {
  return [...pool.values()].some(
    ({ isKept, mark: has }) =>
      isKept && has?.epoch === epoch && has.original === name && (newest === null || has.common === newest),
  );
}

/** By the names that they have had: what lies below another comes after it. */
function inOrder(pool: AsidePool): readonly AsideDataset[] {
  const original = ({ mark: has, name }: AsideDataset): string => has?.original ?? name;
  return [...pool.values()].toSorted((left, right) => (original(left) < original(right) ? -1 : 1));
}

/**
 * (3): the root of its key, and what lies between, without a tail: cloned from its newest snapshot. The pool's own file system is a
 * root that `.diverged` lies in too.
 */
function withRoots(
  poolName: string,
  pool: AsidePool,
  epoch: number,
  tails: readonly Tail[],
): readonly Wanted[] {
  const all = new Map(tails.map((tail): [string, Wanted] => [tail.dataset, { ...tail, isRoot: false }]));
  for (const { dataset, common } of tails) {
    const found = pool.get(dataset);
    const root = found?.encryptionRoot ?? null;
    if (found === undefined || found.mark !== null || root === null || root === poolName) continue;
    if (isUnderWay(pool, dataset) || !hasTail(pool, epoch, found, common)) continue;
    for (const name of parentsOf(dataset)) {
      const above = pool.get(name);
      if (above === undefined || !isWithin(name, root) || all.has(name)) continue;
      all.set(name, { dataset: name, common: above.snapshots.at(-1)?.guid ?? null, isRoot: true });
    }
  }
  return [...all.values()].toSorted((left, right) => (left.dataset < right.dataset ? -1 : 1));
}

/** Snapshot, holds, mark. Nothing more where it has its mark, or has been renamed. */
function mark(pool: AsidePool, epoch: number, { dataset, common, isRoot }: Wanted): Next {
  const found = pool.get(dataset);
  if (found === undefined || found.mark !== null || found.isKept) return DONE;
  if (isUnderWay(pool, dataset)) return DONE;
  if (common === null)
    return stuck(`${dataset} has no snapshot to go on from, and something below it has its key, and a tail`);
  const at = found.snapshots.findIndex(({ guid }) => guid === common);
  if (at < 0) return stuck(`${dataset} does not have the snapshot ${common} any more: read again`);
  if (!hasTail(pool, epoch, found, common) && !isRoot) return DONE;
  if (found.isPartial) return step({ kind: 'abandon', dataset });
  const name = `quorate-diverged-${epoch}`;
  const newest = found.snapshots.at(-1);
  // A log that is left there may count as written.
  const hasAll = found.written === 0 || found.written === null || newest?.name.endsWith(UNREPLAYED) === true;
  const isTaken = newest?.name.startsWith(name) === true && hasAll;
  if (!isTaken) return step({ kind: 'snapshot', of: found, name: freeName(found, name) });
  const snapshots = found.snapshots.slice(at + 1).map((one) => `${dataset}@${one.name}`);
  const text = markText({ epoch, common, original: dataset }, found.guid);
  return step({ kind: 'keep', dataset, snapshots, mark: text, isAgain: found.hasKeptWord });
}

function freeName({ snapshots }: AsideDataset, name: string): string {
  const taken = new Set(snapshots.map((one) => one.name.replace(UNREPLAYED, '')));
  for (let count = 2; taken.has(name) && count < MAX_PLACES; count++) {
    const next = `${name.replace(/\.\d+$/, '')}.${count}`;
    if (!taken.has(next)) return next;
  }
  return name;
}

function goOn(poolName: string, pool: AsidePool, dataset: AsideDataset): Next {
  const { mark: has, isKept, isDone } = dataset;
  if (has === null) return isKept ? bringBack(pool, dataset) : DONE;
  if (!isKept) return isBelowMarked(pool, dataset.name) ? DONE : park(poolName, pool, dataset, has);
  return isDone ? DONE : replace(pool, dataset, has);
}

/** It goes with the one above. */
const isBelowMarked = (pool: AsidePool, name: string): boolean =>
  parentsOf(name).some((above) => pool.get(above)?.mark != null);

function park(poolName: string, pool: AsidePool, { name, kind }: AsideDataset, { epoch }: AsideMark): Next {
  const rest = name.slice(poolName.length);
  for (let count = 1; count < MAX_PLACES; count++) {
    const folder = `${poolName}/${KEPT}/${epoch}${count === 1 ? '' : `.${count}`}`;
    const place = `${folder}${rest}`;
    const above = parentsOf(place).toReversed();
    if (pool.has(place) || above.some((one) => pool.get(one)?.mark != null)) continue;
    const missing = above.find((one) => !pool.has(one));
    return step(
      missing === undefined
        ? { kind: 'rename', of: kind, from: name, to: place }
        : { kind: 'create', dataset: missing },
    );
  }
  return stuck(`${poolName}/${KEPT}/${epoch} has no place left for ${name}`);
}

/** What has been renamed away, and its successor under the old name. */
function replace(pool: AsidePool, kept: AsideDataset, mark: AsideMark): Next {
  const { common, original } = mark;
  const heir = pool.get(original);
  const base = kept.snapshots.find(({ guid }) => guid === common);
  if (base === undefined) {
    const isToMount = heir !== undefined && heir.kind === 'filesystem' && heir.canmount === 'noauto';
    const said = { word: keptWord(kept.guid), mark: markText(mark, kept.guid, true) };
    return step({ kind: 'finish', kept, ...said, heir: isToMount ? original : null });
  }
  if (heir === undefined) {
    const parent = parentsOf(original)[0] ?? '';
    if (!pool.has(parent)) return stuck(`${parent}, in which ${original} lay, is not there any more`);
    return step({ kind: 'clone', of: kept, snapshot: base.name, to: original });
  }
  return heir.origin === `${kept.name}@${base.name}`
    ? step({ kind: 'promote', dataset: original, origin: kept.name })
    : stuck(`${original} is there again, and is not what goes on from ${kept.name}@${base.name}`);
}

/** It was renamed only because it lay below what was set aside. */
function bringBack(pool: AsidePool, { name, kind }: AsideDataset): Next {
  const [parent = ''] = parentsOf(name);
  const above = pool.get(parent);
  // Deeper ones come back with it; a place that was made for others is below no mark.
  if (above?.mark == null) return DONE;
  const home = `${above.mark.original}${name.slice(parent.length)}`;
  if (!above.isDone) return DONE;
  if (!pool.has(above.mark.original)) return stuck(`${above.mark.original}, in which ${name} lay, is gone`);
  return pool.has(home)
    ? stuck(`${name} belongs to ${home}, which is another dataset now`)
    : step({ kind: 'rename', of: kind, from: name, to: home });
}
