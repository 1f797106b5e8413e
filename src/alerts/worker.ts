/** Entry of the thread that sends alerts (dist/alerts.mjs): handshakes and slow servers are no business of the thread that leads. */
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../clock.ts';
import { assert } from '../core/index.ts';
import { Office, targetsOf } from './office.ts';
import type { SenderData, SenderReport, SenderRequest } from './protocol.ts';

assert(parentPort !== null, 'alerts are sent by a worker thread');
const port = parentPort;
const office = new Office(targetsOf(workerData as SenderData, systemClock.wallMs), systemClock, (report) =>
  port.postMessage(report satisfies SenderReport),
);
port.on('message', (request: SenderRequest) => void office.handle(request));
