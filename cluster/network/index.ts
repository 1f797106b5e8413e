export { attempt, inside, ipBatch, nft, type Ran, run, runNow } from './commands.ts';
export { type KeeperCommand, runKeeper } from './keeper.ts';
export { removeLeftovers, removeNamespacesOf, whyNoNetwork } from './namespaces.ts';
export type { RouterOptions } from './router.ts';
export { type RouterCommand, type RouterNews, runRouter } from './router-process.ts';
