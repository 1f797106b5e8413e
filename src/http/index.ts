export { Histogram } from './exposition.ts';
export type { Counted, MetricFacts, ProcessFacts } from './metrics.ts';
export type { RoleAnswer } from './role-checks.ts';
export { CHECKS, type Check, decide } from './role-checks.ts';
export type { RoleFacts, RoleName } from './role-facts.ts';
export { HttpServer, type HttpServerOptions, type RoleBackend } from './server.ts';
export {
  loadStatusPage,
  type News as PageNews,
  newsOf,
  type PastTakeover,
  type StatusFacts,
  type StatusPage,
} from './status-page/index.ts';
