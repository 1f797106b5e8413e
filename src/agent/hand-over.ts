/** What an agent that is told to end does first (R3): it gives leadership and resources to somebody who can hold them. */
import type { Clock } from '../clock.ts';
import type { Term } from '../core/index.ts';
import type { Driver } from './driver.ts';

/** What refuses a transfer now (a tenure that is just being adopted, L7) may be over in a moment. */
const ASK_AGAIN_MS = 100;

export interface HandOverOptions {
  readonly driver: Pick<Driver, 'view' | 'transfer'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly until: (isDone: () => boolean, limitMs: number) => Promise<boolean>;
  readonly limitMs: number;
}

/**
 * Asks until the core takes the order, once in each term that this node leads: an order that was taken is not repeated, because
 * a leader that has renounced takes a second one as "at once, to nobody". For that reason nothing is asked, either, while a transfer
 * that somebody else has ordered is under way: it lets go by itself, and knows to whom. Also of a node that comes to lead only now.
 */
export async function handOver({ driver, clock, until, limitMs }: HandOverOptions) {
  const deadline = clock.now() + limitMs;
  const isOver = (): boolean => driver.view.role.kind !== 'leader' && driver.view.hold.kind === 'none';
  let hasLed = false;
  let takenIn: Term | null = null;
  for (;;) {
    const { role, hard, leadership } = driver.view;
    const { term } = hard;
    if (role.kind === 'leader') hasLed = true;
    if (leadership?.transfer === null && takenIn !== term) {
      const refused = driver.transfer({ kind: 'transfer', to: null, reason: 'shutdown' });
      if (refused === null) takenIn = term;
    }
    const leftMs = deadline - clock.now();
    if (leftMs <= 0) return { hasLed, isReleased: isOver() };
    if (await until(isOver, Math.min(leftMs, ASK_AGAIN_MS))) return { hasLed, isReleased: true };
  }
}
