export { expectAlike } from './alike.ts';
export { ChannelSpeed } from './channel-speed.ts';
export { Copies, fileSystem, pathOf } from './copies.ts';
export { modelPools } from './model-pools.ts';
export { failOverNfs } from './nfs-failover.ts';
export { type RoleSwap, swapRoles } from './role-swap.ts';
