/**
 * The health of the targets of load balancers, by real checks: this process connects to the target's private address.
 *
 * 1. Follows the world: whoever is registered is checked until it is gone or drains; who drains is gone after a delay.
 * 2. `initial` becomes `healthy` by one passed check, and `unhealthy` by as many failures as the threshold says; from
 *    then on each change takes its threshold's number of results in a row.
 * 3. Over a dead link or a closed security group nothing passes, although the address could be reached on this machine.
 * 4. An instance that does not run is `unused`, and is not checked.
 */
import { get } from 'node:http';
import { connect } from 'node:net';
import type { WorldStore } from './store.ts';
import {
  admitsConnections,
  type HealthCheck,
  interfacesOf,
  interfaceWithIp,
  isLive,
  type RegisteredTarget,
  type TargetGroup,
  type World,
  withItem,
} from './world.ts';

interface HealthChecksOptions {
  readonly store: WorldStore;
  readonly later: (delayMs: number, work: () => void) => void;
  /** Aborted when the controller stops. */
  readonly signal: AbortSignal;
}

type Health = Pick<RegisteredTarget, 'state' | 'reason' | 'description'>;
type Failure = Pick<RegisteredTarget, 'reason' | 'description'>;

/** Results in a row, since the state's last change. */
interface Run {
  passed: number;
  failed: number;
}

const HEALTHY: Health = { state: 'healthy', reason: '', description: '' };
const TIMED_OUT: Failure = { reason: 'Target.Timeout', description: 'Request timed out' };
const CHECKING: Health = {
  state: 'initial',
  reason: 'Elb.InitialHealthChecking',
  description: 'Initial health checks in progress',
};

export class HealthChecks {
  readonly #options: HealthChecksOptions;
  /** `arn registration` of what is being checked, and of what drains. */
  readonly #checked = new Set<string>();
  readonly #draining = new Set<string>();

  constructor(options: HealthChecksOptions) {
    this.#options = options;
  }

  apply(world: World): void {
    for (const group of world.targetGroups.values()) {
      for (const target of group.targets) {
        const key = `${group.arn} ${target.registration}`;
        const seen = target.state === 'draining' ? this.#draining : this.#checked;
        if (seen.has(key)) continue;
        seen.add(key);
        if (target.state === 'draining') this.#removeLater(group, target);
        else
          this.#options.later(0, () => this.#check(group.arn, target.registration, { passed: 0, failed: 0 }));
      }
    }
  }

  #removeLater({ arn, deregistrationDelayMs }: TargetGroup, { registration }: RegisteredTarget): void {
    const { later, store } = this.#options;
    later(deregistrationDelayMs, () => {
      const group = store.current.targetGroups.get(arn);
      if (group === undefined) return;
      const targets = group.targets.filter(
        (one) => one.registration !== registration || one.state !== 'draining',
      );
      if (targets.length === group.targets.length) return;
      store.commit(withItem(store.current, 'targetGroups', arn, { ...group, targets }));
    });
  }

  #check(arn: string, registration: number, run: Run): void {
    const { group, target } = this.#find(arn, registration);
    if (group === undefined || target === undefined) return;
    const again = (): void =>
      this.#options.later(group.healthCheck.intervalMs, () => this.#check(arn, registration, run));
    const instance = this.#options.store.current.instances.get(target.id);
    if (group.targetType === 'instance' && instance?.state !== 'running') {
      const description = `Target is in the ${instance?.state ?? 'terminated'} state`;
      this.#set(arn, registration, { state: 'unused', reason: 'Target.InvalidState', description });
      return again();
    }
    if (target.state === 'unused' || target.reason === 'Elb.RegistrationInProgress')
      this.#set(arn, registration, CHECKING);
    void this.#ask(group, target).then((failure) => {
      if (this.#options.signal.aborted) return;
      run.passed = failure === null ? run.passed + 1 : 0;
      run.failed = failure === null ? 0 : run.failed + 1;
      const now = this.#find(arn, registration).target;
      if (now === undefined) return;
      this.#set(arn, registration, judge(now, failure, run, group.healthCheck));
      again();
    });
  }

  /** Undefined as soon as it is gone or drains. */
  #find(arn: string, registration: number): { group?: TargetGroup; target?: RegisteredTarget } {
    const group = this.#options.store.current.targetGroups.get(arn);
    const target = group?.targets.find((one) => one.registration === registration);
    return group === undefined || target === undefined || target.state === 'draining'
      ? {}
      : { group, target };
  }

  #set(arn: string, registration: number, health: Health): void {
    const { store } = this.#options;
    const { group, target } = this.#find(arn, registration);
    if (group === undefined || target === undefined) return;
    if (target.state === health.state && target.reason === health.reason) return;
    const targets = group.targets.map((one) => (one === target ? { ...one, ...health } : one));
    store.commit(withItem(store.current, 'targetGroups', arn, { ...group, targets }));
  }

  /** Null: passed. */
  async #ask({ targetType, healthCheck }: TargetGroup, target: RegisteredTarget): Promise<Failure | null> {
    const world = this.#options.store.current;
    const eni =
      targetType === 'ip' ? interfaceWithIp(world, target.id) : (interfacesOf(world, target.id)[0] ?? null);
    const ip = targetType === 'ip' ? target.id : eni?.privateIps[0];
    if (eni === null || ip === undefined || !isLive(world, eni) || !admitsConnections(world, eni))
      return TIMED_OUT;
    const port = healthCheck.port ?? target.port;
    const signal = AbortSignal.any([this.#options.signal, AbortSignal.timeout(healthCheck.timeoutMs)]);
    return healthCheck.protocol === 'TCP'
      ? await askTcp(ip, port, signal)
      : await askHttp(ip, port, healthCheck, signal);
  }
}

/** See 2. */
function judge(target: RegisteredTarget, failure: Failure | null, run: Run, check: HealthCheck): Health {
  if (failure === null) {
    const isEnough = target.state === 'initial' || run.passed >= check.healthyThreshold;
    return isEnough ? HEALTHY : target;
  }
  return run.failed >= check.unhealthyThreshold ? { state: 'unhealthy', ...failure } : target;
}

const failed = (description = 'Health checks failed'): Failure => ({
  reason: 'Target.FailedHealthChecks',
  description,
});

function askTcp(host: string, port: number, signal: AbortSignal): Promise<Failure | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    socket.once('error', () => resolve(signal.aborted ? TIMED_OUT : failed()));
    socket.once('connect', () => {
      resolve(null);
      socket.destroy();
    });
  });
}

function askHttp(
  host: string,
  port: number,
  { path, codes }: HealthCheck,
  signal: AbortSignal,
): Promise<Failure | null> {
  return new Promise((resolve) => {
    const headers = { 'user-agent': 'ELB-HealthChecker/2.0' };
    const request = get({ host, port, path, headers, agent: false, signal }, (response) => {
      const status = response.statusCode ?? 0;
      response.destroy();
      if (status >= codes.least && status <= codes.most) return resolve(null);
      const description = `Health checks failed with these codes: [${status}]`;
      resolve({ reason: 'Target.ResponseCodeMismatch', description });
    });
    request.once('error', () => resolve(signal.aborted ? TIMED_OUT : failed()));
  });
}
