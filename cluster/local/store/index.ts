export { StoreClient } from './client.ts';
export { type StoreScripts, writeStoreScripts } from './scripts.ts';
export type { StandbyOptions } from './standby.ts';
