/** `node dist/local-store.mjs OPTIONS.json`: the demo's store, waiting to be started (standby.ts). */
import { readFileSync } from 'node:fs';
import { type StandbyOptions, StoreStandby } from './standby.ts';

const path = process.argv[2];
if (path === undefined) throw new Error('usage: local-store OPTIONS.json');
// Written by the local cluster on the same host just before.
await new StoreStandby(JSON.parse(readFileSync(path, 'utf8')) as StandbyOptions).listen();
process.stdout.write('ready\n');
