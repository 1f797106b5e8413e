/** What a ZFS pool holds, as it was read. Ids are texts: they have 64 bits, a JavaScript number has 53. */
import type { LeftOut } from '../resources/index.ts';

declare const brand: unique symbol;

/** Of a snapshot it is the same on every pool that has received it; of a dataset each copy has its own. */
export type Guid = string & { readonly [brand]: 'Guid' };

/** Null where it is none: 1 to 20 digits. */
export const guid = (text: string): Guid | null => (/^[1-9]\d{0,19}$/.test(text) ? (text as Guid) : null);

export interface Point {
  /** Without the dataset, as "daily" of tank/home@daily. */
  readonly name: string;
  readonly guid: Guid;
  /** Transaction group in which it was made: orders what one dataset has, and means nothing on another pool. */
  readonly createtxg: number;
}

export interface Snapshot extends Point {
  /** Bytes that came in since the snapshot before: what sending it after that one costs. */
  readonly written: number;
  /** How many holds keep it from being destroyed. */
  readonly holds: number;
}

/** What is left of a snapshot to send from: its moment, not its data. */
export type Bookmark = Point;

export interface Dataset {
  readonly name: string;
  readonly kind: 'filesystem' | 'volume';
  readonly guid: Guid;
  /** Bytes of the whole, of what can still be written to it, and of what it alone would take elsewhere. */
  readonly used: number;
  readonly available: number;
  readonly ownBytes: number;
  /** Bytes since its newest snapshot; null where ZFS does not say. */
  readonly written: number | null;
  /** Of a volume; null for a file system. */
  readonly volumeBytes: number | null;
  /** Null: not encrypted. */
  readonly encryption: string | null;
  readonly isReadonly: boolean;
  /** The snapshot that it is a clone of. */
  readonly origin: string | null;
  /** A stream that was being received broke off: how to go on with it. */
  readonly resume: Resume | null;
  /** `quorate:replicate`, set or inherited. */
  readonly wish: 'on' | 'off' | null;
  /** This node's takeover has not opened it, because it is old. Known of the own pool only; null also where it is not asked for. */
  readonly leftOut: LeftOut | null;
  /** Oldest first, both. */
  readonly snapshots: readonly Snapshot[];
  readonly bookmarks: readonly Bookmark[];
}

export interface Resume {
  readonly token: string;
  /** What the token says; null: it is not understood. */
  readonly stream: ResumeStream | null;
}

export interface ResumeStream {
  /** DATASET@SNAPSHOT at the time of the send, where that was made. */
  readonly toName: string;
  readonly toGuid: Guid;
  /** Null: a full stream. */
  readonly fromGuid: Guid | null;
  /** Bytes that have arrived. */
  readonly bytes: number;
  /** As the data is on disk: of an encrypted dataset nothing can be read in it. */
  readonly isRaw: boolean;
}

/** It is nothing but part of a first copy: where its stream is given up, nothing of it is left. */
export const isFirstPart = ({ resume, snapshots }: Dataset): boolean =>
  resume !== null && (resume.stream?.fromGuid ?? null) === null && snapshots.length === 0;

export interface Pool {
  readonly name: string;
  readonly guid: Guid;
  readonly sizeBytes: number;
  readonly freeBytes: number;
  /** What it stands on, as paths with their links resolved. */
  readonly devices: readonly string[];
  /** Parents first; the first one is the pool's own file system. */
  readonly datasets: readonly Dataset[];
}

/** Unknown is never taken for absent (H4). */
export type PoolSide =
  | { readonly kind: 'read'; readonly pool: Pool }
  /** Certainly not imported there. */
  | { readonly kind: 'absent'; readonly why: string }
  | { readonly kind: 'unknown'; readonly why: string };

/** The dataset itself, or below it. */
export const isWithin = (name: string, root: string): boolean => name === root || name.startsWith(`${root}/`);

/** The datasets that it lies in, nearest first. */
export function parentsOf(name: string): readonly string[] {
  const parts = name.split('/');
  return parts.slice(1).map((_, at) => parts.slice(0, parts.length - 1 - at).join('/'));
}
