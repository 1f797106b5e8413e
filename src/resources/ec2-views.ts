/** EC2's answers in our words. Whatever EC2 leaves out, or says in a word that we do not know, is unknown, never "no". */
import type { Address, NetworkInterface, Route, InstanceState as SdkState } from '@aws-sdk/client-ec2';
import {
  type AddressView,
  INSTANCE_STATES,
  type InstanceState,
  type InterfaceView,
  type RouteView,
} from './ec2.ts';

export function addressView(address: Address, allocationId: string): AddressView {
  return {
    publicIp: address.PublicIp ?? allocationId,
    associationId: emptyToNull(address.AssociationId),
    interfaceId: emptyToNull(address.NetworkInterfaceId),
    privateIp: emptyToNull(address.PrivateIpAddress),
  };
}

export function routeView(route: Route): RouteView {
  const interfaceId = emptyToNull(route.NetworkInterfaceId);
  const state = route.State;
  return {
    destination:
      route.DestinationCidrBlock ?? route.DestinationIpv6CidrBlock ?? route.DestinationPrefixListId ?? '',
    target:
      interfaceId === null
        ? { kind: 'other', id: otherTarget(route) }
        : { kind: 'interface', id: interfaceId },
    state: state === 'active' || state === 'blackhole' ? state : 'unknown',
  };
}

function otherTarget(route: Route): string {
  const ids = [
    route.InstanceId,
    route.GatewayId,
    route.NatGatewayId,
    route.TransitGatewayId,
    route.VpcPeeringConnectionId,
    route.LocalGatewayId,
    route.CarrierGatewayId,
    route.EgressOnlyInternetGatewayId,
    route.CoreNetworkArn,
  ];
  return ids.find((id) => id !== undefined && id !== '') ?? 'a target that EC2 does not name';
}

export function interfaceView(one: NetworkInterface): InterfaceView {
  const { Attachment: attachment } = one;
  // EC2 names the primary address apart as well; the list need not begin with it.
  const all = (one.PrivateIpAddresses ?? []).flatMap((address) => address.PrivateIpAddress ?? []);
  const primary = one.PrivateIpAddress;
  return {
    id: one.NetworkInterfaceId ?? '',
    subnetId: one.SubnetId ?? '',
    zone: one.AvailabilityZone ?? '',
    status: one.Status ?? 'unknown',
    sourceDestCheck: one.SourceDestCheck ?? true,
    groups: (one.Groups ?? []).flatMap((group) => group.GroupId ?? []),
    privateIps: primary === undefined ? all : [primary, ...all.filter((address) => address !== primary)],
    attachment:
      attachment?.InstanceId === undefined
        ? null
        : {
            instanceId: attachment.InstanceId,
            deviceIndex: attachment.DeviceIndex ?? 0,
            status: attachment.Status ?? 'unknown',
          },
  };
}

export function instanceState(state: SdkState | undefined): InstanceState {
  return INSTANCE_STATES.find((name) => name === state?.Name) ?? 'unknown';
}

function emptyToNull(value: string | undefined): string | null {
  return value === undefined || value === '' ? null : value;
}
