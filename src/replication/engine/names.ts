/**
 * The names of what replication makes itself. Only what has such a name is ever pruned: everything else is somebody's.
 *
 *     tank/home@quorate-2026-11-27T19:45:00Z-17     taken then, in the tenure of epoch 17
 *     tank/home@quorate-2026-11-27T19:45:00Z-17-last-1f2e3d4c   the last one of a planned release; its end is random
 *     tank/home#quorate-9223372036854775808         the cursor: the GUID of the newest snapshot that both sides have
 */
import { randomBytes } from 'node:crypto';
import { assert, type Epoch, epoch } from '../../core/index.ts';
import type { Guid } from '../pool.ts';

const OURS = /^quorate-(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)-(\d{1,15})(?:-last-[0-9a-f]{8})?$/;
const CURSOR = /^quorate-[1-9]\d{0,19}$/;
/** Seconds to look ahead for a name that is free, where the clock was set back. */
const MAX_TRIES = 3600;

export interface OwnName {
  /** Milliseconds since 1970, by the wall clock of the node that took it. */
  readonly takenAtMs: number;
  readonly epoch: Epoch;
}

/** Null: it is somebody else's. */
export function readOwnName(name: string): OwnName | null {
  const [, time = '', number = ''] = OURS.exec(name) ?? [];
  const takenAtMs = Date.parse(time);
  return Number.isNaN(takenAtMs) ? null : { takenAtMs, epoch: epoch(Number(number)) };
}

/** One that nobody has yet. */
export function newSnapshotName(wallMs: number, of: Epoch, isTaken: (name: string) => boolean): string {
  for (let ahead = 0; ahead < MAX_TRIES; ahead++) {
    const time = new Date(wallMs + ahead * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
    const name = `quorate-${time}-${of}`;
    if (!isTaken(name)) return name;
  }
  assert(false, 'an hour of names is taken');
}

/** The log names it as what everything has arrived by: no other attempt may have had it, whatever the clock says. */
export const lastSnapshotName = (wallMs: number, of: Epoch): string =>
  `${newSnapshotName(wallMs, of, () => false)}-last-${randomBytes(4).toString('hex')}`;

export const cursorName = (guid: Guid): string => `quorate-${guid}`;

export const isCursor = (name: string): boolean => CURSOR.test(name);
