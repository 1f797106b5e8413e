/** The part of the config that the executor works with, for this node. */
import type { Config, ElasticIpResourceConfig, ResourceConfig } from '../config/index.ts';
import { dataNodes } from '../config/index.ts';
import type { NodeId } from '../core/index.ts';
import { type Clock, ElasticIpResource, loadEc2Client, type Resource } from '../resources/index.ts';
import type { PlanResource } from '../takeover/index.ts';

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

/** Loads and warms the EC2 client, now and not in a takeover; nothing is loaded where no resource needs it. */
export async function cloudResources(
  config: Config,
  clock: Clock,
  mayMutate: () => boolean,
): Promise<Map<string, Resource>> {
  const addresses = resourcesOf(config).filter(
    (resource): resource is ElasticIpResourceConfig => resource.kind === 'elastic-ip',
  );
  const made = new Map<string, Resource>();
  if (addresses.length === 0) return made;
  // Our package.json says which versions of Node we support; eight lines on stderr at every start say nothing new.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const { Ec2Client } = await loadEc2Client();
  const { region, endpoint } = config.cloud;
  const clients = new Map<string | null, InstanceType<typeof Ec2Client>>();
  for (const address of addresses) {
    const api =
      clients.get(address.via) ?? new Ec2Client({ region, endpoint, localAddress: address.via, mayMutate });
    clients.set(address.via, api);
    const { [config.node]: ownInterface, ...others } = address.interfaces;
    if (ownInterface === undefined) continue;
    made.set(
      address.name,
      new ElasticIpResource({
        name: address.name,
        allocation: address.allocation,
        ownInterface,
        memberInterfaces: new Set(Object.values(others)),
        api,
        clock,
        random: Math.random,
        endpoint: endpoint ?? `EC2 in ${region ?? 'the default region'}`,
      }),
    );
    void api.warm(address.allocation, {
      signal: AbortSignal.timeout(WARM_LIMIT_MS),
      timeoutMs: WARM_LIMIT_MS,
    });
  }
  return made;
}
