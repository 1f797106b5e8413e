/** The part of the config that the executor works with, for this node. */

import type { Config, LocalResourceConfig, ResourceConfig } from '../config/index.ts';
import { dataNodes, isCloud } from '../config/index.ts';
import type { NodeId } from '../core/index.ts';

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
