export { LocalNode, type LocalNodeOptions, type NodeProgram, type PowerState } from './local-node.ts';
export { freeNetwork, linkHost, port1, port2, releaseNetwork } from './network.ts';
export { HelperProcess, serveParent } from './parent.ts';
export { findProcesses, isGone, killProcesses, NODE_VARIABLE } from './processes.ts';
