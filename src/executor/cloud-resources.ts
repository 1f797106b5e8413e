/** The resources in the cloud and the fencer, from their config: each mutating call asks for its right before it leaves (O2). */
import type { Clock } from '../clock.ts';
import { type CloudResourceConfig, type Config, isCloud } from '../config/index.ts';
import { assert, assertNever, type NodeId } from '../core/index.ts';
import {
  type CloudWatch,
  type Ec2Api,
  Ec2Fencer,
  ElasticIpResource,
  type ElbApi,
  gatedEc2,
  gatedElb,
  loadEc2Client,
  loadElbClient,
  PrivateIpResource,
  type Resource,
  TargetGroupResource,
  VpcRouteResource,
} from '../resources/index.ts';
import type { NodeFencer } from './fence-orders.ts';
import { resourcesOf } from './settings.ts';

const WARM_LIMIT_MS = 5000;

/** `via`: the local address that calls leave from; null means the system's choice. */
export interface CloudApis {
  ec2(via: string | null): Ec2Api;
  elb(via: string | null): ElbApi;
  /** Another right than that of the resources: who may fence need not hold (R5). */
  fencing(mayMutate: () => boolean): Ec2Api;
}

export interface CloudParts {
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly mayMutate: () => boolean;
  readonly apis: CloudApis;
}

export function cloudResources(config: Config, parts: CloudParts): Map<string, Resource> {
  const made = cloudOf(config).flatMap((one) => {
    const resource = cloudResource(one, config, parts);
    return resource === null ? [] : [[one.name, resource] as const];
  });
  return new Map(made);
}

function cloudOf(config: Config): CloudResourceConfig[] {
  return resourcesOf(config).filter(isCloud);
}

const endpointOf = ({ cloud: { region, endpoint } }: Config): string =>
  endpoint ?? `AWS in ${region ?? 'the default region'}`;

/** Null where the config gives this node no part in it. */
function cloudResource(
  one: CloudResourceConfig,
  config: Config,
  { clock, random, mayMutate, apis }: CloudParts,
): Resource | null {
  const setting = { name: one.name, clock, random, endpoint: endpointOf(config) };
  if (one.kind === 'target-group') {
    const { group, mode, port } = one;
    const { [config.node]: own, ...others } = one.targets;
    if (own === undefined) return null;
    const ownTarget = { id: own, port };
    const otherTargets = Object.values(others).map((id) => ({ id, port }));
    const elb = gatedElb(apis.elb(one.via), mayMutate);
    return new TargetGroupResource({ ...setting, group, mode, ownTarget, otherTargets, elb });
  }
  const { [config.node]: ownInterface, ...others } = one.interfaces;
  if (ownInterface === undefined) return null;
  const api = gatedEc2(apis.ec2(one.via), mayMutate);
  const shared = { ...setting, ownInterface, memberInterfaces: new Set(Object.values(others)), api };
  switch (one.kind) {
    case 'elastic-ip':
      return new ElasticIpResource({ ...shared, allocation: one.allocation, privateIp: one.privateIp });
    case 'vpc-route':
      return new VpcRouteResource({ ...shared, tables: one.tables, destination: one.destination });
    case 'private-ip':
      return new PrivateIpResource({ ...shared, address: one.address });
    default:
      return assertNever(one);
  }
}

/** R5; null where nothing can be stopped. */
export function cloudFencer(
  config: Config,
  { clock, random, apis }: Pick<CloudParts, 'clock' | 'random' | 'apis'>,
  mayMutate: () => boolean,
): NodeFencer | null {
  const { instances, isolationGroup } = config.fencing;
  if (!canFence(config)) return null;
  const interfaces = new Map<NodeId, Set<string>>();
  for (const one of cloudOf(config)) {
    if (one.kind === 'target-group') continue;
    for (const [node, id] of Object.entries(one.interfaces) as [NodeId, string][])
      interfaces.set(node, (interfaces.get(node) ?? new Set()).add(id));
  }
  return new Ec2Fencer({
    instances: new Map(Object.entries(instances) as [NodeId, string][]),
    isolationGroup,
    interfaces: new Map([...interfaces].map(([node, ids]) => [node, [...ids]])),
    api: gatedEc2(apis.fencing(mayMutate), mayMutate),
    clock,
    random,
    endpoint: endpointOf(config),
  });
}

/** A witness never holds, so it never fences. */
function canFence(config: Config): boolean {
  const { ec2Stop, instances } = config.fencing;
  const isWitness = config.members.some(({ id, witness }) => id === config.node && witness);
  return !isWitness && ec2Stop !== 'off' && Object.keys(instances).length > 0;
}

/**
 * Loads and warms the clients, now and not in a takeover; nothing is loaded where no resource needs it. `mayMutate` is asked
 * by the clients a second time, after signing. `watch` is told of every call.
 */
export async function loadCloud(
  config: Config,
  mayMutate: () => boolean,
  watch: CloudWatch,
): Promise<CloudApis> {
  const resources = cloudOf(config);
  const { region, endpoint } = config.cloud;
  const ec2 = new Map<string | null, Ec2Api>();
  const elb = new Map<string | null, ElbApi>();
  const limit = (): { signal: AbortSignal; timeoutMs: number } => ({
    signal: AbortSignal.timeout(WARM_LIMIT_MS),
    timeoutMs: WARM_LIMIT_MS,
  });
  // Our package.json says which versions of Node we support; eight lines on stderr at every start say nothing new.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const onEc2 = resources.filter((one) => one.kind !== 'target-group');
  const loaded = onEc2.length > 0 || canFence(config) ? await loadEc2Client() : null;
  for (const one of onEc2) {
    if (ec2.has(one.via) || loaded === null) continue;
    const client = new loaded.Ec2Client({ region, endpoint, localAddress: one.via, mayMutate, watch });
    ec2.set(one.via, client);
    void client.warm(warmSubject(one), limit());
  }
  const groups = resources.filter((one) => one.kind === 'target-group');
  if (groups.length > 0) {
    const { ElbClient } = await loadElbClient();
    for (const { via, group } of groups) {
      if (elb.has(via)) continue;
      const client = new ElbClient({ region, endpoint, localAddress: via, mayMutate, watch });
      elb.set(via, client);
      void client.warm(group, limit());
    }
  }
  return {
    ec2: (via) => known(ec2.get(via)),
    elb: (via) => known(elb.get(via)),
    fencing: (mayFence) => {
      const { Ec2Client } = known(loaded ?? undefined);
      return new Ec2Client({ region, endpoint, localAddress: null, mayMutate: mayFence, watch });
    },
  };
}

function known<Part>(part: Part | undefined): Part {
  assert(part !== undefined, 'what the config needs was loaded');
  return part;
}

function warmSubject(one: Exclude<CloudResourceConfig, { kind: 'target-group' }>) {
  switch (one.kind) {
    case 'elastic-ip':
      return { kind: 'address', allocationId: one.allocation } as const;
    case 'vpc-route':
      return { kind: 'route-tables', tables: one.tables } as const;
    case 'private-ip':
      return { kind: 'interfaces', ids: Object.values(one.interfaces) } as const;
  }
}
