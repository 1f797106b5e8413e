/** The part of the config that the executor works with, for this node. */

import type { Clock } from '../clock.ts';
import type { Config, ElasticIpResourceConfig, ResourceConfig } from '../config/index.ts';
import { dataNodes } from '../config/index.ts';
import { assert, type NodeId } from '../core/index.ts';
import {
  type Ec2Api,
  ElasticIpResource,
  gatedEc2,
  loadEc2Client,
  type Resource,
} from '../resources/index.ts';
import type { PlanResource } from '../takeover/index.ts';
import type { GuardData } from './guard-protocol.ts';
import type { LeaseBuffer } from './shared-lease.ts';
import { guardSocket } from './unix-path.ts';

const WARM_LIMIT_MS = 5000;

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

export function graphOf(
  resources: readonly ResourceConfig[],
): (PlanResource & { readonly kind: Resource['kind'] })[] {
  return resources.map(({ name, kind, after }) => ({
    name,
    kind,
    after,
    scope: kind === 'elastic-ip' ? 'cloud' : 'local',
  }));
}

/** What the guard's thread is started with. */
export function guardDataOf(
  config: Config,
  selfFence: GuardData['selfFence'],
  lease: LeaseBuffer,
): GuardData {
  const { device, mode } = config.watchdog;
  return {
    dataDir: config.dataDir,
    mark: markOf(config),
    socketPath: guardSocket(config.dataDir),
    resources: resourcesOf(config),
    otherDataNodes: otherDataNodes(config),
    watchdog: mode === 'off' ? null : { device, mode },
    selfFence,
    releaseMs: config.timing.releaseMs,
    isReleaseOnly: false,
    lease,
  };
}

/** In the environment of every child of this node's executors (O1). */
export function markOf({ cluster, node, dataDir }: Config): string {
  return `${cluster}/${node}@${dataDir}`;
}

function addressesOf(config: Config): ElasticIpResourceConfig[] {
  return resourcesOf(config).filter(
    (resource): resource is ElasticIpResourceConfig => resource.kind === 'elastic-ip',
  );
}

/**
 * The resources in the cloud, each with a valid lease asked for right before every mutating call (O2).
 * `apiVia`: the interface to EC2 whose calls leave from this local address.
 */
export function cloudResources(
  config: Config,
  clock: Clock,
  random: () => number,
  mayMutate: () => boolean,
  apiVia: (localAddress: string | null) => Ec2Api,
): Map<string, Resource> {
  const made = new Map<string, Resource>();
  for (const address of addressesOf(config)) {
    const { [config.node]: ownInterface, ...others } = address.interfaces;
    if (ownInterface === undefined) continue;
    const { region, endpoint } = config.cloud;
    made.set(
      address.name,
      new ElasticIpResource({
        name: address.name,
        allocation: address.allocation,
        ownInterface,
        memberInterfaces: new Set(Object.values(others)),
        api: gatedEc2(apiVia(address.via), mayMutate),
        clock,
        random,
        endpoint: endpoint ?? `EC2 in ${region ?? 'the default region'}`,
      }),
    );
  }
  return made;
}

/** Loads and warms the EC2 clients, now and not in a takeover; nothing is loaded where no resource needs it. */
export async function loadCloud(
  config: Config,
  mayMutate: () => boolean,
): Promise<(localAddress: string | null) => Ec2Api> {
  const addresses = addressesOf(config);
  const clients = new Map<string | null, Ec2Api>();
  if (addresses.length > 0) {
    // Our package.json says which versions of Node we support; eight lines on stderr at every start say nothing new.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
    const { Ec2Client } = await loadEc2Client();
    const { region, endpoint } = config.cloud;
    for (const { via, allocation } of addresses) {
      if (clients.has(via)) continue;
      const client = new Ec2Client({ region, endpoint, localAddress: via, mayMutate });
      clients.set(via, client);
      void client.warm(allocation, { signal: AbortSignal.timeout(WARM_LIMIT_MS), timeoutMs: WARM_LIMIT_MS });
    }
  }
  return (localAddress) => {
    const client = clients.get(localAddress);
    assert(client !== undefined, 'every address of the config has its client');
    return client;
  };
}
