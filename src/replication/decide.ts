/**
 * What is to be done so that the copy of one dataset has its snapshots: pure, from what both sides were read to have.
 *
 * 1. A snapshot is known by its GUID, never by its name or its time.
 * 2. The stream goes after the *newest* snapshot of the copy, and after no other: for an older one ZFS would have to roll the
 *    copy back, and what is newer would be destroyed. That is a conflict, left to people and to a change of roles.
 * 3. What the copy has, stays: the only thing that is ever thrown away is a stream that broke off and cannot go on.
 * 4. `written` of a copy is no proof of a change: ZFS counts there too what it does to its own intent log when a dataset is cloned, rolled
 *    back, mounted or imported. Whether there is more `zfs receive` knows, which without -F takes nothing where there is.
 */
import { type Dataset, isFirstPart, type Point, type Resume, type Snapshot } from './pool.ts';

export type ConflictReason =
  | 'no-common-snapshot'
  | 'diverged'
  | 'modified'
  | 'name-taken'
  | 'encryption'
  | 'unfinished-source'
  | 'foreign-stream'
  /** Found by the plan of the whole pool. */
  | 'ambiguous'
  | 'no-parent'
  | 'reserved-name'
  | 'too-small';

/** `why` is one sentence for people. */
export type Decision =
  /** Oldest first; none while the source has no snapshot yet. */
  | {
      readonly kind: 'full';
      readonly why: string;
      readonly snapshots: readonly Snapshot[];
      readonly abandons: boolean;
    }
  | {
      /** From the newest common snapshot, or from the bookmark that is left of it on the source. */
      readonly kind: 'incremental' | 'bookmark';
      readonly why: string;
      readonly from: Point;
      readonly snapshots: readonly Snapshot[];
      /** A stream that broke off must be given up first. */
      readonly abandons: boolean;
    }
  | {
      readonly kind: 'resume';
      readonly why: string;
      readonly token: string;
      readonly snapshot: Snapshot;
      readonly bytes: number;
    }
  | { readonly kind: 'conflict'; readonly why: string; readonly reason: ConflictReason }
  | { readonly kind: 'nothing'; readonly why: string }
  | { readonly kind: 'excluded'; readonly why: string };

/** Names of the nodes, for the sentences. */
export interface Ends {
  readonly from: string;
  readonly to: string;
}

/** Whether the copy is known to have been written to since its newest snapshot, or that cannot be known; otherwise `zfs receive` says. */
export type IsChanged = (copy: Dataset) => boolean;

/** `target`: the copy; null where there is none. */
export function decide(source: Dataset, target: Dataset | null, ends: Ends, isChanged: IsChanged): Decision {
  if (source.resume !== null && source.snapshots.length === 0)
    return conflict('unfinished-source', `its own first copy has not arrived whole on ${ends.from}`);
  if (target === null) return full(source, ends, false);
  if (source.encryption !== null && target.encryption === null && target.snapshots.length > 0)
    return conflict(
      'encryption',
      `is encrypted on ${ends.from} and not on ${ends.to}: ZFS never mixes raw and other streams in one copy`,
    );
  if (target.resume === null) return next(source, target, ends, isChanged, false);
  const partial = judgePartial(source, target, target.resume, ends, isChanged);
  if (partial !== null) return partial;
  return isFirstPart(target) ? full(source, ends, true) : next(source, target, ends, isChanged, true);
}

/** Null: the stream that broke off was ours, and cannot go on. */
function judgePartial(
  source: Dataset,
  target: Dataset,
  resume: Resume,
  { to }: Ends,
  isChanged: IsChanged,
): Decision | null {
  const { token, stream } = resume;
  const byHand = `finish it, or give it up with "zfs receive -A ${target.name}" on ${to}`;
  if (stream === null)
    return conflict('foreign-stream', `${to} has part of a stream whose token is not understood: ${byHand}`);
  const [dataset = ''] = stream.toName.split('@');
  // By a name that both have had: renamed here, and in the step before this one there too.
  const isOurs = [...source.snapshots, ...source.bookmarks].some(
    ({ guid }) => guid === stream.toGuid || guid === stream.fromGuid,
  );
  if (dataset !== source.name && dataset !== target.name && !isOurs)
    return conflict('foreign-stream', `${to} has part of a stream of ${stream.toName}: ${byHand}`);
  const snapshot = source.snapshots.find(({ guid }) => guid === stream.toGuid);
  // It was its own node's to write meanwhile: ZFS takes the whole stream, and refuses it at its end.
  const isStale =
    stream.fromGuid !== null &&
    (target.snapshots.at(-1)?.guid !== stream.fromGuid || (target.written !== null && isChanged(target)));
  if (isStale) return null;
  const hasBase =
    stream.fromGuid === null ||
    [...source.snapshots, ...source.bookmarks].some(({ guid }) => guid === stream.fromGuid);
  // ZFS sends as the token says, and whoever has the token may have changed it: what is encrypted leaves this node so, or not at all.
  if (source.encryption !== null && !stream.isRaw) return null;
  // ZFS looks for the snapshot under the name that the token has.
  if (snapshot === undefined || !hasBase || dataset !== source.name) return null;
  const why = `${to} has part of @${snapshot.name}: it goes on where it broke off`;
  return { kind: 'resume', why, token, snapshot, bytes: Math.max(0, snapshot.written - stream.bytes) };
}

