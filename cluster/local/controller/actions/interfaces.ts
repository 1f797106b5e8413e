/** Network interfaces and their private addresses. */
import { inCidr } from '../cidr.ts';
import { applyFilters, type FilterFields, page, selectByIds } from '../describe.ts';
import { Ec2Error, invalidCombination, invalidParameterValue, missingParameter } from '../ec2-error.ts';
import { addressOn, type Interface, interfaceWithIp, type World, withItem } from '../world.ts';
import type { Xml } from '../xml.ts';
import {
  type Action,
  type Call,
  DRY_RUN,
  FILTERS,
  interfaceNotFound,
  needInterface,
  PAGES,
} from './action.ts';
import { attachmentId, interfaceXml } from './interface-xml.ts';

/** EC2's limit depends on the instance type; this is a common one. */
const MAX_ADDRESSES_PER_INTERFACE = 15;

function addressesOf(world: World, one: Interface) {
  return one.privateIps.flatMap((ip) => addressOn(world, one.id, ip) ?? []);
}

function fields(world: World): FilterFields<Interface> {
  return {
    'addresses.private-ip-address': (one) => one.privateIps,
    'addresses.association.public-ip': (one) => addressesOf(world, one).map((address) => address.publicIp),
    'association.allocation-id': (one) => addressesOf(world, one).map((address) => address.allocationId),
    'association.association-id': (one) => addressesOf(world, one).map((address) => address.association?.id),
    'association.public-ip': (one) => addressesOf(world, one).map((address) => address.publicIp),
    'attachment.attachment-id': (one) => [one.instanceId === null ? null : attachmentId(one)],
    'attachment.instance-id': (one) => [one.instanceId],
    'availability-zone': (one) => [world.subnets.get(one.subnetId)?.zone],
    'group-id': (one) => one.groups,
    'network-interface-id': (one) => [one.id],
    'private-ip-address': (one) => one.privateIps,
    'source-dest-check': (one) => [String(one.sourceDestCheck)],
    status: (one) => [one.instanceId === null ? 'available' : 'in-use'],
    'subnet-id': (one) => [one.subnetId],
    'vpc-id': () => [world.vpcId],
  };
}

function describeNetworkInterfaces({ query, view }: Call): { [name: string]: Xml } {
  const ids = query.list('NetworkInterfaceId');
  const chosen = selectByIds(view.interfaces, ids, interfaceNotFound);
  const { items, nextToken } = page(applyFilters(chosen, query, fields(view)), query, ids.length > 0);
  return { networkInterfaceSet: items.map((one) => interfaceXml(view, one)), nextToken };
}

/**
 * Errors come at once, the move comes later, as in EC2. It is checked again then: between the call and the move
 * the address may have been moved by somebody else, and the later call must win.
 */
function assignPrivateIpAddresses({ query, store, later, reassignMs }: Call): { [name: string]: Xml } {
  const interfaceId = query.required('NetworkInterfaceId');
  needInterface(store.current, interfaceId);
  const ips = query.list('PrivateIpAddress');
  if (query.text('SecondaryPrivateIpAddressCount') !== null) {
    throw new Ec2Error(
      'UnsupportedOperation',
      'This controller does not choose addresses; name them in PrivateIpAddress.N',
    );
  }
  if (ips.length === 0) throw missingParameter('PrivateIpAddress');
  const mayTake = query.flag('AllowReassignment') === true;
  assigned(store.current, interfaceId, ips, mayTake);
  later(reassignMs, () => {
    try {
      store.commit(assigned(store.current, interfaceId, ips, mayTake));
    } catch (error) {
      if (!(error instanceof Ec2Error)) throw error; // accepted, and overtaken by a later change: nothing moves
    }
  });
  return {
    networkInterfaceId: interfaceId,
    assignedPrivateIpAddressesSet: ips.map((privateIpAddress) => ({ privateIpAddress })),
    return: true,
  };
}

function assigned(world: World, interfaceId: string, ips: readonly string[], mayTake: boolean): World {
  let next = world;
  for (const ip of ips) next = assignedOne(next, needInterface(next, interfaceId), ip, mayTake);
  return next;
}

