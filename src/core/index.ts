export * from './cluster-state.ts';
export * from './entry.ts';
export * from './hard-state.ts';
export * from './messages.ts';
export * from './timing.ts';
export * from './types.ts';
