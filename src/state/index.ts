export { audit } from './audit.ts';
export * from './audit-document.ts';
export * from './eligibility.ts';
export { isoTime } from './iso-time.ts';
