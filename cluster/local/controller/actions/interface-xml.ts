/** How a network interface looks in XML, on its own and inside its instance. */
import { tagSet } from '../describe.ts';
import { addressOn, type Interface, type World } from '../world.ts';
import type { Xml } from '../xml.ts';

export function groupSet(world: World, one: Interface): Xml {
  return one.groups.map((id) => ({ groupId: id, groupName: world.securityGroups.get(id)?.name ?? id }));
}

export function attachmentId(one: Interface): string {
  return one.id.replace(/^eni-/, 'eni-attach-');
}

/** Only the address that is associated now: after a reassociation the old interface no longer shows it. */
function associationXml(world: World, one: Interface, privateIp: string, withIds: boolean): Xml {
  const address = addressOn(world, one.id, privateIp);
  if (address === null) return undefined;
  return {
    publicIp: address.publicIp,
    publicDnsName: null,
    ipOwnerId: world.ownerId,
    allocationId: withIds ? address.allocationId : undefined,
    associationId: withIds ? address.association?.id : undefined,
  };
}

function common(world: World, one: Interface, withIds: boolean): { [name: string]: Xml } {
  const [primaryIp = ''] = one.privateIps;
  return {
    networkInterfaceId: one.id,
    subnetId: one.subnetId,
    vpcId: world.vpcId,
    description: one.description,
    ownerId: world.ownerId,
    status: one.instanceId === null ? 'available' : 'in-use',
    privateIpAddress: primaryIp,
    sourceDestCheck: one.sourceDestCheck,
    groupSet: groupSet(world, one),
    association: associationXml(world, one, primaryIp, withIds),
    privateIpAddressesSet: one.privateIps.map((ip) => ({
      privateIpAddress: ip,
      primary: ip === primaryIp,
      association: associationXml(world, one, ip, withIds),
    })),
    interfaceType: 'interface',
  };
}

export function interfaceInInstanceXml(world: World, one: Interface): Xml {
  return {
    ...common(world, one, false),
    attachment: {
      attachmentId: attachmentId(one),
      deviceIndex: one.deviceIndex,
      status: 'attached',
      deleteOnTermination: false,
    },
  };
}

export function interfaceXml(world: World, one: Interface): Xml {
  return {
    ...common(world, one, true),
    availabilityZone: world.subnets.get(one.subnetId)?.zone,
    requesterManaged: false,
    attachment:
      one.instanceId === null
        ? undefined
        : {
            attachmentId: attachmentId(one),
            instanceId: one.instanceId,
            instanceOwnerId: world.ownerId,
            deviceIndex: one.deviceIndex,
            status: 'attached',
            deleteOnTermination: false,
          },
    tagSet: tagSet(one.tags),
  };
}
