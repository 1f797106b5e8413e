/** `node dist/local-drbd.mjs OPTIONS.json`: the DRBD stand-in's daemon. Prints `ready` when the resource is up. */
import { readFileSync } from 'node:fs';
import { type DaemonOptions, DrbdDaemon } from './daemon.ts';

const path = process.argv[2];
if (path === undefined) throw new Error('usage: local-drbd OPTIONS.json');
// Written by the local cluster on the same host just before; a wrong one fails at the first use.
const options = JSON.parse(readFileSync(path, 'utf8')) as DaemonOptions;
const startedAt = process.hrtime.bigint();
const daemon = new DrbdDaemon(options, (line) => {
  const ms = Number(process.hrtime.bigint() / 1000n) / 1000;
  process.stderr.write(`${ms.toFixed(1)} ${line}\n`);
});
await daemon.start();
process.stdout.write(`ready ${Number(process.hrtime.bigint() - startedAt) / 1e6}\n`);
const stop = (): void => {
  daemon.stop().finally(() => process.exit(0));
};
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
