export { type Adoptable, adoptable } from './adoption.ts';
export * from './cluster-state.ts';
export { newestTiming } from './config-entry.ts';
export { Core, type CoreView } from './core.ts';
export * from './entry.ts';
export { type ForceCheck, forceChecks, type InSyncLoss, inSyncLoss } from './force.ts';
export * from './hard-state.ts';
export * from './io.ts';
export { answers, MAX_MEMBERS, type MemberProposal, memberChecks } from './membership.ts';
export * from './messages.ts';
export type { CoreOptions } from './node.ts';
export { seededRandom } from './random.ts';
export { MAX_RESTART_MS, MIN_RESTART_MS, whyNoRestart } from './restart.ts';
export {
  openSchedule,
  type Schedule,
  type ScheduleOutcome,
  whyNotEnded,
  whyNotScheduled,
} from './schedule.ts';
export * from './timing.ts';
export { promiseShrinksAt, votersWithout } from './timing-change.ts';
export * from './types.ts';
