/** Elastic IP addresses. AssociateAddress is no compare-and-set: without AllowReassociation=false it steals. */
import { applyFilters, type FilterFields, selectByIds, tagSet } from '../describe.ts';
import { Ec2Error, invalidCombination, invalidParameterValue, missingParameter } from '../ec2-error.ts';
import type { Query } from '../query.ts';
import { type Address, type Association, addressOn, type Interface, type World, withItem } from '../world.ts';
import type { Xml } from '../xml.ts';
import { type Action, type Call, DRY_RUN, FILTERS, needInterface, onlyInterfaceOf } from './action.ts';

const allocationNotFound = (ids: readonly string[]): Ec2Error =>
  new Ec2Error('InvalidAllocationID.NotFound', `The allocation ID '${ids.join(', ')}' does not exist`);

function fields(world: World): FilterFields<Address> {
  return {
    'allocation-id': (one) => [one.allocationId],
    'association-id': (one) => [one.association?.id],
    domain: () => ['vpc'],
    'instance-id': (one) => [holderInstance(world, one)],
    'network-interface-id': (one) => [one.association?.interfaceId],
    'network-interface-owner-id': (one) => [one.association === null ? null : world.ownerId],
    'private-ip-address': (one) => [one.association?.privateIp],
    'public-ip': (one) => [one.publicIp],
  };
}

function holderInstance(world: World, { association }: Address): string | null {
  return association === null ? null : (world.interfaces.get(association.interfaceId)?.instanceId ?? null);
}

function describeAddresses({ query, view }: Call): { addressesSet: Xml } {
  const chosen = selectByIds(view.addresses, query.list('AllocationId'), allocationNotFound);
  const publicIps = query.list('PublicIp');
  const byIp = new Map([...view.addresses.values()].map((one) => [one.publicIp, one]));
  const named = selectByIds(byIp, publicIps, (missing) => {
    return new Ec2Error('InvalidAddress.NotFound', `Address '${missing.join(', ')}' not found.`);
  });
  const both = chosen.filter((one) => named.includes(one));
  return { addressesSet: applyFilters(both, query, fields(view)).map((one) => addressXml(view, one)) };
}

function addressXml(world: World, one: Address): Xml {
  const { association } = one;
  return {
    instanceId: holderInstance(world, one),
    publicIp: one.publicIp,
    allocationId: one.allocationId,
    associationId: association?.id,
    domain: 'vpc',
    networkInterfaceId: association?.interfaceId,
    networkInterfaceOwnerId: association === null ? undefined : world.ownerId,
    privateIpAddress: association?.privateIp,
    tagSet: tagSet(one.tags),
  };
}

function associateAddress({ query, store, newAssociationId }: Call): { associationId: string } {
  const world = store.current;
  const address = namedAddress(world, query);
  const target = targetInterface(world, query);
  const privateIp = query.text('PrivateIpAddress') ?? primaryIp(target);
  if (!target.privateIps.includes(privateIp)) {
    throw invalidParameterValue(`The private IP address '${privateIp}' is not assigned to '${target.id}'.`);
  }
  const displaced = addressOn(world, target.id, privateIp);
  // Absent means true: "reassociation is automatic". False refuses a held address, even when it is held right here.
  if (query.flag('AllowReassociation') === false) {
    if (address.association !== null) throw alreadyAssociated(address.publicIp);
    if (displaced !== null) throw alreadyAssociated(target.id);
  }
  const association: Association = { id: newAssociationId(), interfaceId: target.id, privateIp };
  const cleared = displaced === null ? world : disassociated(world, displaced);
  store.commit(withItem(cleared, 'addresses', address.allocationId, { ...address, association }));
  return { associationId: association.id };
}

const alreadyAssociated = (what: string): Ec2Error =>
  new Ec2Error('Resource.AlreadyAssociated', `Resource ${what} is already associated.`);

function primaryIp(one: Interface): string {
  const [primary] = one.privateIps;
  if (primary === undefined) throw invalidParameterValue(`Interface ${one.id} has no private address.`);
  return primary;
}

function namedAddress(world: World, query: Query): Address {
  const id = query.text('AllocationId');
  const publicIp = query.text('PublicIp');
  if (id !== null && publicIp !== null) {
    throw invalidCombination('You may specify public IP or allocation id, but not both in the same call');
  }
  if (id === null && publicIp === null) throw missingParameter('AllocationId');
  for (const one of world.addresses.values())
    if (one.allocationId === id || one.publicIp === publicIp) return one;
  if (id !== null) throw allocationNotFound([id]);
  throw new Ec2Error('InvalidAddress.NotFound', `Address '${publicIp}' not found.`);
}

function targetInterface(world: World, query: Query): Interface {
  const interfaceId = query.text('NetworkInterfaceId');
  const instanceId = query.text('InstanceId');
  if (interfaceId !== null && instanceId !== null) {
    throw invalidCombination(
      'You may specify instance ID or network interface ID, but not both in the same call',
    );
  }
  const one = interfaceId === null ? instanceInterface(world, instanceId) : needInterface(world, interfaceId);
  const state = one.instanceId === null ? undefined : world.instances.get(one.instanceId)?.state;
  if (state === 'pending' || state === 'terminated' || state === 'shutting-down') {
    throw new Ec2Error(
      'IncorrectInstanceState',
      `The ${state} instance '${one.instanceId}' is not in a valid state for this operation.`,
    );
  }
  return one;
}

function instanceInterface(world: World, instanceId: string | null): Interface {
  if (instanceId === null) throw missingParameter('NetworkInterfaceId');
  return onlyInterfaceOf(world, instanceId);
}

function disassociated(world: World, address: Address): World {
  return withItem(world, 'addresses', address.allocationId, { ...address, association: null });
}

/** Only the id of the living association counts: the id of one that was replaced changes nothing. */
function disassociateAddress({ query, store }: Call): { return: boolean } {
  const world = store.current;
  const id = query.text('AssociationId');
  const publicIp = query.text('PublicIp');
  if (id !== null && publicIp !== null) {
    throw invalidCombination('You may specify public IP or association id, but not both in the same call');
  }
  if (id === null && publicIp === null) throw missingParameter('AssociationId');
  const address =
    publicIp === null
      ? [...world.addresses.values()].find((one) => one.association?.id === id)
      : namedAddress(world, query);
  if (address === undefined) {
    throw new Ec2Error('InvalidAssociationID.NotFound', `The association ID '${id}' does not exist`);
  }
  store.commit(disassociated(world, address));
  return { return: true };
}

export const ADDRESS_ACTIONS = {
  DescribeAddresses: {
    parameters: [DRY_RUN, 'AllocationId.N', 'PublicIp.N', ...FILTERS],
    run: describeAddresses,
  },
  AssociateAddress: {
    parameters: [
      DRY_RUN,
      'AllocationId',
      'PublicIp',
      'InstanceId',
      'NetworkInterfaceId',
      'PrivateIpAddress',
      'AllowReassociation',
    ],
    run: associateAddress,
  },
  DisassociateAddress: { parameters: [DRY_RUN, 'AssociationId', 'PublicIp'], run: disassociateAddress },
} satisfies Record<string, Action>;
