/** Which calls to the cloud the configured resources may need in a takeover, a release, or fencing. Pure. */
import { type CloudResourceConfig, type Config, dataNodes, isCloud } from '../config/index.ts';
import { ofKind, resourcesOf } from './ask.ts';
import type { CloudCall } from './cloud-probe.ts';

export const cloudResources = (config: Config): readonly CloudResourceConfig[] =>
  resourcesOf(config).filter(isCloud);

export const interfacesOf = (resource: CloudResourceConfig): readonly string[] =>
  'interfaces' in resource ? Object.values(resource.interfaces) : [];

/** This node's interface for a resource of the cloud. */
export const ownInterfaceOf = (config: Config, resource: CloudResourceConfig): string | null =>
  'interfaces' in resource ? (resource.interfaces[config.node] ?? null) : null;

/** Each call once, with this node's ids: permissions may depend on them. */
export function neededCalls(config: Config): readonly CloudCall[] {
  const calls = [
    ...cloudResources(config).flatMap((resource) => callsOf(config, resource)),
    ...fencingCalls(config),
  ];
  return [...new Map(calls.map((call) => [JSON.stringify(call), call])).values()];
}

function callsOf(config: Config, resource: CloudResourceConfig): readonly CloudCall[] {
  const interfaceId = ownInterfaceOf(config, resource) ?? '';
  switch (resource.kind) {
    case 'elastic-ip': {
      const { allocation: allocationId } = resource;
      return [
        { action: 'DescribeAddresses', allocationId },
        { action: 'AssociateAddress', allocationId, interfaceId },
        { action: 'DisassociateAddress', allocationId },
      ];
    }
    case 'vpc-route':
      return resource.tables.flatMap((routeTableId): CloudCall[] => {
        const { destination } = resource;
        return [
          { action: 'DescribeRouteTables', routeTableId },
          { action: 'ReplaceRoute', routeTableId, destination, interfaceId },
          { action: 'CreateRoute', routeTableId, destination, interfaceId },
        ];
      });
    case 'private-ip':
      return [
        { action: 'DescribeNetworkInterfaces', interfaceId },
        { action: 'AssignPrivateIpAddresses', interfaceId },
      ];
    case 'target-group': {
      const { group: targetGroup } = resource;
      const describe: CloudCall = { action: 'DescribeTargetHealth', targetGroup };
      // With role checks the load balancer decides by itself; nothing is called in a takeover.
      return resource.mode === 'role-checks'
        ? [describe, { action: 'RegisterTargets', targetGroup }]
        : [
            describe,
            { action: 'RegisterTargets', targetGroup },
            { action: 'DeregisterTargets', targetGroup },
          ];
    }
  }
}

/** R5: this node may have to stop every other data node, and to isolate its interfaces before. */
function fencingCalls(config: Config): readonly CloudCall[] {
  const { ec2Stop, instances, isolationGroup } = config.fencing;
  if (ec2Stop === 'off' || resourcesOf(config).length === 0) return [];
  const others = dataNodes(config).filter(({ id }) => id !== config.node);
  return others.flatMap(({ id }): CloudCall[] => {
    const instanceId = instances[id];
    if (instanceId === undefined) return [];
    const theirs = cloudResources(config).flatMap((resource) =>
      'interfaces' in resource ? (resource.interfaces[id] ?? []) : [],
    );
    return [
      { action: 'DescribeInstances', instanceId },
      { action: 'StopInstances', instanceId },
      ...(isolationGroup === null ? [] : theirs).map(
        (interfaceId): CloudCall => ({ action: 'ModifyNetworkInterfaceAttribute', interfaceId }),
      ),
    ];
  });
}

/** Where the calls go: HOST and PORT of each service that is used. */
export function endpointsOf(config: Config): readonly { readonly host: string; readonly port: number }[] {
  const { endpoint, region } = config.cloud;
  if (endpoint !== null) {
    const { hostname, port, protocol } = new URL(endpoint);
    const byDefault = protocol === 'http:' ? 80 : 443;
    return [{ host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port === '' ? byDefault : Number(port) }];
  }
  if (region === null) return [];
  const domain = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  const services = ['ec2', ...(ofKind(config, 'target-group').length > 0 ? ['elasticloadbalancing'] : [])];
  return services.map((service) => ({ host: `${service}.${region}.${domain}`, port: 443 }));
}
