export type {
  CallOptions,
  NamedSnapshot,
  ReceiveEnd,
  ReceiveOrder,
  ReceiverChannel,
  ReceiverOrder,
  Receiving,
  Tail,
} from './channel.ts';
export type { ConflictReason, Decision, Ends } from './decide.ts';
export {
  type Direction,
  type DiscoverDocument,
  type DiscoveredTask,
  discover,
  drbdBelow,
  otherDataNode,
  type Said,
} from './discover.ts';
export * from './engine/index.ts';
export { COMMANDS as READ_COMMANDS, ListTextError, type PoolTexts, parsePool } from './list-text.ts';
export { type PlanInput, type PoolPlan, planReplication, type Step, type Task } from './plan.ts';
export type { Dataset, Pool, PoolSide } from './pool.ts';
export { yieldToOthers } from './priority.ts';
export {
  type PoolsReading,
  packReading,
  READ_LIMIT_MS,
  type ReadingParts,
  readPools,
  sideOf,
  unpackReading,
} from './reading.ts';
export { readResumeToken } from './resume-token.ts';
export {
  type AsideParts,
  type CompleteOrder,
  copyWordsCommand,
  type Dropped,
  drop,
  dropWord,
  endAside,
  type Kept,
  keptIn,
  markComplete,
  parseCopyWords,
  readAside,
  readCopyWords,
  requireOnlyOwnHolds,
  type SetAside,
  setAside,
  tailsOf,
  toDrop,
} from './roles/index.ts';
