/** The part of the config that the executor works with, for this node. */

import type { Config, LocalResourceConfig, ResourceConfig } from '../config/index.ts';
import { dataNodes, graphOf, isCloud } from '../config/index.ts';
import type { NodeId } from '../core/index.ts';
import type { GuardData } from './guard-protocol.ts';
import type { LeaseBuffer } from './shared-lease.ts';
import { guardSocket } from './unix-path.ts';

/** A witness never holds (W1), so it has nothing to release either. */
export function resourcesOf(config: Config): readonly ResourceConfig[] {
  const isWitness = config.members.some((member) => member.id === config.node && member.witness);
  return isWitness ? [] : config.resources;
}

export function otherDataNodes(config: Config): NodeId[] {
  return dataNodes(config)
    .map((member) => member.id)
    .filter((id) => id !== config.node);
}

export function localResources(resources: readonly ResourceConfig[]): LocalResourceConfig[] {
  return resources.filter((resource): resource is LocalResourceConfig => !isCloud(resource));
}

/** What the guard's thread is started with. */
export function guardDataOf(
  config: Config,
  selfFence: GuardData['selfFence'],
  lease: LeaseBuffer,
): GuardData {
  const { device, mode, timeoutMs: statedMs } = config.watchdog;
  return {
    dataDir: config.dataDir,
    mark: markOf(config),
    socketPath: guardSocket(config.dataDir),
    graph: graphOf(resourcesOf(config)),
    resources: localResources(resourcesOf(config)),
    otherDataNodes: otherDataNodes(config),
    watchdog: mode === 'off' ? null : { device, mode, statedMs },
    selfFence,
    mayKill: selfFence === 'sysrq',
    releaseMs: config.timing.releaseMs,
    sendsReplicas: sendsReplicas(config),
    isReleaseOnly: false,
    lease,
  };
}

/** A witness has no pools. */
export function sendsReplicas({ replication, members, node }: Config): boolean {
  const isWitness = members.some((member) => member.id === node && member.witness);
  return !isWitness && replication !== null && replication.send !== null;
}

/** In the environment of every child of this node's executors (O1). */
export function markOf({ cluster, node, dataDir }: Config): string {
  return `${cluster}/${node}@${dataDir}`;
}
