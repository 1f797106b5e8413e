/** What DRBD's state says about holding, about the peer and about the own disk. Pure; fails closed (style 10). */
import { DEGRADED } from '../degraded.ts';
import type { DrbdConnection, DrbdState } from './drbd-events.ts';
import type { ProbeResult } from './types.ts';

export type PeerData = 'in-sync' | 'not-in-sync' | 'unknown';
export type OwnDisk = 'up-to-date' | 'failed' | 'unknown';

/** Only `Primary` holds; a resource that is not there cannot be written. */
export function roleProbe(state: DrbdState | null): ProbeResult {
  if (state === null) return { probe: 'unknown', detail: 'drbdsetup said nothing that can be read' };
  if (state.kind === 'absent') return { probe: 'not-held', detail: 'the resource is down' };
  const suspended = isSuspended(state) ? `, I/O suspended (${state.suspended})` : '';
  const words = `role ${state.role}, ${diskWords(state)}${suspended}`;
  const detail = standsAlone(state) ? `${DEGRADED}${ALONE}; ${words}` : words;
  switch (state.role) {
    case 'Primary':
      return { probe: 'held', detail };
    case 'Secondary':
      return { probe: 'not-held', detail };
    default:
      return { probe: 'unknown', detail: `role "${state.role}" is not known` };
  }
}

/** The kernel does not say which of the two it is. */
const ALONE =
  'DRBD stands alone (a split brain, or disconnected by hand) and replicates nothing until somebody connects it: "quorate doctor" says how';

/** DRBD has given up a connection and will not try again by itself. */
export function standsAlone(state: DrbdState): boolean {
  return state.connections.some(({ connection }) => connection === 'StandAlone');
}

export function isSuspended(state: DrbdState): boolean {
  return state.suspended !== '' && state.suspended !== 'no';
}

/** Each write is on both before it is acknowledged: also while the two are compared, by `drbdadm verify`, which takes hours. */
const MIRRORS: ReadonlySet<string> = new Set(['Established', 'VerifyS', 'VerifyT']);

/** H3: in sync only if the peer is connected and up to date for every volume; anything unclear is not "in sync". */
export function peerData(state: DrbdState | null, connection: DrbdConnection | null): PeerData {
  if (state === null) return 'unknown';
  if (state.kind === 'absent' || connection === null) return 'not-in-sync';
  if (connection.connection !== 'Connected') return 'not-in-sync';
  if (connection.volumes.length === 0 || connection.volumes.length < state.volumes.length) return 'unknown';
  const isUpToDate = connection.volumes.every(
    (volume) => MIRRORS.has(volume.replication) && volume.peerDisk === 'UpToDate',
  );
  return isUpToDate ? 'in-sync' : 'not-in-sync';
}

/**
 * States that pass by themselves say nothing yet (`Consistent`: a node that started alone and waits for its peer or its
 * promotion). Every other one but UpToDate takes the node out (H3).
 */
const PASSING_DISK_STATES = new Set(['', 'Attaching', 'Detaching', 'Negotiating', 'DUnknown', 'Consistent']);

export function ownDisk(state: DrbdState | null): OwnDisk {
  if (state === null || state.kind === 'absent' || state.volumes.length === 0) return 'unknown';
  if (state.volumes.every((volume) => volume.disk === 'UpToDate')) return 'up-to-date';
  return state.volumes.some((volume) => volume.disk !== 'UpToDate' && !PASSING_DISK_STATES.has(volume.disk))
    ? 'failed'
    : 'unknown';
}

/** Whole, of whatever age: what can be promoted by force (O3). `Inconsistent` is of no single moment: a resync broke off. */
const WHOLE_DATA: ReadonlySet<string> = new Set(['UpToDate', 'Consistent', 'Outdated']);

/** Has every volume data of one moment? Null: not known, or it passes by itself. */
export function hasWholeData(state: DrbdState | null): boolean | null {
  if (state === null || state.kind === 'absent' || state.volumes.length === 0) return null;
  const others = state.volumes.map(({ disk }) => disk).filter((disk) => !WHOLE_DATA.has(disk));
  if (others.length === 0) return true;
  return others.some((disk) => !PASSING_DISK_STATES.has(disk)) ? false : null;
}

/**
 * Which connection belongs to which node. 9.x names the peer's host; 8.4 says `peer` for the only one. A name that
 * matches no node is taken only where it cannot be anybody else: one other data node, one peer with a disk.
 */
export function connectionOf(
  state: DrbdState,
  peer: string,
  otherDataNodes: readonly string[],
): DrbdConnection | null {
  const withDisk = state.connections.filter(
    (connection) => !connection.volumes.some((volume) => volume.isPeerClient),
  );
  const named = withDisk.find((connection) => connection.connName === peer);
  if (named !== undefined) return named;
  const [only] = withDisk;
  if (otherDataNodes.length === 1 && otherDataNodes[0] === peer && withDisk.length === 1) return only ?? null;
  return null;
}

/** True when the peer cannot be told: an unnamed connection among several. */
export function isAmbiguous(state: DrbdState, otherDataNodes: readonly string[]): boolean {
  return otherDataNodes.length > 1 && state.connections.some((connection) => connection.connName === null);
}

function diskWords(state: DrbdState): string {
  return `disk ${state.volumes.map((volume) => volume.disk).join('/') || 'none'}`;
}
