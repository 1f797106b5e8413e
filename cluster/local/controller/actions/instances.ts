/** Instances and zones. `stopping` proves nothing: the machine may still be shutting down, and writing. */
import { applyFilters, type FilterFields, page, selectByIds, tagSet } from '../describe.ts';
import { Ec2Error, missingParameter } from '../ec2-error.ts';
import {
  addressOn,
  type Instance,
  type InstanceState,
  type Interface,
  interfacesOf,
  STATE_CODES,
  type World,
} from '../world.ts';
import type { Xml } from '../xml.ts';
import { type Action, type Call, DRY_RUN, FILTERS, instanceNotFound, PAGES } from './action.ts';
import { groupSet, interfaceInInstanceXml } from './interface-xml.ts';

export const stateXml = (state: InstanceState): Xml => ({ code: STATE_CODES[state], name: state });

function primary(world: World, one: Instance): Interface | undefined {
  return interfacesOf(world, one.id)[0];
}

function publicIps(world: World, one: Instance): string[] {
  return interfacesOf(world, one.id).flatMap((eni) =>
    eni.privateIps.flatMap((ip) => addressOn(world, eni.id, ip)?.publicIp ?? []),
  );
}

function fields(world: World): FilterFields<Instance> {
  return {
    'availability-zone': (one) => [one.zone],
    'instance-id': (one) => [one.id],
    'instance-state-code': (one) => [String(STATE_CODES[one.state])],
    'instance-state-name': (one) => [one.state],
    'ip-address': (one) => publicIps(world, one),
    'network-interface.network-interface-id': (one) => interfacesOf(world, one.id).map((eni) => eni.id),
    'private-ip-address': (one) => interfacesOf(world, one.id).flatMap((eni) => eni.privateIps),
    'subnet-id': (one) => [primary(world, one)?.subnetId],
    'vpc-id': () => [world.vpcId],
  };
}

function describeInstances({ query, view }: Call): { [name: string]: Xml } {
  const ids = query.list('InstanceId');
  const chosen = selectByIds(view.instances, ids, instanceNotFound);
  const { items, nextToken } = page(applyFilters(chosen, query, fields(view)), query, ids.length > 0);
  return {
    reservationSet: items.map((one) => ({
      reservationId: one.id.replace(/^i-/, 'r-'),
      ownerId: view.ownerId,
      groupSet: null,
      instancesSet: [instanceXml(view, one)],
    })),
    nextToken,
  };
}

function instanceXml(world: World, one: Instance): Xml {
  const eni = primary(world, one);
  return {
    instanceId: one.id,
    instanceState: stateXml(one.state),
    privateIpAddress: eni?.privateIps[0],
    ipAddress: publicIps(world, one)[0],
    placement: { availabilityZone: one.zone, groupName: null, tenancy: 'default' },
    monitoring: { state: 'disabled' },
    subnetId: eni?.subnetId,
    vpcId: world.vpcId,
    sourceDestCheck: eni?.sourceDestCheck,
    groupSet: eni === undefined ? undefined : groupSet(world, eni),
    tagSet: tagSet(one.tags),
    networkInterfaceSet: interfacesOf(world, one.id).map((each) => interfaceInInstanceXml(world, each)),
  };
}

function describeInstanceStatus({ query, view }: Call): { [name: string]: Xml } {
  const ids = query.list('InstanceId');
  const all = query.flag('IncludeAllInstances') === true;
  const chosen = selectByIds(view.instances, ids, instanceNotFound).filter(
    (one) => all || one.state === 'running',
  );
  const statusFields: FilterFields<Instance> = {
    'availability-zone': (one) => [one.zone],
    'instance-state-code': (one) => [String(STATE_CODES[one.state])],
    'instance-state-name': (one) => [one.state],
  };
  const { items, nextToken } = page(applyFilters(chosen, query, statusFields), query, ids.length > 0);
  const check = (one: Instance): Xml => {
    if (one.state !== 'running') return { status: 'not-applicable' };
    const [status, result] = one.powered ? ['ok', 'passed'] : ['impaired', 'failed'];
    return { status, details: [{ name: 'reachability', status: result }] };
  };
  return {
    instanceStatusSet: items.map((one) => ({
      instanceId: one.id,
      availabilityZone: one.zone,
      instanceState: stateXml(one.state),
      systemStatus: check(one),
      instanceStatus: check(one),
    })),
    nextToken,
  };
}

