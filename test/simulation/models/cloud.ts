/**
 * EC2's interface to one elastic IP.
 *
 * Modelled: association as EC2 does it (reassociation moves the address and makes a new id, `false` refuses what is taken, a
 * dead id changes nothing), the time a call takes, throttling, refused permission, an endpoint that is out of reach, replies
 * that are lost after the call was executed, calls that are executed late, descriptions that show the past.
 * Not modelled: HTTP, signing and the SDK, routes, private addresses, StopInstances: test/controller and test/resources
 * have them.
 */
import {
  type AddressView,
  type Ec2Api,
  type Ec2CallOptions,
  Ec2Failure,
} from '../../../src/resources/index.ts';
import type { Thread } from '../engine/host.ts';
import type { World } from '../engine/world.ts';
import { between } from '../engine/world.ts';

export interface CloudTrouble {
  /** Probabilities of one call. */
  readonly throttled: number;
  readonly replyLost: number;
  readonly late: number;
  readonly unreachable: number;
  readonly denied: number;
  /** How far behind a description may be, ms. */
  readonly staleMs: number;
}

export const FINE: CloudTrouble = {
  throttled: 0,
  replyLost: 0,
  late: 0,
  unreachable: 0,
  denied: 0,
  staleMs: 0,
};

interface Association {
  readonly since: number;
  readonly id: string | null;
  readonly interfaceId: string | null;
}

const CALL_MS = [3, 40] as const;
const LATE_MS = [200, 6_000] as const;
const MAX_HISTORY = 50;

const notModelled = (): Promise<never> =>
  Promise.reject(
    new Ec2Failure('permanent', 'NotModelled', 'the simulated cloud has one address and no more'),
  );

export interface MutatingCall {
  readonly by: string;
  readonly what: string;
}

export class Cloud {
  readonly #world: World;
  readonly #random: () => number;
  trouble: CloudTrouble = FINE;
  readonly #history: Association[] = [{ since: 0, id: null, interfaceId: null }];
  #ids = 0;
  /** Told when a mutating call leaves its host (O2). */
  onMutation: (call: MutatingCall) => void = () => undefined;

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random('cloud');
  }

  /** Whose interface has the address, in truth. */
  get owner(): string | null {
    return this.#now.interfaceId?.replace('eni-', '') ?? null;
  }
  get #now(): Association {
    return this.#history.at(-1) ?? { since: 0, id: null, interfaceId: null };
  }

  api(thread: Thread): Ec2Api {
    const by = thread.host.id;
    return {
      describeAddress: (_allocation, options) => this.#call(thread, options, false, () => this.#view()),
      associateAddress: ({ interfaceId, allowReassociation }, options) => {
        this.onMutation({ by, what: 'AssociateAddress' });
        return this.#call(thread, options, true, () => this.#associate(interfaceId, allowReassociation));
      },
      disassociateAddress: async (associationId, options) => {
        this.onMutation({ by, what: 'DisassociateAddress' });
        await this.#call(thread, options, true, () => {
          if (this.#now.id === associationId) this.#set(null, null);
        });
      },
      describeRouteTables: notModelled,
      replaceRoute: notModelled,
      createRoute: notModelled,
      describeInterfaces: notModelled,
      assignPrivateIp: notModelled,
      modifyInterfaceGroups: notModelled,
      describeInstances: notModelled,
      stopInstance: notModelled,
    };
  }

  #call<Result>(
    thread: Thread,
    options: Ec2CallOptions,
    mutates: boolean,
    act: () => Result,
  ): Promise<Result> {
    const { trouble } = this;
    const draw = (probability: number): boolean => this.#random() < probability;
    const [isThrottled, isDenied, isOut] = [
      draw(trouble.throttled),
      draw(trouble.denied),
      draw(trouble.unreachable),
    ];
    const [isLost, isLate] = [draw(trouble.replyLost), mutates && draw(trouble.late)];
    const takesMs = between(this.#random, CALL_MS);
    return new Promise((resolve, reject) => {
      let isOver = false;
      const end = (settle: () => void): void => {
        if (isOver) return;
        isOver = true;
        timer.cancel();
        options.signal.removeEventListener('abort', onAbort);
        settle();
      };
      const fail = (kind: ConstructorParameters<typeof Ec2Failure>[0], code: string): void =>
        end(() => reject(new Ec2Failure(kind, code, code)));
      const onAbort = (): void => fail('aborted', 'AbortError');
      const timer = thread.clock.after(options.timeoutMs, () => fail('unknown-outcome', 'TimeoutError'));
      options.signal.addEventListener('abort', onAbort, { once: true });
      if (options.signal.aborted) return onAbort();
      const answer = (delayMs: number, settle: () => void): void => thread.post(delayMs, () => end(settle));
      if (isOut) return answer(3, () => reject(new Ec2Failure('unreachable', 'ECONNREFUSED', 'refused')));
      if (isThrottled)
        return answer(takesMs, () =>
          reject(new Ec2Failure('throttled', 'RequestLimitExceeded', 'throttled')),
        );
      if (isDenied)
        return answer(takesMs, () => reject(new Ec2Failure('permanent', 'UnauthorizedOperation', 'denied')));
      const executeIn = isLate ? between(this.#random, LATE_MS) : takesMs / 2;
      if (isLate) this.#world.marks.add('cloud-call-late');
      // Whatever became of the caller: the request is on its way.
      this.#world.after(executeIn, () => {
        let result: Result;
        try {
          result = act();
        } catch (error) {
          if (!isLost) answer(takesMs / 2, () => reject(error as Error));
          return;
        }
        if (isLost) this.#world.marks.add('cloud-reply-lost');
        else answer(takesMs / 2, () => resolve(result));
      });
    });
  }

  #view(): AddressView {
    const at = this.#world.now - this.#random() * this.trouble.staleMs;
    const seen = this.#history.findLast(({ since }) => since <= at) ?? this.#now;
    return {
      publicIp: '203.0.113.5',
      associationId: seen.id,
      interfaceId: seen.interfaceId,
      privateIp: null,
    };
  }

  #associate(interfaceId: string, allowReassociation: boolean): string {
    if (this.#now.interfaceId === interfaceId && this.#now.id !== null) return this.#now.id;
    if (this.#now.interfaceId !== null && !allowReassociation)
      throw new Ec2Failure('already-associated', 'Resource.AlreadyAssociated', 'is already associated');
    this.#ids += 1;
    const id = `eipassoc-${this.#ids}`;
    this.#set(id, interfaceId);
    return id;
  }

  #set(id: string | null, interfaceId: string | null): void {
    this.#history.push({ since: this.#world.now, id, interfaceId });
    if (this.#history.length > MAX_HISTORY) this.#history.shift();
    this.#world.changes += 1;
    this.#world.say(
      'ec2',
      interfaceId === null ? 'nobody has the address' : `${interfaceId} has the address`,
    );
  }
}
