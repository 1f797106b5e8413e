/**
 * What somebody who looks at the channel to the executor is told, as the agent sees it. While nobody does, `isWatched` is
 * false, and that is all that an order costs.
 */
import type { ExecutorEvent, Greeting, OrderText } from './protocol.ts';

/** What goes over the guard's own socket (T4). */
export interface Renewal {
  readonly kind: 'renew';
  readonly epoch: number;
  readonly until: number;
}

export interface SeenOrder {
  readonly direction: 'sent';
  readonly content: OrderText | Renewal;
  readonly bytes: number;
  /** Null: it was handed to the socket. */
  readonly outcome: string | null;
}

export interface SeenReport {
  readonly direction: 'received';
  readonly content: ExecutorEvent | Greeting;
  readonly bytes: number;
  readonly outcome: null;
}

export interface ExecutorTap {
  readonly isWatched: boolean;
  /** Asked only while watched. Never throws, never waits. */
  line(seen: SeenOrder | SeenReport): void;
}