/** All or nothing: one bad id, and no instance changes. */
function neededInstances({ query, store }: Call): Instance[] {
  const ids = query.list('InstanceId');
  if (ids.length === 0) throw missingParameter('InstanceId');
  return selectByIds(store.current.instances, ids, instanceNotFound);
}

function changesXml(before: readonly Instance[], world: World): { instancesSet: Xml } {
  return {
    instancesSet: before.map((one) => ({
      currentState: stateXml(world.instances.get(one.id)?.state ?? one.state),
      instanceId: one.id,
      previousState: stateXml(one.state),
    })),
  };
}

function stopInstances(call: Call): { instancesSet: Xml } {
  const { query } = call;
  const how = { force: query.flag('Force') === true, skipOsShutdown: query.flag('SkipOsShutdown') === true };
  const before = neededInstances(call);
  const wrong = before.find((one) => !['running', 'stopping', 'stopped'].includes(one.state));
  if (wrong !== undefined) throw notInState(wrong, 'stopped');
  for (const one of before) call.power.stop(one.id, how);
  return changesXml(before, call.store.current);
}

function startInstances(call: Call): { instancesSet: Xml } {
  const before = neededInstances(call);
  const wrong = before.find((one) => !['running', 'pending', 'stopped'].includes(one.state));
  if (wrong !== undefined) throw notInState(wrong, 'started');
  for (const one of before) call.power.start(one.id);
  return changesXml(before, call.store.current);
}

function notInState(one: Instance, verb: string): Ec2Error {
  const message = `The instance '${one.id}' is not in a state from which it can be ${verb}.`;
  return new Ec2Error('IncorrectInstanceState', message);
}

function describeAvailabilityZones({ query, view }: Call): { availabilityZoneInfo: Xml } {
  const zones = new Map(view.zones.map((name) => [name, { name, tags: {} }]));
  const chosen = selectByIds(zones, query.list('ZoneName'), (missing) => {
    return new Ec2Error('InvalidParameterValue', `Invalid availability zones: [${missing.join(', ')}]`);
  });
  const zoneFields = {
    'region-name': () => [view.region],
    state: () => ['available'],
    'zone-name': (zone: { name: string }) => [zone.name],
  };
  return {
    availabilityZoneInfo: applyFilters(chosen, query, zoneFields).map(({ name }) => ({
      zoneName: name,
      zoneState: 'available',
      regionName: view.region,
      messageSet: null,
    })),
  };
}

export const INSTANCE_ACTIONS = {
  DescribeInstances: { parameters: [DRY_RUN, 'InstanceId.N', ...FILTERS, ...PAGES], run: describeInstances },
  DescribeInstanceStatus: {
    parameters: [DRY_RUN, 'InstanceId.N', 'IncludeAllInstances', ...FILTERS, ...PAGES],
    run: describeInstanceStatus,
  },
  StopInstances: {
    parameters: [DRY_RUN, 'InstanceId.N', 'Force', 'SkipOsShutdown', 'Hibernate'],
    run: stopInstances,
  },
  StartInstances: { parameters: [DRY_RUN, 'InstanceId.N', 'AdditionalInfo'], run: startInstances },
  DescribeAvailabilityZones: {
    parameters: [DRY_RUN, 'ZoneName.N', 'AllAvailabilityZones', ...FILTERS],
    run: describeAvailabilityZones,
  },
} satisfies Record<string, Action>;
