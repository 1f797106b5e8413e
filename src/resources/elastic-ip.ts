/**
 * An Elastic IP, moved by AssociateAddress. It is routing, not a fence (O3): a stale holder is stopped by time.
 *
 * 1. `AllowReassociation` is always explicit. After a proven release it is false at first, so that a surprise is seen;
 *    an interface of another member may still have the address, because the cloud's side of a release is never
 *    required (R2): then true is allowed, because the log says released. A stranger's interface is never robbed then.
 * 2. A mutating call is sent only with a valid lease (the injected api checks that), one attempt, at most 2 s (O2).
 * 3. A time-out is unknown: read before acting again. A late execution of somebody's old call is repaired by the
 *    reconcile loop, every second for the first 30 s (O2), then slower.
 * 4. Only our own association is given up, by the id that our own call returned, or that stood at our own interface when
 *    that call's reply was lost; never whichever is found at release (complaint 4).
 * 5. A reading that disagrees right after our own success is unknown: EC2 is eventually consistent (d.0, 3).
 */

import type { Clock } from '../clock.ts';
import { QuorateError } from '../errors.ts';
import { type AddressView, type Ec2Api, type Ec2CallOptions, Ec2Failure } from './ec2.ts';
import type { AcquireContext, ActionContext, ProbeResult, ReleaseContext, Resource } from './types.ts';

const MUTATE_TIMEOUT_MS = 2000;
const READ_TIMEOUT_MS = 1000;
const THROTTLE_JITTER_MS = { least: 50, most: 200 } as const;
/** How long our own success outweighs a reading that disagrees. */
const SETTLE_MS = 2000;
/** Attempts of one acquire; its deadline and the lease are the real bound. */
const MAX_ATTEMPTS = 40;

export interface ElasticIpOptions {
  readonly name: string;
  readonly allocation: string;
  /** This node's interface. */
  readonly ownInterface: string;
  /** The other members' interfaces. */
  readonly memberInterfaces: ReadonlySet<string>;
  readonly api: Ec2Api;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly endpoint: string;
}

type Association = { readonly id: string; readonly since: number };

export class ElasticIpResource implements Resource {
  readonly kind = 'elastic-ip';
  readonly scope = 'cloud';
  readonly name: string;
  readonly #options: ElasticIpOptions;
  #own: Association | null = null;

  constructor(options: ElasticIpOptions) {
    this.name = options.name;
    this.#options = options;
  }

  async acquire(context: AcquireContext): Promise<string> {
    const { clock } = this.#options;
    let mayReassociate = !context.previousReleased;
    let mustRead = false;
    let last: Ec2Failure | null = null;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS && !this.#isOver(context); attempt++) {
      try {
        if (mustRead) {
          // mark: address-read-before-the-next-try
          const view = await this.#read(context);
          if (view.interfaceId === this.#options.ownInterface) return this.#adopt(view);
          mayReassociate ||= this.#mayTakeFrom(view);
          mustRead = false;
        }
        const id = await this.#options.api.associateAddress(
          {
            allocationId: this.#options.allocation,
            interfaceId: this.#options.ownInterface,
            allowReassociation: mayReassociate,
          },
          this.#call(context, MUTATE_TIMEOUT_MS),
        );
        this.#own = { id, since: clock.now() };
        return mayReassociate ? 'associated' : 'associated (nobody had it)';
      } catch (error) {
        if (!(error instanceof Ec2Failure)) throw error;
        last = error;
        if (error.kind === 'permanent' || error.kind === 'aborted') throw this.#refusal(error);
        // Whatever may have been executed, or was refused because of its owner: look first (O2).
        if (error.kind === 'unknown-outcome' || error.kind === 'already-associated') mustRead = true;
        if (error.kind !== 'already-associated') await clock.sleep(this.#jitter(), context.signal);
      }
    }
    throw last === null
      ? new QuorateError('order-ended', `${this.name}: the order's time is over`)
      : this.#refusal(last);
  }

