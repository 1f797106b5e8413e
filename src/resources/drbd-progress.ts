/**
 * How far a resync has come. That one runs is told by `events2`; how far it is, only by `drbdsetup status` (8.4's `events2` prints no
 * percentage, and nothing tells of progress by itself), so it is asked while one runs.
 *
 * The text, not `--json`, which 8.4 does not have: the peer's name alone on a line, then `key:value` words; where there is one volume its
 * number is left out without `--verbose`. `out-of-sync` counts KiB.
 */

import type { DrbdConnection, DrbdState } from './drbd-events.ts';
import { connectionOf } from './drbd-view.ts';

export interface SyncingVolume {
  readonly volume: number;
  /** As DRBD calls the connection, to find it again; null where it does not. */
  readonly connName: string | null;
  /** The node; null where it cannot be told which one. */
  readonly peer: string | null;
  readonly role: 'source' | 'target';
  readonly paused: boolean;
}

/** DRBD's words for a resync; a verification (`VerifyS`) is none. */
const SYNCING: ReadonlyMap<string, Pick<SyncingVolume, 'role' | 'paused'>> = new Map([
  ['SyncSource', { role: 'source', paused: false }],
  ['SyncTarget', { role: 'target', paused: false }],
  ['PausedSyncS', { role: 'source', paused: true }],
  ['PausedSyncT', { role: 'target', paused: true }],
]);

export function syncingVolumes(
  state: DrbdState | null,
  otherDataNodes: readonly string[],
): readonly SyncingVolume[] {
  if (state === null) return [];
  return state.connections.flatMap((connection) =>
    connection.volumes.flatMap(({ volume, replication }) => {
      const syncing = SYNCING.get(replication);
      if (syncing === undefined || !/^\d{1,5}$/.test(volume)) return [];
      const { connName } = connection;
      return [
        { volume: Number(volume), connName, peer: nodeOf(state, connection, otherDataNodes), ...syncing },
      ];
    }),
  );
}

function nodeOf(
  state: DrbdState,
  connection: DrbdConnection,
  otherDataNodes: readonly string[],
): string | null {
  return otherDataNodes.find((node) => connectionOf(state, node, otherDataNodes) === connection) ?? null;
}

export interface Progress {
  readonly connName: string;
  readonly volume: number;
  /** False: what `status` has read is later than `events2`, and the resync is over. */
  readonly isSyncing: boolean;
  readonly donePercent: number | null;
  readonly outOfSyncBytes: number | null;
}

export const progressCommand = (resource: string): readonly string[] => [
  'drbdsetup',
  'status',
  resource,
  '--verbose',
  '--statistics',
];

const MAX_LINES = 4096;

/** Of every volume of every peer that the output names; null where it is not about this resource, or too long. */
export function parseProgress(output: string, resource: string): readonly Progress[] | null {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  if (lines.length > MAX_LINES || lines[0]?.split(/\s/, 1)[0] !== resource) return null;
  const found: { connName: string; fields: Map<string, string> }[] = [];
  let connName: string | null = null;
  for (const line of lines.slice(1)) {
    const words = line.trim().split(/\s+/);
    const isNamed = words[0]?.includes(':') === false;
    if (isNamed) connName = words[0] ?? null;
    // Before the first peer stand the own disks.
    if (connName === null) continue;
    for (const word of isNamed ? words.slice(1) : words) {
      const colon = word.indexOf(':');
      const [key, value] = [word.slice(0, colon), word.slice(colon + 1)];
      const current = found.at(-1);
      const isOfCurrent = current !== undefined && current.connName === connName && !current.fields.has(key);
      // What a line says of the connection itself (its role) comes before its volumes.
      if (isOfCurrent && key !== 'volume') current.fields.set(key, value);
      else if (BEGINS_A_VOLUME.has(key)) found.push({ connName, fields: new Map([[key, value]]) });
    }
  }
  return found.flatMap((one) => progressOf(one.connName, one.fields));
}

/** `peer-disk` where one volume is in sync and nothing else is said of it. */
const BEGINS_A_VOLUME: ReadonlySet<string> = new Set(['volume', 'replication', 'peer-disk']);

function progressOf(connName: string, fields: ReadonlyMap<string, string>): Progress[] {
  const volume = fields.get('volume') ?? '0';
  if (!/^\d{1,5}$/.test(volume)) return [];
  const done = fields.get('done') ?? '';
  const donePercent = /^\d{1,3}(\.\d{1,6})?$/.test(done) && Number(done) <= 100 ? Number(done) : null;
  const outOfSync = fields.get('out-of-sync') ?? '';
  return [
    {
      ...{ connName, volume: Number(volume), donePercent },
      isSyncing: SYNCING.has(fields.get('replication') ?? ''),
      // 2^53 bytes are 13 digits of KiB.
      outOfSyncBytes: /^\d{1,12}$/.test(outOfSync) ? Number(outOfSync) * 1024 : null,
    },
  ];
}
