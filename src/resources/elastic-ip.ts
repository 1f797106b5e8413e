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

import { QuorateError } from '../errors.ts';
import { CloudAttempts, type CloudSetting, MAX_ATTEMPTS, SETTLE_MS } from './cloud-attempts.ts';
import { type AddressApi, type AddressView, Ec2Failure } from './ec2.ts';
import type { AcquireContext, ActionContext, ProbeResult, ReleaseContext, Resource } from './types.ts';

export interface ElasticIpOptions extends CloudSetting {
  readonly allocation: string;
  /** This node's interface. */
  readonly ownInterface: string;
  /** Which of that interface's addresses; its primary one where absent. */
  readonly privateIp?: string | null;
  /** The other members' interfaces. */
  readonly memberInterfaces: ReadonlySet<string>;
  readonly api: AddressApi;
}

type Association = { readonly id: string; readonly since: number };

export class ElasticIpResource implements Resource {
  readonly kind = 'elastic-ip';
  readonly scope = 'cloud';
  readonly name: string;
  readonly #options: ElasticIpOptions;
  readonly #attempts: CloudAttempts;
  #own: Association | null = null;

  constructor(options: ElasticIpOptions) {
    this.name = options.name;
    this.#options = options;
    this.#attempts = new CloudAttempts(options);
  }

  acquire(context: AcquireContext): Promise<string> {
    const { allocation, ownInterface, privateIp, api, clock } = this.#options;
    let mayReassociate = !context.previousReleased;
    return this.#attempts.untilDone(context, async (attempt) => {
      if (attempt.mustRead) {
        // mark: address-read-before-the-next-try
        const view = await this.#read(context);
        if (this.#isHere(view)) return this.#adopt(view);
        mayReassociate ||= this.#mayTakeFrom(view);
        attempt.mustRead = false;
      }
      const id = await api.associateAddress(
        {
          allocationId: allocation,
          interfaceId: ownInterface,
          ...(privateIp == null ? {} : { privateIp }),
          allowReassociation: mayReassociate,
        },
        this.#attempts.mutating(context),
      );
      this.#own = { id, since: clock.now() };
      return mayReassociate ? 'associated' : 'associated (nobody had it)';
    });
  }

  /** An abrupt release leaves the cloud alone: the next holder reassociates anyway, and must not wait for us (R2). */
  async release(context: ReleaseContext): Promise<string> {
    const own = this.#own;
    this.#own = null;
    if (context.mode === 'abrupt') return 'left to the next holder';
    if (own === null) return 'no association of our own';
    let last: Ec2Failure | null = null;
    for (let count = 1; count <= MAX_ATTEMPTS && !this.#attempts.isOver(context); count++) {
      try {
        await this.#options.api.disassociateAddress(own.id, this.#attempts.mutating(context));
        return 'disassociated';
      } catch (error) {
        if (!(error instanceof Ec2Failure)) throw error;
        last = error;
        if (error.kind !== 'throttled') break;
        await this.#attempts.pause(context);
      }
    }
    // Reported, never required (R2): the id is ours, so a late or second attempt could hit nobody else.
    return `not disassociated (${last === null ? 'out of time' : last.code}), left to the next holder`;
  }

  async probe(context: ActionContext): Promise<ProbeResult> {
    try {
      const view = await this.#read(context);
      if (this.#isHere(view)) return { probe: 'held', detail: `${view.publicIp} is here` };
      const isOurs = view.interfaceId === this.#options.ownInterface;
      const owner = isOurs ? `the wrong address ${view.privateIp} here` : (view.interfaceId ?? 'nobody');
      if (this.#own !== null && this.#options.clock.now() < this.#own.since + SETTLE_MS) {
        return { probe: 'unknown', detail: `EC2 still shows ${view.publicIp} at ${owner}` };
      }
      return { probe: 'not-held', detail: `${view.publicIp} is at ${owner}` };
    } catch (error) {
      return this.#attempts.unknown(error);
    }
  }

  /** The answer to our own call was lost, but it was executed: the association is ours as if it had come back. */
  #adopt(view: AddressView): string {
    this.#own =
      view.associationId === null ? null : { id: view.associationId, since: this.#options.clock.now() };
    return 'associated already';
  }

  /** An endpoint that names no private address is taken at its word for the interface. */
  #isHere(view: AddressView): boolean {
    const { ownInterface, privateIp } = this.#options;
    if (view.interfaceId !== ownInterface) return false;
    return privateIp == null || view.privateIp === null || view.privateIp === privateIp;
  }

  #mayTakeFrom(view: AddressView): boolean {
    if (view.interfaceId === null) return false;
    const { ownInterface, memberInterfaces } = this.#options;
    if (view.interfaceId === ownInterface || memberInterfaces.has(view.interfaceId)) return true;
    throw new QuorateError(
      'address-held-elsewhere',
      `${this.name}: ${view.publicIp} is associated with ${view.interfaceId}, which belongs to no member`,
    );
  }

  #read(context: ActionContext): Promise<AddressView> {
    return this.#options.api.describeAddress(this.#options.allocation, this.#attempts.reading(context));
  }
}
