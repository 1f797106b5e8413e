/**
 * Why something was refused, for programs: a QuorateError carries it in its context, the admin service sends it as details
 * (src/admin/details.ts). docs/api.md has the table.
 */

export const VIOLATION_TYPES = {
  DATA_NODE: 'the node named is no data node with a vote',
  OTHER_NODE: 'the node named holds already',
  IN_SYNC: 'the node named is not in the in-sync set (H1)',
  REACHABLE: 'the node named does not answer the leader',
  ACTIVE: 'the node named is on standby',
  NOT_PAUSED: 'the cluster is paused (H7)',
  EPOCH: 'another tenure than the one expected is open or held by the leader, or none',
  EPOCH_NEEDED:
    'a voter that answers is of an older version and cannot read the request id: the order must say which epoch it is to end',
  LEADER:
    'the leader cannot decide it, or not now: it was only just elected, hands over, takes over or releases',
  OUT_OF_SYNC: 'the node named is in sync: it need not be forced (O3)',
  NOBODY_HOLDS: 'a node holds, so that nobody need be forced (O3)',
  IN_SYNC_NODES_AWAY: 'a node that is in sync answers: its data may not be given up (O3)',
  NOT_BARRED: 'the cluster is paused, or the node named is on standby',
  DATA: 'the data of the node named cannot be promoted, or that is not known',
  FORMAT: 'a voter that answers has not said that it understands this: it is of an older version',
  SETTLED: 'the node is just taking over, releasing, handing over, or coming back from a restart',
  WHOLE: 'not everything that the node should hold is held',
  IO: 'a decision about the I/O of the replicated devices is open (H3)',
  EXECUTOR: "the node's executor is of an older version, or does not answer",
  VOTERS: 'too few voters answer, or one is of an older version',
  TIME: 'the time for the restart is too short',
  OLD_HOLDER: 'nothing proves that the old holder can write no more (H2)',
  ONE_CHANGE:
    'another change of the members or the timing is under way, or the leader was only just elected (E5)',
  STRANGER: 'the node named is a member already',
  UNUSED_ID: 'the id was used before, and is used once for all time (E5)',
  ROOM: 'the cluster has as many members as it may',
  OWN_ADDRESS: 'the address is that of another member',
  MEMBER: 'the node named is not a member',
  LEARNER: 'the node named has a vote already',
  CAUGHT_UP: 'the node named does not have the log yet',
  QUORUM: 'after the change the voters that answer would be no majority',
  NOT_THE_HOLDER: 'the node named leads or holds',
  NOT_ALONE_IN_SYNC: 'the node named is the only one in sync',
  DISCONNECTED: 'the block layer still mirrors the node named (H3)',
  OLD_MEMBERS_SILENT: 'an old member is still there: it could hold beside a new cluster (O3)',
} as const;

export type ViolationType = keyof typeof VIOLATION_TYPES;

export interface Violation {
  readonly type: ViolationType;
  /** What it is about: a node, or the cluster. */
  readonly subject: string;
  readonly description: string;
}

/** Of the context of a QuorateError. */
export interface Refusal {
  readonly violations?: readonly Violation[];
  /** Short facts that a program needs to go on, as `{leader: 'b'}`. */
  readonly facts?: Readonly<Record<string, string>>;
}

/** The fact of a `timed-out-unknown`, `true`, where the request id is known to the agent that has answered only. */
export const ID_NOT_IN_LOG = 'id_not_in_log';

/** The type of a check's violation is its name in capitals: `in sync` → `IN_SYNC`. One that the table lacks is the leader's. */
export function violationType(checkName: string): ViolationType {
  const type = checkName.toUpperCase().replaceAll(/[ -]/g, '_');
  return Object.hasOwn(VIOLATION_TYPES, type) ? (type as ViolationType) : 'LEADER';
}
