export {
  type Asset,
  loadStatusPage,
  PAGE_PATHS,
  SECURITY_HEADERS,
  type StatusPage,
  statusPageOf,
} from './assets.ts';
export { EventStream, MAX_READERS } from './event-stream.ts';
export {
  type Holding,
  type News,
  newsOf,
  type PageNode,
  type PageState,
  type PastTakeover,
  type Pulse,
  type StatusFacts,
} from './state.ts';
export type { Severity, Warning } from './warnings.ts';
