/** Entry of the guard's worker thread (dist/guard.mjs). */
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../clock.ts';
import { assert } from '../core/index.ts';
import { ChildRunner } from './commands.ts';
import type { GuardData, GuardRequest } from './guard-protocol.ts';
import { GuardSocket } from './guard-socket.ts';
import { GuardWorker } from './guard-worker.ts';
import { noFence, sysrqFence } from './self-fence.ts';
import { StateFile } from './state-file.ts';
import { SuspendCheck } from './suspend-check.ts';
import { openWatchdog } from './watchdog.ts';

assert(parentPort !== null, 'the guard runs in a worker thread');
const port = parentPort;
// Our own main thread made it, so it needs no validation.
const data = workerData as GuardData;
const worker = new GuardWorker(data, {
  clock: systemClock,
  runner: new ChildRunner(data.mark, systemClock),
  state: StateFile.open(data.dataDir),
  suspendCheck: () => new SuspendCheck(),
  openWatchdog,
  fatal: (error) => {
    // Uncaught on purpose: it ends this thread, and the main thread ends the process (O1).
    setImmediate(() => {
      throw error;
    });
  },
  selfFence: data.selfFence === 'sysrq' ? sysrqFence : noFence,
  listen: (handlers) => GuardSocket.listen(data.socketPath, handlers),
  report: (report) => port.postMessage(report),
});
port.on('message', (request: GuardRequest) => worker.onRequest(request));
await worker.start();
