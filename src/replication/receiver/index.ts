export { type Authority, judge, type Known, localAuthority, type Verdict } from './authority.ts';
export { failureOf, oneLine } from './failure.ts';
export { inParts, mayBeNamed, ORDER_LIMITS } from './orders.ts';
export type { RunningReceive } from './receive.ts';
export { Receiver, type ReceiverParts } from './receiver.ts';
export {
  type EndedReceives,
  endReceiveOf,
  endReceives,
  RECEIVE_MARK,
  type Registered,
  type Registration,
  register,
  registerDropping,
  registered,
} from './registry.ts';
