export {
  createExecutorClient,
  type ExecutorClient,
  type ExecutorClientOptions,
  type TakeOrder,
} from './client.ts';
export { type CallReport, followCalls } from './cloud-calls.ts';
export { ChildRunner } from './commands.ts';
export { kernelFiles } from './kernel-files.ts';
export { runningExecutor } from './lock.ts';
export { PoolsReader } from './pools.ts';
export { type ProcessId, startTimeOf } from './processes.ts';
export type { ExecutorEvent, Greeting, OrderText } from './protocol.ts';
export { isNearBudget, NEAR_BUDGET_ADVICE } from './release-budget.ts';
export { type ReleaseOptions, releaseAll } from './release-process.ts';
export type { ReleaseReport } from './release-report.ts';
export { ResumeWatch, SuspendCheck } from './suspend-check.ts';
export type { ExecutorTap, Renewal, SeenOrder, SeenReport } from './tap.ts';
export { openWatchdog, readWatchdogTimeoutMs } from './watchdog.ts';
