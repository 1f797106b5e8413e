/** Entry of the guard's worker thread (dist/guard.mjs). */
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../core/index.ts';
import type { GuardData } from './guard-protocol.ts';
import { GuardWorker } from './guard-worker.ts';

assert(parentPort !== null, 'the guard runs in a worker thread');
// Our own main thread made it, so it needs no validation.
await new GuardWorker(workerData as GuardData, parentPort).start();
