export type { NodeStanding } from './authorise.ts';
export * from './backend.ts';
export { AdminClient, type AdminClientOptions, type AlertsTestResult, type OrderOptions } from './client.ts';
export type { Inspected, InspectPage } from './inspect-client.ts';
export { type LocalAnswer, LocalSocket } from './local-socket.ts';
export type * from './members.ts';
export type { ReplicationDocument } from './replication.ts';
export { AdminServer, type AdminServerOptions } from './server.ts';
export * from './status.ts';
