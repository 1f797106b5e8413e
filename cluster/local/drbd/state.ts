/**
 * DRBD stand-in: the states of one resource with one volume and one peer, in the words of DRBD 8.4, and how
 * drbd-utils 9.22 print them. Not DRBD: a model of its behaviour for demo and tests, without root or a kernel
 * module. Pure.
 */

export type Role = 'Primary' | 'Secondary' | 'Unknown';

/** In the kernel's order: comparisons such as "peer disk worse than or equal to Outdated" need it. */
const DISK_ORDER = [
  'Diskless',
  'Failed',
  'Inconsistent',
  'Outdated',
  'DUnknown',
  'Consistent',
  'UpToDate',
] as const;
export type DiskState = (typeof DISK_ORDER)[number];

export type ConnectionState =
  | 'StandAlone'
  | 'WFConnection'
  | 'WFReportParams'
  | 'Connected'
  | 'WFBitMapS'
  | 'WFBitMapT'
  | 'SyncSource'
  | 'SyncTarget';

/** Everything that an observer of the resource can see. */
export interface View {
  readonly role: Role;
  readonly peerRole: Role;
  readonly disk: DiskState;
  readonly peerDisk: DiskState;
  readonly connection: ConnectionState;
  readonly suspendedByUser: boolean;
  readonly suspendedByFencing: boolean;
}

export function isWorse(disk: DiskState, than: DiskState): boolean {
  return DISK_ORDER.indexOf(disk) < DISK_ORDER.indexOf(than);
}

/** Known to be unable to hold newer data than ours: Outdated or less (the kernel's `pdsk <= D_OUTDATED`). */
export const isKnownStale = (disk: DiskState): boolean => isWorse(disk, 'DUnknown');

export function isEstablished(connection: ConnectionState): boolean {
  return connection !== 'StandAlone' && connection !== 'WFConnection' && connection !== 'WFReportParams';
}

function suspended(view: View): string {
  const reasons = [];
  if (view.suspendedByUser) reasons.push('user');
  if (view.suspendedByFencing) reasons.push('fencing');
  return reasons.length === 0 ? 'no' : reasons.join(',');
}

/** `events2` and `status` use DRBD 9's names for the connection, `cstate` the kernel's own (lab.md section 5). */
function connectionName(view: View): string {
  if (isEstablished(view.connection)) return 'Connected';
  return view.connection === 'StandAlone' ? 'StandAlone' : 'Connecting';
}

function replicationName(view: View): string {
  if (!isEstablished(view.connection)) return 'Off';
  return view.connection === 'Connected' ? 'Established' : view.connection;
}

interface EventObject {
  readonly object: 'resource' | 'connection' | 'device' | 'peer-device';
  readonly key: string;
  readonly values: readonly (readonly [string, string])[];
}

/** A StandAlone connection has no configured peer, so `conn-name` is missing (captures/partition-qemu.log). */
function eventObjects(resource: string, minor: number, view: View): EventObject[] {
  const peer = `peer-node-id:0${view.connection === 'StandAlone' ? '' : ' conn-name:peer'}`;
  return [
    {
      object: 'resource',
      key: `name:${resource}`,
      values: [
        ['role', view.role],
        ['suspended', suspended(view)],
      ],
    },
    {
      object: 'connection',
      key: `name:${resource} ${peer}`,
      values: [
        ['connection', connectionName(view)],
        ['role', view.peerRole],
      ],
    },
    {
      object: 'device',
      key: `name:${resource} volume:0 minor:${minor}`,
      values: [['disk', view.disk]],
    },
    {
      object: 'peer-device',
      key: `name:${resource} ${peer} volume:0`,
      values: [
        ['replication', replicationName(view)],
        ['peer-disk', view.peerDisk],
        ['resync-suspended', 'no'],
      ],
    },
  ];
}

const print = (verb: string, event: EventObject, values: EventObject['values']): string =>
  `${verb} ${event.object} ${event.key} ${values.map(([name, value]) => `${name}:${value}`).join(' ')}`;

/** The initial dump of `drbdsetup events2`, without its last line `exists -`. */
export function dumpEvents(verb: 'exists' | 'create', resource: string, minor: number, view: View): string[] {
  return eventObjects(resource, minor, view).map((event) => print(verb, event, event.values));
}

/** What `events2` prints for a change: only the keys that changed, as drbdsetup does. */
export function changeEvents(resource: string, minor: number, before: View, after: View): string[] {
  const old = eventObjects(resource, minor, before);
  return eventObjects(resource, minor, after).flatMap((event, at) => {
    const changed = event.values.filter(([, value], index) => old[at]?.values[index]?.[1] !== value);
    return changed.length === 0 ? [] : [print('change', event, changed)];
  });
}

export function destroyEvents(resource: string, minor: number): string[] {
  return [
    `destroy peer-device name:${resource} peer-node-id:0 conn-name:peer volume:0`,
    `destroy connection name:${resource} peer-node-id:0 conn-name:peer`,
    `destroy device name:${resource} volume:0 minor:${minor}`,
    `destroy resource name:${resource}`,
  ];
}

/** `drbdsetup status RES`, with its final empty line. `donePercent` is printed while a resync runs. */
export function statusLines(resource: string, view: View, donePercent: number): string[] {
  const suspension = suspended(view);
  const lines = [
    `${resource} role:${view.role}${suspension === 'no' ? '' : ` suspended:${suspension}`}`,
    `  disk:${view.disk}`,
  ];
  if (isEstablished(view.connection)) {
    lines.push(`  peer role:${view.peerRole}`);
    const isSyncing = view.connection !== 'Connected';
    const done = isSyncing ? ` done:${donePercent.toFixed(2)}` : '';
    lines.push(`    replication:${replicationName(view)} peer-disk:${view.peerDisk}${done}`);
  } else if (view.connection !== 'StandAlone') {
    lines.push(`  peer connection:${connectionName(view)}`);
  }
  return [...lines, ''];
}
