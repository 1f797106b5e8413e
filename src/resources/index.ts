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
export { ServiceResource } from './service.ts';
export type {
  AcquireContext,
  ActionContext,
  CommandOptions,
  CommandResult,
  CommandRunner,
  FollowHandlers,
  Probe,
  ProbeResult,
  ReleaseContext,
  ReleaseMode,
  Resource,
} from './types.ts';

/** The AWS SDK is a chunk of its own: only who calls this loads it. */
export const loadEc2Client = () => import('./ec2-client.ts');
