export * from './cluster-state.ts';
export { Core } from './core.ts';
export * from './entry.ts';
export * from './hard-state.ts';
export * from './io.ts';
export * from './messages.ts';
export type { CoreOptions } from './node.ts';
export * from './timing.ts';
export * from './types.ts';
