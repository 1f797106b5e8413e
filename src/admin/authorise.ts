import { QuorateError } from '../errors.ts';
import { type ClientRole, type Identity, identityOf, identityUri } from '../peer/index.ts';

export type AdminCall =
  | 'Status'
  | 'WatchStatus'
  | 'AuditEntries'
  | 'Switchover'
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

/**
 * Who calls, by the certificate that TLS has verified. Fails closed: no identity, another cluster's, or too small a
 * role is refused. A node's own certificate may ask everything: its key is root's on that node.
 */
export function authorise(certificate: Uint8Array | undefined, cluster: string, call: AdminCall): Identity {
  const identity = certificate === undefined ? null : identityOf(certificate);
  if (identity === null)
    throw new QuorateError('not-authorised', 'the certificate names neither a node nor a client');
  if (identity.cluster !== cluster) {
    const message = `the certificate is of cluster "${identity.cluster}", this is "${cluster}"`;
    throw new QuorateError('not-authorised', message);
  }
  if ('client' in identity && RANK[identity.client.role] < RANK[LEAST_ROLE[call]]) {
    const message = `${call} needs the role ${LEAST_ROLE[call]}, ${identity.client.name} is ${identity.client.role}`;
    throw new QuorateError('not-authorised', message, {
      context: { facts: { needs: LEAST_ROLE[call], role: identity.client.role } },
    });
  }
  return identity;
}

/** For the log: what the caller says of itself, and what its certificate proves. */
export function describeCaller(identity: Identity, claimed: string): string {
  const uri = identityUri(identity);
  const name = claimed.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 64);
  return name === '' ? uri : `${name} (${uri})`;
}
