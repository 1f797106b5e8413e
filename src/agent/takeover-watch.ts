/** How an ordered takeover ends, as the log tells it; and what a plan would do, in words. */
import type { TakeoverStep } from '../admin/index.ts';
import type { Clock } from '../clock.ts';
import type { Entry, NodeId } from '../core/index.ts';
import { type ErrorCode, QuorateError } from '../errors.ts';
import type { Plan } from '../takeover/index.ts';

export interface EndedTakeover {
  readonly epoch: number;
  readonly steps: readonly TakeoverStep[];
}

interface Watcher {
  /** Told about every committed entry; `false` once it needs no more. */
  readonly look: (entry: Entry) => boolean;
  readonly giveUp: (why: string) => void;
}

export class TakeoverWatch {
  readonly #clock: Clock;
  readonly #limitMs: number;
  #watchers: Watcher[] = [];

  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock;
    this.#limitMs = limitMs;
  }

  onCommitted(entry: Entry): void {
    if (this.#watchers.length > 0) this.#watchers = this.#watchers.filter(({ look }) => look(entry));
  }

  /** The transfer is off, and everything is as it was. */
  onGivenUp(why: string): void {
    for (const { giveUp } of this.#watchers.splice(0)) giveUp(why);
  }

  /**
   * The next takeover by `to`. Rejects `failure` where it did not succeed or another node holds, `timed-out-unknown` at the
   * limit; `cancel` settles it where nothing was ordered after all.
   */
  next(to: NodeId, failure: ErrorCode): { readonly promise: Promise<EndedTakeover>; cancel(): void } {
    let cancel = () => {};
    const promise = new Promise<EndedTakeover>((resolve, reject) => {
      let isOpen = true;
      const end = (settle: () => void) => {
        isOpen = false;
        timer.cancel();
        settle();
      };
      const fail = (code: ErrorCode, why: string) => end(() => reject(new QuorateError(code, why)));
      const timer = this.#clock.after(this.#limitMs, () =>
        fail('timed-out-unknown', `the takeover by ${to} did not end within ${this.#limitMs} ms`),
      );
      cancel = () => end(() => resolve({ epoch: 0, steps: [] }));
      const look = ({ body }: Entry): boolean => {
        if (!isOpen) return false;
        if (body.kind === 'tenure-granted' && body.node !== to)
          fail(failure, `the takeover did not reach ${to}: ${body.node} holds`);
        else if (body.kind === 'takeover-done' && body.node === to) {
          if (body.ok) end(() => resolve({ epoch: body.epoch, steps: body.steps }));
          else fail(failure, `${to} could not take over: ${body.steps.at(-1)?.result ?? ''}`);
        }
        return isOpen;
      };
      const giveUp = (why: string): void => {
        if (isOpen) fail(failure, `the resources stay where they are: the transfer was ${why}`);
      };
      this.#watchers.push({ look, giveUp });
    });
    return { promise, cancel: () => cancel() };
  }
}

export function plannedSteps({ steps }: Plan, node: NodeId): TakeoverStep[] {
  return steps.map(({ action, name, after }) => {
    const when = after.length === 0 ? 'at once' : `after ${after.join(', ')}`;
    return { name: `${node}: ${action} ${name}`, ms: 0, result: when };
  });
}
