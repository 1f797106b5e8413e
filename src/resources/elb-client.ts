/** ElbApi on the AWS SDK: a chunk of its own, loaded only where a target group is a resource (90 ms, 18 MB: ec2.md). */
import {
  DeregisterTargetsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  RegisterTargetsCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { Ec2CallOptions } from './ec2.ts';
import type { ElbApi, Target, TargetHealth } from './elb.ts';
import { type CloudClientOptions, SdkCalls, WARM_READS, type WarmReport } from './sdk-calls.ts';

export class ElbClient implements ElbApi {
  readonly #calls: SdkCalls<ElasticLoadBalancingV2Client>;

  constructor(options: CloudClientOptions) {
    this.#calls = new SdkCalls((config) => new ElasticLoadBalancingV2Client(config), options);
  }

  async describeTargetHealth(group: string, options: Ec2CallOptions): Promise<readonly TargetHealth[]> {
    const command = new DescribeTargetHealthCommand({ TargetGroupArn: group });
    const answer = await this.#calls.read((client, how) => client.send(command, how), options);
    return (answer.TargetHealthDescriptions ?? []).map(({ Target: target, TargetHealth: health }) => ({
      id: target?.Id ?? '',
      port: target?.Port ?? 0,
      state: health?.State ?? 'unknown',
      reason: health?.Reason ?? '',
    }));
  }

  async registerTargets(group: string, targets: readonly Target[], options: Ec2CallOptions): Promise<void> {
    const command = new RegisterTargetsCommand(targetsInput(group, targets));
    await this.#calls.mutate((client, how) => client.send(command, how), options);
  }

  async deregisterTargets(group: string, targets: readonly Target[], options: Ec2CallOptions): Promise<void> {
    const command = new DeregisterTargetsCommand(targetsInput(group, targets));
    await this.#calls.mutate((client, how) => client.send(command, how), options);
  }

  /** As `Ec2Client.warm`. */
  async warm(group: string, options: Ec2CallOptions): Promise<WarmReport> {
    let hasRead = false;
    for (let count = 0; count < WARM_READS; count++)
      hasRead = await this.describeTargetHealth(group, { ...options, isPatient: true }).then(
        () => true,
        () => false,
      );
    const input = targetsInput(group, [{ id: 'i-00000000', port: null }]);
    const rehearsing = this.#calls.rehearse(
      input,
      '<RegisterTargetsResponse><RegisterTargetsResult/></RegisterTargetsResponse>',
      (client, how) => client.send(new RegisterTargetsCommand(input), how),
      options,
    );
    return { hasRead, hasRehearsed: await rehearsing.catch(() => false) };
  }

  close(): void {
    this.#calls.close();
  }
}

function targetsInput(group: string, targets: readonly Target[]) {
  return {
    TargetGroupArn: group,
    Targets: targets.map(({ id, port }) => ({ Id: id, ...(port === null ? {} : { Port: port }) })),
  };
}
