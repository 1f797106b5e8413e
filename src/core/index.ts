export * from './entry.ts';
export * from './hard-state.ts';
export * from './messages.ts';
export * from './types.ts';
