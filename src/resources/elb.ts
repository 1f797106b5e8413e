/** What a target group needs of ELBv2, in our words. Failures are `Ec2Failure`s too; the SDK is in `elb-client.ts`. */
import { type Ec2CallOptions, mutationGate } from './ec2.ts';

/** An instance id or an IP address, as the group's type demands. Null: the group's own port. */
export interface Target {
  readonly id: string;
  readonly port: number | null;
}

export interface TargetHealth {
  readonly id: string;
  readonly port: number;
  /** ELB's word: `initial`, `healthy`, `unhealthy`, `unused`, `draining`, `unavailable`, ... */
  readonly state: string;
  /** ELB's code, as `Elb.RegistrationInProgress`; '' where it gives none. */
  readonly reason: string;
}

export interface ElbApi {
  /** Every target that is registered in the group, those that drain included. */
  describeTargetHealth(group: string, options: Ec2CallOptions): Promise<readonly TargetHealth[]>;
  /** One attempt. A target that is registered already stays as it is. */
  registerTargets(group: string, targets: readonly Target[], options: Ec2CallOptions): Promise<void>;
  /** One attempt. A target that is not registered is success (d.5). */
  deregisterTargets(group: string, targets: readonly Target[], options: Ec2CallOptions): Promise<void>;
}

/** O2, as `gatedEc2`. */
export function gatedElb(api: ElbApi, mayMutate: () => boolean): ElbApi {
  const gated = mutationGate(mayMutate);
  return {
    describeTargetHealth: (group, options) => api.describeTargetHealth(group, options),
    registerTargets: (group, targets, options) => gated(() => api.registerTargets(group, targets, options)),
    deregisterTargets: (group, targets, options) =>
      gated(() => api.deregisterTargets(group, targets, options)),
  };
}
