export {
  createExecutorClient,
  type ExecutorClient,
  type ExecutorClientOptions,
  type TakeOrder,
} from './client.ts';
export { type ProcessId, startTimeOf } from './processes.ts';
export type { ExecutorEvent } from './protocol.ts';
export { readWatchdogTimeoutMs } from './watchdog.ts';
