/**
 * Fences another node by stopping its instance (R5). Its api is gated by the caller: only who still leads may fence, and
 * every mutating call asks again.
 *
 * 1. Confirmed is only what EC2 says in a description: `stopped` or `terminated`. `stopping` and `shutting-down` prove
 *    nothing: the machine may still write (R5). Nor do an accepted StopInstances, a time-out, an unreadable state.
 * 2. `stopped` may be an old reading, from before the machine was last started: EC2 is eventually consistent. It counts
 *    only after a reading that showed the machine alive, or when EC2 answered our own StopInstances with "it was stopped
 *    before": a change acts on the truth. `terminated` always counts: nothing starts again from there.
 * 3. StopInstances goes out once, with `Force` and `SkipOsShutdown`. It goes out again when it was not executed; when
 *    its answer was lost and the machine is not read to be on its way down (O2); and to ask whether a `stopped` of 2 is
 *    true.
 * 4. The isolation by a security group, where one is configured, goes out at the same time. It is quick, but cuts off
 *    new connections only: it confirms nothing. Nobody but an operator takes it back.
 */
import type { Clock } from '../clock.ts';
import type { NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { CloudAttempts } from './cloud-attempts.ts';
import { Ec2Failure, type InstanceApi, type InstanceState, type InterfaceApi } from './ec2.ts';
import type { ActionContext } from './types.ts';

/** Between two descriptions; EC2 throttles who asks more often. */
const POLL_MS = 1000;
const ALIVE: ReadonlySet<InstanceState> = new Set(['pending', 'running', 'stopping', 'shutting-down']);
const ON_ITS_WAY_DOWN: ReadonlySet<InstanceState> = new Set(['stopping', 'shutting-down', 'terminated']);

export interface Ec2FencerOptions {
  readonly instances: ReadonlyMap<NodeId, string>;
  /** A security group that admits nothing; null: no isolation. */
  readonly isolationGroup: string | null;
  /** Which of each node's interfaces are isolated. */
  readonly interfaces?: ReadonlyMap<NodeId, readonly string[]>;
  /** Gated by the caller, who must still lead. */
  readonly api: InstanceApi & Pick<InterfaceApi, 'describeInterfaces' | 'modifyInterfaceGroups'>;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  /** Who is called, for messages. */
  readonly endpoint: string;
}

type Verdict =
  | { readonly kind: 'confirmed'; readonly state: 'stopped' | 'terminated'; readonly ms: number }
  /** Fenced or not, nobody knows; `why` is a sentence for people. */
  | { readonly kind: 'unconfirmed'; readonly why: string };

export type FenceResult = Verdict & {
  /** EC2 accepted the isolation of every interface named; false where none is configured. */
  readonly isolated: boolean;
};

/** What one fencing has learnt so far. */
interface Knowledge {
  /** A reading showed it alive, so a later `stopped` is a newer one. */
  wasAlive: boolean;
  /** EC2's own answer to our StopInstances: there was nothing to stop. */
  wasStoppedBefore: boolean;
  last: InstanceState | null;
  /** Why the machine cannot be stopped, or not be read. */
  end: string | null;
  lastReadFailure: Ec2Failure | null;
}

interface Order {
  readonly instance: string;
  readonly context: ActionContext;
  readonly attempts: CloudAttempts;
  readonly known: Knowledge;
}

export class Ec2Fencer {
  readonly #options: Ec2FencerOptions;

  constructor(options: Ec2FencerOptions) {
    this.#options = options;
  }

  /** Never rejects; at the context's deadline, or when its signal fires, it ends with `unconfirmed` at the latest. */
  async fence(node: NodeId, context: ActionContext): Promise<FenceResult> {
    const instance = this.#options.instances.get(node);
    if (instance === undefined)
      return { kind: 'unconfirmed', why: `no instance is configured for node "${node}"`, isolated: false };
    const attempts = new CloudAttempts({ ...this.#options, name: `fencing of "${node}"` });
    // What still runs when the machine is confirmed to be off is not needed any more.
    const confirmed = new AbortController();
    const order: Order = {
      instance,
      context: { ...context, signal: AbortSignal.any([context.signal, confirmed.signal]) },
      attempts,
      known: { wasAlive: false, wasStoppedBefore: false, last: null, end: null, lastReadFailure: null },
    };
    const isolating = this.#isolate(node, order);
    const result = await this.#stopAndWatch(order);
    if (result.kind === 'confirmed') confirmed.abort();
    return { ...result, isolated: await isolating };
  }

  async #stopAndWatch(order: Order): Promise<Verdict> {
    const { clock } = this.#options;
    const { context, attempts, known } = order;
    const startedAt = clock.now();
    /** At most one at a time. */
    const stopping = new Set<Promise<boolean>>();
    const stop = (): void => {
      if (stopping.size > 0) return;
      const one = this.#stop(order).then(() => {
        stopping.delete(one);
        return false;
      });
      stopping.add(one);
    };
    stop();
    // The first reading, beside the stop, usually shows the machine alive (2).
    await this.#read(order);
    for (;;) {
      const state = confirmedState(known);
      if (state !== null) return { kind: 'confirmed', state, ms: clock.now() - startedAt };
      const isHopeless = known.end !== null && !(known.last !== null && ON_ITS_WAY_DOWN.has(known.last));
      if (isHopeless || attempts.isOver(context)) return { kind: 'unconfirmed', why: whyNot(order) };
      const waitMs = Math.min(POLL_MS, context.deadline - clock.now());
      const polled = clock.sleep(waitMs, context.signal).then(() => true);
      // The answer to StopInstances may be what the last reading lacked.
      const isDue = await Promise.race([polled, ...stopping]);
      if (!isDue) continue;
      await this.#read(order);
      if (known.last === 'stopped' && confirmedState(known) === null) stop();
    }
  }

  async #stop({ instance, context, attempts, known }: Order): Promise<void> {
    const { api } = this.#options;
    try {
      await attempts.untilDone(context, async (attempt) => {
        if (attempt.mustRead) {
          const state = await this.#describe(instance, context, attempts);
          if (ON_ITS_WAY_DOWN.has(state)) return;
          attempt.mustRead = false;
        }
        const { previous } = await api.stopInstance(
          { instanceId: instance, force: true, skipOsShutdown: true },
          attempts.mutating(context),
        );
        known.wasStoppedBefore = previous === 'stopped';
      });
    } catch (error) {
      known.end = error instanceof QuorateError ? error.message : String(error);
    }
  }

  /** A reading that fails leaves what was known; one that can never succeed ends the fencing. */
  async #read({ instance, context, attempts, known }: Order): Promise<void> {
    try {
      const state = await this.#describe(instance, context, attempts);
      known.last = state;
      known.lastReadFailure = null;
      known.wasAlive ||= ALIVE.has(state);
    } catch (error) {
      if (!(error instanceof Ec2Failure)) throw error;
      known.lastReadFailure = error;
      // An id that is not found may be too new to be seen, or long gone: no proof of anything.
      if (error.kind === 'permanent' && !error.code.endsWith('.NotFound'))
        known.end ??= attempts.refusal(error).message;
    }
  }

  async #describe(instance: string, context: ActionContext, attempts: CloudAttempts): Promise<InstanceState> {
    const states = await this.#options.api.describeInstances([instance], attempts.reading(context));
    return states.get(instance) ?? 'unknown';
  }

  async #isolate(node: NodeId, { context, attempts }: Order): Promise<boolean> {
    const { isolationGroup, interfaces, api } = this.#options;
    const ids = interfaces?.get(node) ?? [];
    if (isolationGroup === null || ids.length === 0) return false;
    const isolated = await Promise.allSettled(
      ids.map((interfaceId) =>
        attempts.untilDone(context, async (attempt) => {
          if (attempt.mustRead) {
            const [view] = await api.describeInterfaces([interfaceId], attempts.reading(context));
            if (view?.groups.length === 1 && view.groups[0] === isolationGroup) return;
            attempt.mustRead = false;
          }
          await api.modifyInterfaceGroups(
            { interfaceId, groups: [isolationGroup] },
            attempts.mutating(context),
          );
        }),
      ),
    );
    return isolated.every(({ status }) => status === 'fulfilled');
  }
}

/** See 1 and 2. */
function confirmedState({ last, wasAlive, wasStoppedBefore }: Knowledge): 'stopped' | 'terminated' | null {
  if (last === 'terminated') return 'terminated';
  return last === 'stopped' && (wasAlive || wasStoppedBefore) ? 'stopped' : null;
}

function whyNot({ instance, known, attempts }: Order): string {
  if (known.end !== null) return known.end;
  if (known.last === null) {
    const failure = known.lastReadFailure;
    return `the state of ${instance} could not be read${failure === null ? '' : `: ${attempts.refusal(failure).message}`}`;
  }
  return known.last === 'stopped'
    ? `${instance} reads "stopped", but that may be from before it was last started`
    : `${instance} is still "${known.last}"`;
}
