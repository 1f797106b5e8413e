/** `status`: what this node knows, as the contract of design.md has it; null where it does not know. */

import type { ResourceStatus, StatusDocument } from '../admin/index.ts';
import { type Config, memberOf } from '../config/index.ts';
import type { NodeId } from '../core/index.ts';
import { DEGRADED } from '../degraded.ts';
import type { PoolCopyFacts } from '../pool-copies.ts';
import type { ResyncFacts } from '../resync.ts';
import type { Driver } from './driver.ts';
import { scheduleToShow } from './schedule-document.ts';

export interface StatusSources {
  readonly config: Config;
  readonly driver: Driver;
  readonly isUp: (peer: NodeId) => boolean;
  readonly resources: readonly ResourceStatus[];
  readonly lastTakeover: StatusDocument['lastTakeover'];
  /** H6: of the tenure that this node holds, what it goes on without, and why. */
  readonly degraded: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
  readonly resync: readonly ResyncFacts[];
  readonly replication: readonly PoolCopyFacts[];
}

export function statusOf({
  config,
  driver,
  isUp,
  resources,
  lastTakeover,
  degraded,
  warnings,
  resync,
  replication,
}: StatusSources): StatusDocument {
  const { view } = driver;
  const { leadership, state, log } = view;
  const leader =
    view.role.kind === 'leader' ? view.self : view.role.kind === 'follower' ? view.role.leader : null;
  const leaseUntil = view.leaseUntil;
  const tenure = state.tenure !== null && !state.tenure.released ? state.tenure : null;
  return {
    cluster: config.cluster,
    observer: view.self,
    term: view.hard.term,
    leader,
    holder: tenure?.node ?? null,
    epoch: tenure?.epoch ?? null,
    quorum:
      leadership === null
        ? leader === null
          ? null
          : view.promise.binds(view.now)
        : view.confirmedAt !== null,
    paused: state.pause !== null,
    commitIndex: view.commitIndex,
    chain: log.lastIndex === 0 ? null : log.lastHash,
    nodes: log.membership.members.map((member) => {
      const isSelf = member.id === view.self;
      const match = isSelf ? view.outbox.durableIndex : (leadership?.progress.get(member.id)?.match ?? null);
      return {
        id: member.id,
        kind: member.witness ? ('witness' as const) : ('data' as const),
        zone: memberOf(config, member.id)?.zone ?? member.zone ?? null,
        role: isSelf ? ownRole(driver) : otherRole(member.id, leader, member.witness, isUp(member.id)),
        reachable: isSelf || isUp(member.id),
        matchIndex: match,
        inSync: member.witness ? null : state.inSync.includes(member.id),
        standby: state.standby.includes(member.id),
        chain: match === null ? null : log.hashAt(match),
      };
    }),
    lease: { remainingMs: leaseUntil === null ? null : Math.max(0, leaseUntil - view.now) },
    resources: resources.map((resource) => {
      const why = degraded.get(resource.name);
      return why === undefined ? resource : { ...resource, detail: `${DEGRADED}${why}` };
    }),
    lastTakeover,
    scheduled: scheduleToShow(state),
    warnings: [...warnings],
    resync: [...resync],
    replication: replication.map((one) => ({
      ...one,
      sending: [...one.sending],
      trouble: [...one.trouble],
    })),
  };
}

type OwnRole = Exclude<StatusDocument['nodes'][number]['role'], 'unreachable' | null>;

export function ownRole({ view }: Pick<Driver, 'view'>): OwnRole {
  const role = view.roleName;
  if (role === 'pre-candidate') return 'candidate';
  return role === 'stopped' ? 'damaged' : role;
}

/** Of the others only the leader is known for certain; who answers at all follows or campaigns. */
function otherRole(id: NodeId, leader: NodeId | null, isWitness: boolean, isReachable: boolean) {
  if (id === leader) return isWitness ? ('caretaker' as const) : ('leader' as const);
  if (!isReachable) return 'unreachable' as const;
  return leader === null ? null : ('follower' as const);
}
