export type { TimingAdvice, TimingSet } from './advice.ts';
export { CHECKS, checksNamed, HARMLESS_CHECKS } from './checks.ts';
export type { CloudCall, CloudProbe } from './cloud-probe.ts';
export type { Check, DoctorContext } from './context.ts';
export { type HostParts, hostContext } from './host-context.ts';
export {
  type Changes,
  changesSince,
  countOf,
  type DoctorReport,
  type ReportedFinding,
  type Result,
} from './report.ts';
export { runDoctor } from './run.ts';
