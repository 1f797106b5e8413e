/**
 * This node's place in a target group of a load balancer (ELBv2).
 *
 * `role-checks`, the better way (d.2): every data node is registered all the time, and the load balancer asks each one's
 * `/leader`. A takeover needs no call then; an acquire only sees to it that all are registered. Nobody is ever taken out.
 * `move`: the holder is the only target, for load balancers whose health checks cannot ask us.
 *
 * 1. Registering and deregistering can be done twice. Still, a time-out is unknown: read before acting again (O2).
 * 2. A target that is registered but not healthy yet is said, not waited for: health checks take seconds, and the rest
 *    of the takeover must not wait for them.
 * 3. A release leaves the registration alone: the next holder moves it.
 */
import { instant } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { CloudAttempts, type CloudSetting, SETTLE_MS } from './cloud-attempts.ts';
import { Ec2Failure } from './ec2.ts';
import type { ElbApi, Target, TargetHealth } from './elb.ts';
import type { AcquireContext, ActionContext, ProbeResult, ReleaseContext, Resource } from './types.ts';

/** How long a `move` waits to see in a reading what ELB has accepted. */
const SHOWN_MS = 1000;
const SHOWN_EVERY_MS = 100;
/** With `role-checks`: how long a load balancer's interface that does not answer may hold up a takeover. */
const ROLE_CHECKS_LIMIT_MS = 1000;

/** As ELB writes it, and as the SDK names it. */
const INVALID_TARGET_CODES: ReadonlySet<string> = new Set(['InvalidTarget', 'InvalidTargetException']);

export type TargetGroupMode = 'role-checks' | 'move';

export interface TargetGroupOptions extends CloudSetting {
  /** The group's ARN. */
  readonly group: string;
  readonly mode: TargetGroupMode;
  readonly ownTarget: Target;
  /** The other data nodes'. */
  readonly otherTargets: readonly Target[];
  readonly elb: ElbApi;
}

export class TargetGroupResource implements Resource {
  readonly kind = 'target-group';
  readonly scope = 'cloud';
  readonly name: string;
  readonly #options: TargetGroupOptions;
  readonly #attempts: CloudAttempts;
  /** When ELB last accepted what we wanted. */
  #takenAt: number | null = null;

  constructor(options: TargetGroupOptions) {
    this.name = options.name;
    this.#options = options;
    this.#attempts = new CloudAttempts(options);
  }

  acquire(context: AcquireContext): Promise<string> {
    switch (this.#options.mode) {
      case 'role-checks':
        return this.#seeToAll(context);
      case 'move':
        return this.#move(context);
    }
  }

  /** Leaves the registration alone: see 3. */
  release(_context: ReleaseContext): Promise<string> {
    this.#takenAt = null;
    return Promise.resolve(
      this.#options.mode === 'move'
        ? 'left to the next holder'
        : 'registered as ever; the role checks decide',
    );
  }

  async probe(context: ActionContext): Promise<ProbeResult> {
    const { mode, otherTargets, clock } = this.#options;
    try {
      const shown = await this.#look(context);
      const own = this.#own(shown);
      const others = mode === 'move' ? registered(shown, otherTargets) : [];
      if (own !== undefined && others.length === 0)
        return { probe: 'held', detail: `registered, ${words(own)}` };
      const detail = own === undefined ? 'not registered' : `${names(others)} registered as well`;
      if (this.#takenAt !== null && clock.now() < this.#takenAt + SETTLE_MS)
        return { probe: 'unknown', detail: `ELB still shows: ${detail}` };
      return { probe: 'not-held', detail };
    } catch (error) {
      return this.#attempts.unknown(error);
    }
  }

  /**
   * An interface that does not answer is no reason against a takeover here: the load balancer asks the nodes, not us.
   * What ELB refuses (a wrong group, a wrong target, no permission) is an error all the same.
   */
  async #seeToAll(context: ActionContext): Promise<string> {
    const { clock, elb, group, ownTarget, otherTargets } = this.#options;
    const bounded = {
      ...context,
      deadline: instant(Math.min(context.deadline, clock.now() + ROLE_CHECKS_LIMIT_MS)),
    };
    try {
      return await this.#attempts.untilDone(bounded, async () => {
        const shown = await this.#look(bounded);
        const missing = [ownTarget, ...otherTargets].filter(
          (target) => registered(shown, [target]).length === 0,
        );
        if (missing.length === 0) return `all registered, here ${words(this.#own(shown))}`;
        await elb.registerTargets(group, missing, this.#attempts.mutating(bounded));
        this.#takenAt = clock.now();
        return `registered ${missing.map(({ id }) => id).join(', ')}`;
      });
    } catch (error) {
      const passes =
        error instanceof QuorateError &&
        ['cloud-throttled', 'cloud-unreachable', 'cloud-unknown-outcome'].includes(error.code);
      if (!passes || this.#attempts.isOver(context)) throw error;
      return `not looked at (${error.message}); the role checks decide`;
    }
  }

