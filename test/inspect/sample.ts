/** Things to be seen, for tests. */
import { type Heartbeat, instant, type Message, nodeId, term } from '../../src/core/index.ts';
import type { ExecutorEvent, OrderText } from '../../src/executor/index.ts';
import type { FilterRequest } from '../../src/inspect/index.ts';
import { Tap } from '../../src/inspect/index.ts';
import type { Observation } from '../../src/inspect/observation.ts';
import type { SeenMessage } from '../../src/peer/index.ts';
import { A, B, heartbeat } from '../peer/harness.ts';

export const EVERYTHING: FilterRequest = { peers: [], kinds: [], direction: null, slowerThanMs: 0 };

export const observed = (change: Partial<Observation> = {}): Observation => ({
  at: instant(1000),
  channel: 'peer',
  direction: 'sent',
  peer: 'b',
  kind: 'heartbeat',
  bytes: 41,
  latencyMs: null,
  outcome: null,
  content: { term: 3, seq: 9 },
  weight: 300,
  ...change,
});

export const passed = (
  message: Message,
  direction: 'sent' | 'received' = 'sent',
  change: Partial<SeenMessage> = {},
): SeenMessage => ({
  direction,
  peer: direction === 'sent' ? message.to : message.from,
  kind: message.kind,
  bytes: 41,
  outcome: null,
  message,
  latencyMs: null,
  ...change,
});

export const beat = (seq: number): Heartbeat => heartbeat(A, B, seq);
export const beatAck = (seq: number): Message => ({
  kind: 'heartbeat-ack',
  from: B,
  to: A,
  term: term(7),
  seq,
});

export const order = (content: OrderText) =>
  ({ direction: 'sent', content, bytes: JSON.stringify(content).length + 1, outcome: null }) as const;
export const report = (content: ExecutorEvent) =>
  ({ direction: 'received', content, bytes: JSON.stringify(content).length + 1, outcome: null }) as const;

/** A tap of node a on a clock that is set by hand. */
export function tapOfA() {
  const time = { ms: 1000 };
  const follows: string[] = [];
  const tap = new Tap({
    self: nodeId('a'),
    others: [nodeId('b'), nodeId('w')],
    followCalls: () => {
      follows.push('begun');
      return () => follows.push('ended');
    },
    clock: { now: () => instant(time.ms), wallMs: () => 1_700_000_000_000 + time.ms },
  });
  return { tap, time, follows };
}
