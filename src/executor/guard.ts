/** Entry of the guard's worker thread (dist/guard.mjs). */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../clock.ts';
import { assert } from '../core/index.ts';
import { ChildRunner, NODE_MARK } from './commands.ts';
import { directSpawner } from './direct-spawner.ts';
import type { GuardData, GuardReport, GuardRequest } from './guard-protocol.ts';
import { GuardSocket } from './guard-socket.ts';
import { type GuardParts, GuardWorker } from './guard-worker.ts';
import { HelperSpawner } from './helper-spawner.ts';
import { killReplicator } from './replicator.ts';
import { noFence, sysrqFence } from './self-fence.ts';
import { forgetfulState, StateFile } from './state-file.ts';
import { SuspendCheck } from './suspend-check.ts';
import { openWatchdog } from './watchdog.ts';

assert(parentPort !== null, 'the guard runs in a worker thread');
const port = parentPort;
// Our own main thread made it, so it needs no validation.
const data = workerData as GuardData;
port.postMessage({ kind: 'loaded' } satisfies GuardReport);
// Nothing of another executor is touched, nor its state read, before the lock is ours.
await once(port, 'message');
const worker = new GuardWorker(data, {
  clock: systemClock,
  runner: withReplicator(
    new ChildRunner(data.mark, systemClock, data.isReleaseOnly ? directSpawner : helperSpawner()),
  ),
  state: data.isReleaseOnly
    ? (StateFile.openWhole(data.dataDir) ?? forgetfulState())
    : StateFile.open(data.dataDir),
  suspendCheck: () => new SuspendCheck(),
  openWatchdog: (device, whyUnfit) => openWatchdog(device, data.watchdog?.statedMs ?? null, whyUnfit),
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
/** In every release the replicator and what it has started are killed too, and nothing is released while something of it runs. */
function withReplicator(runner: ChildRunner): GuardParts['runner'] {
  if (!data.sendsReplicas) return runner;
  return {
    run: (command, options) => runner.run(command, options),
    follow: (command, handlers) => runner.follow(command, handlers),
    killMarked: (marker, deadline) => runner.killMarked(marker, deadline),
    killLeftovers: () => runner.killLeftovers(),
    killInFlight: async (limitMs) => {
      const gone = await Promise.all([
        killReplicator(data.mark, limitMs, systemClock),
        runner.killInFlight(limitMs),
      ]);
      return gone.every((isGone) => isGone);
    },
  };
}

function helperSpawner(): HelperSpawner {
  return new HelperSpawner({
    program: fileURLToPath(new URL('./spawn-helper.mjs', import.meta.url)),
    mark: { [NODE_MARK]: data.mark },
    clock: systemClock,
  });
}

port.on('message', (request: GuardRequest) => worker.onRequest(request));
await worker.start();