  /** An abrupt release leaves the cloud alone: the next holder reassociates anyway, and must not wait for us (R2). */
  async release(context: ReleaseContext): Promise<string> {
    const own = this.#own;
    this.#own = null;
    if (context.mode === 'abrupt') return 'left to the next holder';
    if (own === null) return 'no association of our own';
    let last: Ec2Failure | null = null;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS && !this.#isOver(context); attempt++) {
      try {
        await this.#options.api.disassociateAddress(own.id, this.#call(context, MUTATE_TIMEOUT_MS));
        return 'disassociated';
      } catch (error) {
        if (!(error instanceof Ec2Failure)) throw error;
        last = error;
        if (error.kind !== 'throttled') break;
        await this.#options.clock.sleep(this.#jitter(), context.signal);
      }
    }
    // Reported, never required (R2): the id is ours, so a late or second attempt could hit nobody else.
    return `not disassociated (${last === null ? 'out of time' : last.code}), left to the next holder`;
  }

  async probe(context: ActionContext): Promise<ProbeResult> {
    try {
      const view = await this.#read(context);
      if (view.interfaceId === this.#options.ownInterface)
        return { probe: 'held', detail: `${view.publicIp} is here` };
      const owner = view.interfaceId ?? 'nobody';
      if (this.#own !== null && this.#options.clock.now() < this.#own.since + SETTLE_MS) {
        return { probe: 'unknown', detail: `EC2 still shows ${view.publicIp} at ${owner}` };
      }
      return { probe: 'not-held', detail: `${view.publicIp} is at ${owner}` };
    } catch (error) {
      if (error instanceof Ec2Failure) return { probe: 'unknown', detail: this.#refusal(error).message };
      return { probe: 'unknown', detail: error instanceof Error ? error.message : String(error) };
    }
  }

  /** The answer to our own call was lost, but it was executed: the association is ours as if it had come back. */
  #adopt(view: AddressView): string {
    this.#own =
      view.associationId === null ? null : { id: view.associationId, since: this.#options.clock.now() };
    return 'associated already';
  }

  #mayTakeFrom(view: AddressView): boolean {
    if (view.interfaceId === null) return false;
    if (this.#options.memberInterfaces.has(view.interfaceId)) return true;
    throw new QuorateError(
      'address-held-elsewhere',
      `${this.name}: ${view.publicIp} is associated with ${view.interfaceId}, which belongs to no member`,
    );
  }

  #read(context: ActionContext): Promise<AddressView> {
    return this.#options.api.describeAddress(this.#options.allocation, this.#call(context, READ_TIMEOUT_MS));
  }

  #call(context: ActionContext, limitMs: number): Ec2CallOptions {
    const left = Math.max(1, context.deadline - this.#options.clock.now());
    return { signal: context.signal, timeoutMs: Math.min(limitMs, left) };
  }

  #isOver(context: ActionContext): boolean {
    return context.signal.aborted || this.#options.clock.now() >= context.deadline;
  }

  #jitter(): number {
    const { least, most } = THROTTLE_JITTER_MS;
    return least + this.#options.random() * (most - least);
  }

  #refusal(failure: Ec2Failure): QuorateError {
    const context = { code: failure.code, endpoint: this.#options.endpoint };
    const said = `${failure.code}: ${failure.message}`;
    switch (failure.kind) {
      case 'unreachable':
        return new QuorateError(
          'cloud-unreachable',
          `${this.name}: no answer from ${this.#options.endpoint} (${failure.code})`,
          { cause: failure, context },
        );
      case 'unknown-outcome':
        return new QuorateError('cloud-unknown-outcome', `${this.name}: ${said}`, {
          cause: failure,
          context,
        });
      case 'throttled':
        return new QuorateError('cloud-throttled', `${this.name}: ${said}`, { cause: failure, context });
      case 'aborted':
        return new QuorateError('order-ended', `${this.name}: the call was aborted`, {
          cause: failure,
          context,
        });
      case 'already-associated':
      case 'permanent':
        return new QuorateError('cloud-refused', `${this.name}: ${said}`, { cause: failure, context });
    }
  }
}
