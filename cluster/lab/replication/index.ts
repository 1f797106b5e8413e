export { expectAlike } from './alike.ts';
export { Copies, type Discovery, fileSystem, pathOf, type Snapshots } from './copies.ts';
export { PoolWriter, RECORDS } from './pool-writer.ts';
