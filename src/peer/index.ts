export {
  CERTIFICATE_TIMES,
  type CertificateFacts,
  type CertificateLogger,
  CertificateWatch,
  certificateWarnings,
} from './certificate-watch.ts';
export { channelOptions, secureContext } from './channel.ts';
export type { Lane, WireProblem } from './codec.ts';
export { Dialer } from './dialer.ts';
export type { Fitness, NodeFacts } from './facts.ts';
export { FORMAT, FORMAT_HEADER } from './format.ts';
export {
  authorityCluster,
  CLIENT_ROLES,
  type ClientIdentity,
  type ClientRole,
  type Identity,
  identityOf,
  identityUri,
  isClientRole,
  isClusterName,
  type NodeIdentity,
} from './identity.ts';
export type { PeerLogger } from './logger.ts';
export type { PairAnswer, PairRequest } from './pair.ts';
export {
  AUTHORITY_DAYS,
  CERTIFICATE_DAYS,
  createAuthority,
  issueClient,
  issueNode,
  type KeyPairPem,
} from './pki.ts';
export { type Rate, RateLimits } from './rate-limits.ts';
export type { PeerCallKind, PeerTap, SeenMessage } from './tap.ts';
export { checkTls, readTls, type TlsMaterial, type TlsPaths } from './tls.ts';
export { type ListenerLimits, TlsListener, type TlsListenerOptions } from './tls-listener.ts';
export { type PeerCounters, PeerTransport, type PeerTransportOptions } from './transport.ts';
export {
  askFacts,
  askPair,
  askPools,
  type FactsAnswer,
  openStatementLine,
  type StatementLine,
  sendBootstrap,
  sendStatement,
  type UnaryOptions,
} from './unary.ts';
