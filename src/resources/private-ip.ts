/**
 * A secondary private address that moves between interfaces of one subnet (and so of one zone), by
 * AssignPrivateIpAddresses; an Elastic IP on it moves along. Routing, not a fence (O3).
 *
 * 1. EC2 accepts the call at once and moves the address later: an acquire waits, for a bounded time, until it shows.
 * 2. `AllowReassignment` is always true: a release leaves the address where it is, so the next holder always takes it
 *    from somebody. Whoever else uses it in the subnet loses it; the primary address of an interface EC2 refuses to move.
 * 3. A time-out is unknown: read before acting again (O2).
 */
import { CloudAttempts, type CloudSetting, SETTLE_MS } from './cloud-attempts.ts';
import { Ec2Failure, type InterfaceApi } from './ec2.ts';
import type { AcquireContext, ActionContext, ProbeResult, ReleaseContext, Resource } from './types.ts';

/** How long an acquire waits to see the move that EC2 has accepted; usually it takes less than one second. */
const SHOWN_MS = 3000;
const SHOWN_EVERY_MS = 100;

export interface PrivateIpOptions extends CloudSetting {
  readonly address: string;
  /** This node's interface. */
  readonly ownInterface: string;
  /** The other members' interfaces. */
  readonly memberInterfaces: ReadonlySet<string>;
  readonly api: InterfaceApi;
}

export class PrivateIpResource implements Resource {
  readonly kind = 'private-ip';
  readonly scope = 'cloud';
  readonly name: string;
  readonly #options: PrivateIpOptions;
  readonly #attempts: CloudAttempts;
  /** When EC2 last accepted our call, or showed that it had been executed. */
  #takenAt: number | null = null;

  constructor(options: PrivateIpOptions) {
    this.name = options.name;
    this.#options = options;
    this.#attempts = new CloudAttempts(options);
  }

  async acquire(context: AcquireContext): Promise<string> {
    const { address, ownInterface, api, clock } = this.#options;
    await this.#attempts.untilDone(context, async (attempt) => {
      if (attempt.mustRead) {
        if (await this.#isHere(context)) return;
        attempt.mustRead = false;
      }
      await api.assignPrivateIp(
        { interfaceId: ownInterface, address, allowReassignment: true },
        this.#attempts.mutating(context),
      );
    });
    this.#takenAt = clock.now();
    const isShown = await this.#waitUntilShown(context);
    // From here on the readings count: the move may have taken longer than the call.
    this.#takenAt = clock.now();
    return isShown ? `${address} is here` : `${address} was accepted; EC2 does not show it here yet`;
  }

  /** Leaves the address where it is: taking it away is the next holder's one call. */
  release(_context: ReleaseContext): Promise<string> {
    this.#takenAt = null;
    return Promise.resolve('left to the next holder');
  }

  async probe(context: ActionContext): Promise<ProbeResult> {
    const { address, clock } = this.#options;
    try {
      if (await this.#isHere(context)) return { probe: 'held', detail: `${address} is here` };
      if (this.#takenAt !== null && clock.now() < this.#takenAt + SETTLE_MS)
        return { probe: 'unknown', detail: `EC2 does not show ${address} here yet` };
      return { probe: 'not-held', detail: `${address} is ${await this.#whereElse(context)}` };
    } catch (error) {
      return this.#attempts.unknown(error);
    }
  }

  async #waitUntilShown(context: ActionContext): Promise<boolean> {
    const { clock } = this.#options;
    const end = Math.min(context.deadline, clock.now() + SHOWN_MS);
    for (;;) {
      const isShown = await this.#isHere(context).catch((error: unknown) => {
        if (error instanceof Ec2Failure) return false;
        throw error;
      });
      if (isShown) return true;
      if (context.signal.aborted || clock.now() + SHOWN_EVERY_MS >= end) return false;
      await clock.sleep(SHOWN_EVERY_MS, context.signal);
    }
  }

  async #isHere(context: ActionContext): Promise<boolean> {
    const { address, ownInterface, api } = this.#options;
    const [own] = await api.describeInterfaces([ownInterface], this.#attempts.reading(context));
    return own?.privateIps.includes(address) === true;
  }

  /** For people only: a member's interface that is gone must not make our own unreadable. */
  async #whereElse(context: ActionContext): Promise<string> {
    const { address, memberInterfaces, api } = this.#options;
    if (memberInterfaces.size === 0) return 'not here';
    const others = await api
      .describeInterfaces([...memberInterfaces], this.#attempts.reading(context))
      .catch(() => []);
    const holder = others.find(({ privateIps }) => privateIps.includes(address));
    return holder === undefined ? 'not here' : `at ${holder.id}`;
  }
}