  async #move(context: ActionContext): Promise<string> {
    const { clock, elb, group, ownTarget, otherTargets } = this.#options;
    let out = otherTargets;
    let isIn = false;
    await this.#attempts.untilDone(context, async (attempt) => {
      if (attempt.mustRead) {
        const shown = await this.#look(context);
        out = out.filter((target) => registered(shown, [target]).length > 0);
        isIn ||= out.length === 0 && this.#own(shown) !== undefined;
        attempt.mustRead = false;
      }
      if (out.length > 0) await this.#takeOut(out, context);
      out = [];
      if (!isIn) await elb.registerTargets(group, [ownTarget], this.#attempts.mutating(context));
      isIn = true;
    });
    this.#takenAt = clock.now();
    const own = await this.#waitUntilShown(context);
    if (own === null) return 'registered; ELB does not show it yet';
    return own.state === 'healthy' ? 'registered, healthy' : `registered, not healthy yet: ${words(own)}`;
  }

  /**
   * A target that is not registered is no error, says AWS (d.5); but one whose instance is gone may be, and then none
   * of those named with it is taken out. So after a refusal, only those that are registered are named.
   */
  async #takeOut(targets: readonly Target[], context: ActionContext): Promise<void> {
    const { elb, group } = this.#options;
    try {
      await elb.deregisterTargets(group, targets, this.#attempts.mutating(context));
    } catch (error) {
      if (!(error instanceof Ec2Failure) || !INVALID_TARGET_CODES.has(error.code)) throw error;
      const shown = await this.#look(context);
      const left = targets.filter((target) => registered(shown, [target]).length > 0);
      if (left.length === targets.length) throw error;
      if (left.length > 0) await elb.deregisterTargets(group, left, this.#attempts.mutating(context));
    }
  }

  async #waitUntilShown(context: ActionContext): Promise<TargetHealth | null> {
    const { clock } = this.#options;
    const end = Math.min(context.deadline, clock.now() + SHOWN_MS);
    for (;;) {
      const shown = await this.#look(context).catch((error: unknown) => {
        if (error instanceof Ec2Failure) return [];
        throw error;
      });
      const own = this.#own(shown);
      if (own !== undefined) return own;
      if (context.signal.aborted || clock.now() + SHOWN_EVERY_MS >= end) return null;
      await clock.sleep(SHOWN_EVERY_MS, context.signal);
    }
  }

  #look(context: ActionContext): Promise<readonly TargetHealth[]> {
    return this.#options.elb.describeTargetHealth(this.#options.group, this.#attempts.reading(context));
  }

  #own(shown: readonly TargetHealth[]): TargetHealth | undefined {
    return registered(shown, [this.#options.ownTarget])[0];
  }
}

/** Those of the targets that get traffic or will: what drains is on its way out. */
function registered(shown: readonly TargetHealth[], targets: readonly Target[]): TargetHealth[] {
  return shown.filter(
    (health) =>
      health.state !== 'draining' &&
      health.reason !== 'Target.NotRegistered' &&
      targets.some(({ id, port }) => id === health.id && (port === null || port === health.port)),
  );
}

function words(health: TargetHealth | undefined): string {
  if (health === undefined) return 'unknown';
  return health.reason === '' ? health.state : `${health.state} (${health.reason})`;
}

function names(targets: readonly TargetHealth[]): string {
  return targets.map(({ id, port }) => `${id}:${port}`).join(', ');
}