function assignedOne(world: World, target: Interface, ip: string, mayTake: boolean): World {
  const owner = interfaceWithIp(world, ip);
  if (owner?.id === target.id) return world;
  const cidr = world.subnets.get(target.subnetId)?.cidr ?? null;
  if (!inCidr(ip, cidr ?? '0.0.0.0/0')) {
    throw invalidParameterValue(`Address ${ip} does not fall within the subnet's address range`);
  }
  if (target.privateIps.length >= MAX_ADDRESSES_PER_INTERFACE) {
    const message = `Number of private addresses will exceed limit of ${MAX_ADDRESSES_PER_INTERFACE}.`;
    throw new Ec2Error('PrivateIpAddressLimitExceeded', message);
  }
  const gained = { ...target, privateIps: [...target.privateIps, ip] };
  if (owner === null) return withItem(world, 'interfaces', target.id, gained);
  if (!mayTake) throw invalidParameterValue(`[${ip}] already assigned. AllowReassignment is not set.`);
  if (owner.privateIps[0] === ip) {
    throw invalidParameterValue(
      `${ip} is the primary private IP address of ${owner.id} and cannot be reassigned.`,
    );
  }
  const lost = { ...owner, privateIps: owner.privateIps.filter((one) => one !== ip) };
  const address = addressOn(world, owner.id, ip);
  const moved = withItem(withItem(world, 'interfaces', owner.id, lost), 'interfaces', target.id, gained);
  if (address?.association == null) return moved;
  // Its elastic IP goes along; nobody made a new association, so the id stays (check on a real account).
  const association = { ...address.association, interfaceId: target.id };
  return withItem(moved, 'addresses', address.allocationId, { ...address, association });
}

function unassignPrivateIpAddresses({ query, store }: Call): { return: boolean } {
  let world = store.current;
  const before = needInterface(world, query.required('NetworkInterfaceId'));
  const ips = query.list('PrivateIpAddress');
  if (ips.length === 0) throw missingParameter('PrivateIpAddress');
  if (ips.some((ip) => !before.privateIps.includes(ip))) {
    throw invalidParameterValue(`Some of the specified addresses are not assigned to interface ${before.id}`);
  }
  if (before.privateIps[0] !== undefined && ips.includes(before.privateIps[0])) {
    throw invalidParameterValue(`The primary private IP address of ${before.id} cannot be unassigned.`);
  }
  for (const ip of ips) {
    const address = addressOn(world, before.id, ip);
    if (address === null) continue;
    world = withItem(world, 'addresses', address.allocationId, { ...address, association: null });
  }
  const privateIps = before.privateIps.filter((ip) => !ips.includes(ip));
  store.commit(withItem(world, 'interfaces', before.id, { ...before, privateIps }));
  return { return: true };
}

/** One attribute per call, as EC2 demands. */
function modifyNetworkInterfaceAttribute({ query, store }: Call): { return: boolean } {
  const world = store.current;
  const one = needInterface(world, query.required('NetworkInterfaceId'));
  const groups = query.list('SecurityGroupId');
  const sourceDestCheck = query.flag('SourceDestCheck.Value');
  const description = query.text('Description.Value');
  const given = [groups.length > 0, sourceDestCheck !== null, description !== null].filter(Boolean).length;
  if (given === 0) throw invalidCombination('No attributes specified.');
  if (given > 1) throw invalidCombination('Multiple attributes specified');
  const unknown = groups.find((id) => !world.securityGroups.has(id));
  if (unknown !== undefined) {
    throw new Ec2Error('InvalidGroup.NotFound', `The security group '${unknown}' does not exist`);
  }
  const changed = {
    ...one,
    groups: groups.length > 0 ? groups : one.groups,
    sourceDestCheck: sourceDestCheck ?? one.sourceDestCheck,
    description: description ?? one.description,
  };
  store.commit(withItem(world, 'interfaces', one.id, changed));
  return { return: true };
}

export const INTERFACE_ACTIONS = {
  DescribeNetworkInterfaces: {
    parameters: [DRY_RUN, 'NetworkInterfaceId.N', ...FILTERS, ...PAGES],
    run: describeNetworkInterfaces,
  },
  // These two have no DryRun in EC2's model.
  AssignPrivateIpAddresses: {
    parameters: [
      'NetworkInterfaceId',
      'PrivateIpAddress.N',
      'SecondaryPrivateIpAddressCount',
      'AllowReassignment',
    ],
    run: assignPrivateIpAddresses,
  },
  UnassignPrivateIpAddresses: {
    parameters: ['NetworkInterfaceId', 'PrivateIpAddress.N'],
    run: unassignPrivateIpAddresses,
  },
  ModifyNetworkInterfaceAttribute: {
    parameters: [
      DRY_RUN,
      'NetworkInterfaceId',
      'SecurityGroupId.N',
      'SourceDestCheck.Value',
      'Description.Value',
    ],
    run: modifyNetworkInterfaceAttribute,
  },
} satisfies Record<string, Action>;
