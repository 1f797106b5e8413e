export { Copies, type Discovery, fileSystem, type Snapshots } from './copies.ts';
export { PoolWriter, RECORDS } from './pool-writer.ts';