function full({ snapshots, origin }: Dataset, { from, to }: Ends, abandons: boolean): Decision {
  const [first, ...more] = snapshots;
  const start = abandons
    ? `what ${to} has of a first copy cannot go on: from the beginning`
    : `is not on ${to}`;
  const clone = origin === null ? '' : `; it is a clone, and there it will not share data with ${origin}`;
  const what =
    first === undefined
      ? `${from} has no snapshot of it yet`
      : `@${first.name} goes whole${more.length === 0 ? '' : `, then the changes of ${more.length} more`}`;
  return { kind: 'full', why: `${start}: ${what}${clone}`, snapshots, abandons };
}

/** After the newest snapshot of the copy (2). */
function next(
  source: Dataset,
  target: Dataset,
  { from, to }: Ends,
  isChanged: IsChanged,
  abandons: boolean,
): Decision {
  const newest = target.snapshots.at(-1);
  if (newest === undefined)
    return conflict(
      'no-common-snapshot',
      `${target.name} is on ${to} without any snapshot, so it is no copy of this: rename it there, or exclude it`,
    );
  const snapshot = source.snapshots.find(({ guid }) => guid === newest.guid);
  const bookmark = source.bookmarks.find(({ guid }) => guid === newest.guid);
  const base = snapshot ?? bookmark;
  if (base === undefined) return noBase(source, target, { from, to });
  if (isChanged(target)) return modified(target, newest, to);
  const newer = source.snapshots.filter(({ createtxg }) => createtxg > base.createtxg);
  if (newer.length === 0)
    return { kind: 'nothing', why: `${to} has everything up to @${base.name}, the newest of ${from}` };
  const taken = new Set(target.snapshots.map(({ name }) => name));
  const snapshots = newer.filter(({ name }) => !taken.has(name));
  if (snapshots.length === 0)
    return conflict(
      'name-taken',
      `${to} has other snapshots by the names of ${some(newer)}: rename or destroy those there`,
    );
  const left = newer.length - snapshots.length;
  const count = `${snapshots.length === 1 ? 'one newer snapshot goes' : `${snapshots.length} newer snapshots go`} after it`;
  const rest = left === 0 ? '' : `; ${left} not, whose name is taken there`;
  const given = abandons ? `; the stream that broke off on ${to} cannot go on, and is given up` : '';
  const common =
    snapshot === undefined
      ? `of @${newest.name}, the newest on ${to}, ${from} has the bookmark #${base.name}`
      : `@${base.name} is on both`;
  return {
    kind: snapshot === undefined ? 'bookmark' : 'incremental',
    why: `${common}: ${count}${rest}${given}`,
    from: base,
    snapshots,
    abandons,
  };
}

/** A receive would first have to throw it away. */
function modified({ name, written }: Dataset, newest: Snapshot, to: string): Decision {
  const since = `written to on ${to} since @${newest.name}`;
  if (written === 0)
    return conflict(
      'modified',
      `${name} may have been ${since}, in its intent log, which cannot be replayed there: nothing is sent. ${ROLE_CHANGE}`,
    );
  return conflict(
    'modified',
    written === null
      ? `whether ${name} was ${since} is not known: nothing is sent`
      : `${name} was ${since} (${written} bytes): nothing is sent. ${ROLE_CHANGE}`,
  );
}

/** There is no way to the newest snapshot of the copy: how far apart are they? */
function noBase(source: Dataset, target: Dataset, { from, to }: Ends): Decision {
  const known = new Set([...source.snapshots, ...source.bookmarks].map(({ guid }) => guid));
  const last = target.snapshots.findLastIndex(({ guid }) => known.has(guid));
  if (last < 0)
    return conflict(
      'no-common-snapshot',
      `${target.name} is on ${to} with no snapshot that ${from} has, so it is no copy of this: rename it there, or exclude it`,
    );
  const common = target.snapshots[last];
  return conflict(
    'diverged',
    `${to} has ${some(target.snapshots.slice(last + 1))} that ${from} does not have, newer than @${common?.name}, the newest that both know: nothing is sent. ${ROLE_CHANGE}`,
  );
}

/** Said where it will matter; `docs/replication.md` says the same. */
const ROLE_CHANGE =
  'Where that node has held meanwhile, it is kept there as a held clone under .diverged of the pool, and then it goes on; nothing is destroyed';

const MAX_NAMED = 3;

/** "@a, @b and 4 more". */
function some(points: readonly Point[]): string {
  const named = points.slice(0, MAX_NAMED).map(({ name }) => `@${name}`);
  const more = points.length - named.length;
  return more === 0 ? named.join(', ') : `${named.join(', ')} and ${more} more`;
}

const conflict = (reason: ConflictReason, why: string): Decision => ({ kind: 'conflict', reason, why });
