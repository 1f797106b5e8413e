export { canonicalCidr } from './cidr.ts';
export type { CloudCall, CloudWatch } from './cloud-watch.ts';
export { commandError, exitError } from './command-error.ts';
export { type DrbdData, DrbdResource, replicatedData } from './drbd.ts';
export { DrbdEvents, type DrbdState, parseEvents } from './drbd-events.ts';
export { type DrbdFile, type DrbdFileHost, drbdTimeouts, renderDrbdFile } from './drbd-file.ts';
export {
  type Progress,
  parseProgress,
  progressCommand,
  type SyncingVolume,
  syncingVolumes,
} from './drbd-progress.ts';
export { isSuspended, type OwnDisk, type PeerData, standsAlone } from './drbd-view.ts';
export {
  type AddressApi,
  type AddressView,
  type Ec2Api,
  type Ec2CallOptions,
  Ec2Failure,
  type Ec2FailureKind,
  gatedEc2,
  type InstanceApi,
  type InstanceState,
  type InterfaceApi,
  type InterfaceView,
  type RouteApi,
  type RouteView,
} from './ec2.ts';
export type { DryRunAction, DryRunResult } from './ec2-dry-run.ts';
export { ElasticIpResource } from './elastic-ip.ts';
export { type ElbApi, gatedElb, type Target, type TargetHealth } from './elb.ts';
export { CLOSED, COMPLETE } from './empty-logs.ts';
export { Ec2Fencer, type FenceResult } from './fencing.ts';
export { HookResource } from './hook.ts';
export { InboundResource } from './inbound.ts';
export { LEFT_OUT, type LeftOut, leftOutText, leftOutWhy, readLeftOut } from './left-out.ts';
export { GatewayMemory } from './link-gateway.ts';
export { localAddressOf } from './local-address.ts';
export { type DeviceIdentity, MountResource } from './mount.ts';
export type { FrozenIo } from './mount-users.ts';
export { PortResource } from './port.ts';
export { PortBlockResource } from './port-block.ts';
export { PrivateIpResource } from './private-ip.ts';
export { isKept, isNearKept, KEPT, SHUT as SHUT_PROPERTIES, WRITTEN } from './replicated-datasets.ts';
export { ReplicatedPoolResource } from './replicated-pool.ts';
export { RouteTableResource } from './route-table.ts';
export { ServiceResource } from './service.ts';
export { type TargetGroupMode, TargetGroupResource } from './target-group.ts';
export {
  type AcquireContext,
  type ActionContext,
  type CommandOptions,
  type CommandResult,
  type CommandRunner,
  type FollowHandlers,
  isReleased,
  type Probe,
  type ProbeResult,
  type Proof,
  type Refreshed,
  type ReleaseContext,
  type ReleaseMode,
  type Resource,
  type StartLimit,
} from './types.ts';
export { VirtualIpResource } from './virtual-ip.ts';
export { linkName, ZVOL_ID } from './volume-names.ts';
export type { DeviceUse, VolumeDevices } from './volume-users.ts';

export { VpcRouteResource } from './vpc-route.ts';
export { ZfsPoolResource } from './zfs-pool.ts';
export { type KernelFiles, readPoolState, usability } from './zfs-state.ts';
export { PoolMemory } from './zfs-tree.ts';

/** The AWS SDK is a chunk of its own, one for each service: only who calls this loads it. */
export const loadEc2Client = () => import('./ec2-client.ts');
export const loadElbClient = () => import('./elb-client.ts');
