export { type DrbdData, DrbdResource, replicatedData } from './drbd.ts';
export { DrbdEvents, type DrbdState, parseEvents } from './drbd-events.ts';
export { isSuspended, type OwnDisk, type PeerData } from './drbd-view.ts';
export {
  type AddressView,
  type Ec2Api,
  type Ec2CallOptions,
  Ec2Failure,
  type Ec2FailureKind,
  gatedEc2,
} from './ec2.ts';
export { ElasticIpResource } from './elastic-ip.ts';
export { HookResource } from './hook.ts';
export { MountResource } from './mount.ts';
export { PortResource } from './port.ts';
export { PortBlockResource } from './port-block.ts';
export { RouteTableResource } from './route-table.ts';
export { ServiceResource } from './service.ts';
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
  type ReleaseContext,
  type ReleaseMode,
  type Resource,
} from './types.ts';
export { VirtualIpResource } from './virtual-ip.ts';

/** The AWS SDK is a chunk of its own: only who calls this loads it. */
export const loadEc2Client = () => import('./ec2-client.ts');
