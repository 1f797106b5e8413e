export { audit } from './audit.ts';
export * from './audit-document.ts';
export { type AuditGap, gapsOf } from './audit-gaps.ts';
export { type AuditParts, type AuditWindow, ownTime, windowed } from './audit-window.ts';
export * from './data-loss.ts';
export * from './eligibility.ts';
export { isoTime } from './iso-time.ts';
export { changeText, orderText, scheduleText, timingText } from './order-text.ts';
export * from './requests.ts';
