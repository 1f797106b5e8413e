/** What the doctor asks of the cloud. Nothing here changes anything; `cloud-adapter.ts` has it on the AWS SDK. */

/** Calls that a takeover, a release or fencing may need, by EC2's and ELB's own names. */
export type CloudAction =
  | 'DescribeAddresses'
  | 'AssociateAddress'
  | 'DisassociateAddress'
  | 'DescribeRouteTables'
  | 'ReplaceRoute'
  | 'CreateRoute'
  | 'DescribeNetworkInterfaces'
  | 'AssignPrivateIpAddresses'
  | 'ModifyNetworkInterfaceAttribute'
  | 'DescribeInstances'
  | 'StopInstances'
  | 'DescribeTargetHealth'
  | 'RegisterTargets'
  | 'DeregisterTargets';

/** One call that may be needed, with the ids that its permission depends on. */
export interface CloudCall {
  readonly action: CloudAction;
  readonly allocationId?: string;
  readonly interfaceId?: string;
  readonly routeTableId?: string;
  readonly destination?: string;
  readonly instanceId?: string;
  readonly targetGroup?: string;
}

export type Permission =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'denied'; readonly why: string }
  | { readonly kind: 'unknown'; readonly why: string };

export interface InterfaceView {
  readonly id: string;
  /** Null: attached to nothing. */
  readonly instanceId: string | null;
  /** Null: not said. */
  readonly sourceDestCheck: boolean | null;
  readonly groups: readonly string[];
}

export interface MovingAddressView {
  readonly publicIp: string;
  readonly associationId: string | null;
  /** Null: associated with nothing. */
  readonly interfaceId: string | null;
  /** The private address behind it: what leaves from there leaves by it. */
  readonly privateIp: string | null;
}

export interface CloudProbe {
  /** Who we are to the cloud, in one sentence, without secrets; throws where there are no credentials. */
  credentials(signal: AbortSignal): Promise<string>;
  /** Never throws. */
  permission(call: CloudCall, signal: AbortSignal): Promise<Permission>;
  /** In the order asked for; null for one that does not exist. Throws. */
  describeInterfaces(ids: readonly string[], signal: AbortSignal): Promise<readonly (InterfaceView | null)[]>;
  /** Null: no such address. Throws. */
  describeAddress(allocationId: string, signal: AbortSignal): Promise<MovingAddressView | null>;
  close(): void;
}
