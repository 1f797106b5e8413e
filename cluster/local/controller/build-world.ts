import { canonicalCidr } from './cidr.ts';
import type { ControllerState } from './state-file.ts';
import { codeRange } from './state-target-groups.ts';
import type { RouteTarget, TargetGroup, World } from './world.ts';

/** The first world. Association ids come from the same source as later ones, so that none is ever used twice. */
export function buildWorld(state: ControllerState, newAssociationId: () => string): World {
  const zoneOf = new Map(state.instances.map((one) => [one.id, one.zone]));
  const subnets = state.subnets.map((one) => ({ ...one, cidr: one.cidr ?? null }));
  const zones = [
    ...new Set([...state.instances.map((one) => one.zone), ...subnets.map((one) => one.zone)]),
  ].sort();
  const madeUp = zones.map((zone) => ({ id: `subnet-of-${zone}`, zone, cidr: null }));
  const counts = new Map<string | null, number>();
  const interfaces = state.interfaces.map(({ instance, subnet, ...one }) => {
    const deviceIndex = one.deviceIndex ?? counts.get(instance) ?? 0;
    counts.set(instance, deviceIndex + 1);
    const subnetId = subnet ?? `subnet-of-${zoneOf.get(instance ?? '')}`;
    return { ...one, instanceId: instance, deviceIndex, subnetId, linkUp: true };
  });
  const needed = madeUp.filter((subnet) => interfaces.some((one) => one.subnetId === subnet.id));
  return {
    region: state.region,
    ownerId: state.ownerId,
    vpcId: state.vpc.id,
    zones,
    subnets: byId([...subnets, ...needed]),
    securityGroups: byId(state.securityGroups.map((one) => ({ ...one, name: one.name ?? one.id }))),
    instances: byId(state.instances.map((one) => ({ ...one, powered: one.state === 'running' }))),
    interfaces: byId(interfaces),
    addresses: new Map(
      state.addresses.map(({ associatedWith: held, ...one }) => {
        const privateIp =
          held?.privateIp ?? state.interfaces.find((eni) => eni.id === held?.interface)?.privateIps[0] ?? '';
        const association =
          held === undefined ? null : { id: newAssociationId(), interfaceId: held.interface, privateIp };
        return [one.allocationId, { ...one, association }];
      }),
    ),
    routeTables: byId(
      state.routeTables.map(({ subnets: subnetIds, routes, ...table }) => ({
        ...table,
        subnetIds,
        routes: [
          ...(state.vpc.cidr === undefined ? [] : [localRoute(state.vpc.cidr)]),
          ...routes.map((route) => ({
            destination: canonicalCidr(route.destination) ?? route.destination,
            target: routeTarget(route),
            origin: 'CreateRoute' as const,
          })),
        ],
      })),
    ),
    targetGroups: new Map(state.targetGroups.map((one) => [one.arn, targetGroup(one)])),
  };
}

function targetGroup({ targets, ...group }: ControllerState['targetGroups'][number]): TargetGroup {
  const { healthCheck } = group;
  return {
    ...group,
    healthCheck: { ...healthCheck, codes: codeRange(healthCheck.codes) },
    targets: targets.map(({ id, port }, index) => ({
      id,
      port: port ?? group.port,
      state: 'initial',
      reason: 'Elb.RegistrationInProgress',
      description: 'Target registration is in progress',
      registration: index + 1,
    })),
  };
}

function routeTarget(route: { interface?: string | undefined; gateway?: string | undefined }): RouteTarget {
  if (route.interface !== undefined) return { kind: 'interface', id: route.interface };
  return { kind: 'gateway', id: route.gateway ?? 'local' };
}

function localRoute(block: string) {
  const target: RouteTarget = { kind: 'gateway', id: 'local' };
  return { destination: canonicalCidr(block) ?? block, target, origin: 'CreateRouteTable' as const };
}

function byId<Item extends { readonly id: string }>(items: readonly Item[]): ReadonlyMap<string, Item> {
  return new Map(items.map((item) => [item.id, item]));
}
