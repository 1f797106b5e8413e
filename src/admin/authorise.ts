import type { NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { type ClientRole, type Identity, identityOf, identityUri } from '../peer/index.ts';

export type AdminCall =
  | 'Status'
  | 'WatchStatus'
  | 'AuditEntries'
  | 'Switchover'
  | 'ScheduleSwitchover'
  | 'CancelSwitchover'
  | 'Pause'
  | 'Resume'
  | 'Standby'
  | 'Activate'
  | 'Restart'
  | 'FencePeer'
  | 'AlertsTest'
  | 'Failover'
  | 'Bootstrap'
  | 'ListMembers'
  | 'AddMember'
  | 'PromoteMember'
  | 'RemoveMember'
  | 'ShowSettings'
  | 'SetSettings'
  | 'Inspect'
  | 'Replication'
  | 'RunReplication'
  | 'AllowDrop'
  /** Of the standard services, as a whole. */
  | 'Health'
  | 'Reflection';

export const LEAST_ROLE: Readonly<Record<AdminCall, ClientRole>> = {
  Status: 'viewer',
  WatchStatus: 'viewer',
  Replication: 'viewer',
  AuditEntries: 'viewer',
  Health: 'viewer',
  Reflection: 'viewer',
  Switchover: 'operator',
  ScheduleSwitchover: 'operator',
  CancelSwitchover: 'operator',
  Pause: 'operator',
  Resume: 'operator',
  Standby: 'operator',
  Activate: 'operator',
  Restart: 'operator',
  FencePeer: 'operator',
  AlertsTest: 'operator',
  Inspect: 'operator',
  RunReplication: 'operator',
  AllowDrop: 'admin',
  Failover: 'admin',
  Bootstrap: 'admin',
  ListMembers: 'viewer',
  ShowSettings: 'viewer',
  AddMember: 'admin',
  PromoteMember: 'admin',
  RemoveMember: 'admin',
  SetSettings: 'admin',
};
const RANK: Readonly<Record<ClientRole, number>> = { viewer: 0, operator: 1, admin: 2 };

/** What the log of the node that is asked says of a node: `self` is that node, a `stranger` is not in the log (any more, or yet). */
export type NodeStanding = 'self' | 'voter' | 'learner' | 'removed' | 'stranger';

/**
 * A node's certificate has the role of what the node is by now, not of what it was when it was issued (E5). One that votes may order
 * everything: its key is root's there, and there it could do worse. A learner decides nothing yet; null: it may not even ask.
 */
const ROLE_OF_NODE: Readonly<Record<NodeStanding, ClientRole | null>> = {
  self: 'admin',
  voter: 'admin',
  learner: 'viewer',
  removed: null,
  stranger: null,
};

/**
 * Who calls, by the certificate that TLS has verified. Fails closed: no identity, another cluster's, a node that is no member, or too
 * small a role is refused.
 */
export function authorise(
  certificate: Uint8Array | undefined,
  cluster: string,
  call: AdminCall,
  standingOf: (node: NodeId) => NodeStanding,
): Identity {
  const identity = certificate === undefined ? null : identityOf(certificate);
  if (identity === null)
    throw new QuorateError('not-authorised', 'the certificate names neither a node nor a client');
  if (identity.cluster !== cluster) {
    const message = `the certificate is of cluster "${identity.cluster}", this is "${cluster}"`;
    throw new QuorateError('not-authorised', message);
  }
  const name = 'client' in identity ? identity.client.name : identity.node;
  const role = 'client' in identity ? identity.client.role : roleOf(identity.node, standingOf(identity.node));
  if (RANK[role] < RANK[LEAST_ROLE[call]]) {
    const kind = 'node' in identity ? `${role}, as a learner: "quorate members promote ${name}"` : role;
    const message = `${call} needs the role ${LEAST_ROLE[call]}, ${name} is ${kind}`;
    throw new QuorateError('not-authorised', message, {
      context: { facts: { needs: LEAST_ROLE[call], role } },
    });
  }
  return identity;
}

function roleOf(node: NodeId, standing: NodeStanding): ClientRole {
  const role = ROLE_OF_NODE[standing];
  if (role !== null) return role;
  const why =
    standing === 'removed'
      ? `${node} was removed: its certificate counts no more (E5)`
      : `this node does not know ${node} as a member: ask another agent, or use the certificate of a person ("quorate members" says who they are)`;
  throw new QuorateError('not-authorised', why, { context: { facts: { node, standing } } });
}

/** For the log: what the caller says of itself, and what its certificate proves. */
export function describeCaller(identity: Identity, claimed: string): string {
  const uri = identityUri(identity);
  const name = claimed.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 64);
  return name === '' ? uri : `${name} (${uri})`;
}
