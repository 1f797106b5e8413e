/**
 * Asks EC2 whether our role may do something, without doing it: `DryRunOperation` is yes, `UnauthorizedOperation` no
 * (d.1). AssignPrivateIpAddresses has no DryRun.
 *
 * Some emulators execute a dry run. So what is asked does as little as it can if it is executed: an address is never
 * taken from its holder. The rest is the caller's: name the route's present target, the interface's present groups.
 */
import {
  AssociateAddressCommand,
  CreateRouteCommand,
  DisassociateAddressCommand,
  type EC2Client,
  ModifyNetworkInterfaceAttributeCommand,
  ReplaceRouteCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import type { RouteRequest } from './ec2.ts';
import type { SdkCallOptions } from './sdk-calls.ts';
import { toFailure } from './sdk-failure.ts';

export type DryRunAction =
  | { readonly kind: 'AssociateAddress'; readonly allocationId: string; readonly interfaceId: string }
  | { readonly kind: 'DisassociateAddress'; readonly associationId: string }
  | ({ readonly kind: 'ReplaceRoute' } & RouteRequest)
  | ({ readonly kind: 'CreateRoute' } & RouteRequest)
  | { readonly kind: 'StopInstances'; readonly instanceId: string }
  | {
      readonly kind: 'ModifyNetworkInterfaceAttribute';
      readonly interfaceId: string;
      readonly groups: readonly string[];
    };

export type DryRunResult =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'denied'; readonly code: string }
  /** Throttled, timed out, a wrong id (EC2 may look at ids first), or an endpoint that ignores DryRun. */
  | { readonly kind: 'unknown'; readonly code: string };

const ALLOWED_CODE = 'DryRunOperation';
const IGNORED_CODE = 'DryRunIgnored';
/** What says that the role, or the key, may not. */
export const DENIED_CODES: ReadonlySet<string> = new Set([
  'UnauthorizedOperation',
  'AuthFailure',
  'InvalidClientTokenId',
  'ExpiredToken',
  'RequestExpired',
  'OptInRequired',
  'CredentialsProviderError',
]);

export function isIgnored(result: DryRunResult): boolean {
  return result.kind === 'unknown' && result.code === IGNORED_CODE;
}

/** Rejects only with what kept the call from leaving this host. */
export async function dryRun(
  client: EC2Client,
  action: DryRunAction,
  how: SdkCallOptions,
): Promise<DryRunResult> {
  try {
    await send(client, action, how);
    return { kind: 'unknown', code: IGNORED_CODE };
  } catch (error) {
    const failure = toFailure(error);
    if (failure.code === ALLOWED_CODE) return { kind: 'allowed' };
    if (DENIED_CODES.has(failure.code)) return { kind: 'denied', code: failure.code };
    if (failure.kind === 'unreachable') throw failure;
    return { kind: 'unknown', code: failure.code };
  }
}

function send(client: EC2Client, action: DryRunAction, how: SdkCallOptions): Promise<unknown> {
  const DryRun = true;
  switch (action.kind) {
    case 'AssociateAddress': {
      const { allocationId: AllocationId, interfaceId: NetworkInterfaceId } = action;
      const input = { AllocationId, NetworkInterfaceId, AllowReassociation: false, DryRun };
      return client.send(new AssociateAddressCommand(input), how);
    }
    case 'DisassociateAddress':
      return client.send(
        new DisassociateAddressCommand({ AssociationId: action.associationId, DryRun }),
        how,
      );
    case 'ReplaceRoute':
      return client.send(new ReplaceRouteCommand({ ...routeInput(action), DryRun }), how);
    case 'CreateRoute':
      return client.send(new CreateRouteCommand({ ...routeInput(action), DryRun }), how);
    case 'StopInstances': {
      const input = { InstanceIds: [action.instanceId], Force: true, SkipOsShutdown: true, DryRun };
      return client.send(new StopInstancesCommand(input), how);
    }
    case 'ModifyNetworkInterfaceAttribute': {
      const input = { NetworkInterfaceId: action.interfaceId, Groups: [...action.groups], DryRun };
      return client.send(new ModifyNetworkInterfaceAttributeCommand(input), how);
    }
  }
}

export function routeInput({ table, destination, interfaceId }: RouteRequest) {
  return { RouteTableId: table, DestinationCidrBlock: destination, NetworkInterfaceId: interfaceId };
}
