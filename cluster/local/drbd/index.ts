export {
  askDaemon,
  type ControlAnswer,
  type DrbdSnapshot,
  drbdSnapshot,
  probeWrite,
} from './control-client.ts';
export { type DaemonOptions, observerBlock } from './daemon.ts';
export { DeviceClient } from './device-client.ts';
export { BLOCK_BYTES } from './disk.ts';
export { newGeneration } from './metadata.ts';
export type { Endpoint } from './peer-channel.ts';
export { createEmptyReplica, createReplica } from './replica.ts';
export { writeShims } from './shims.ts';
