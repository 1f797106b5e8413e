export type { Alert, TestResult } from './alert.ts';
export { Alerts, type AlertsOptions } from './alerts.ts';
