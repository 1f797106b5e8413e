export * from './backend.ts';
export * from './status.ts';
