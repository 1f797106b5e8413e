export {
  createExecutorClient,
  type ExecutorClient,
  type ExecutorClientOptions,
  type TakeOrder,
} from './client.ts';
export { ChildRunner } from './commands.ts';
export { runningExecutor } from './lock.ts';
export { type ProcessId, startTimeOf } from './processes.ts';
export type { ExecutorEvent } from './protocol.ts';
export { openWatchdog, readWatchdogTimeoutMs } from './watchdog.ts';
