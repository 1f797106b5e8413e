export { expectAlike } from './alike.ts';
export { Copies, fileSystem, pathOf } from './copies.ts';
export { modelPools } from './model-pools.ts';
export { type RoleSwap, swapRoles } from './role-swap.ts';
