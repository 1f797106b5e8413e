/** Everything that can be seen, by name: what a filter may ask for, and what docs/inspect.md lists. */
import type { ExecutorEvent, Greeting, OrderText, Renewal } from '../executor/index.ts';
import type { SeenMessage } from '../peer/index.ts';

export const CHANNELS = ['peer', 'executor', 'cloud'] as const;
export type Channel = (typeof CHANNELS)[number];
export const DIRECTIONS = ['sent', 'received'] as const;
export type Direction = (typeof DIRECTIONS)[number];

type OrderKind = (OrderText | Renewal)['kind'];
type ReportKind = (ExecutorEvent | Greeting)['kind'];

// Records, so that the compiler misses a kind that was added.
const PEER: Readonly<Record<SeenMessage['kind'], true>> = {
  heartbeat: true,
  'heartbeat-ack': true,
  append: true,
  'append-ack': true,
  'pre-vote': true,
  'pre-vote-ack': true,
  vote: true,
  'vote-ack': true,
  'timeout-now': true,
  released: true,
  'released-ack': true,
  renounced: true,
  bootstrap: true,
  'bootstrap-ack': true,
  facts: true,
  'facts-ack': true,
  undecoded: true,
};
const ORDERS: Readonly<Record<OrderKind, true>> = {
  hello: true,
  arm: true,
  disarm: true,
  take: true,
  renew: true,
  release: true,
  keep: true,
  fence: true,
  'resume-io': true,
  look: true,
  'follow-resync': true,
  'read-pools': true,
  replicate: true,
  'read-copies': true,
  members: true,
  timing: true,
  bye: true,
  features: true,
  'hand-over': true,
  bind: true,
  adopt: true,
  knows: true,
};
const REPORTS: Readonly<Record<ReportKind, true>> = {
  welcome: true,
  refused: true,
  ready: true,
  unverified: true,
  revoked: true,
  armed: true,
  'arm-failed': true,
  taken: true,
  'take-failed': true,
  released: true,
  'release-failed': true,
  'fence-ended': true,
  'repair-failed': true,
  'timing-applied': true,
  doctor: true,
  'io-resumed': true,
  'data-read': true,
  'pools-read': true,
  'pools-unread': true,
  replication: true,
  'copies-read': true,
  resync: true,
  probes: true,
  gone: true,
  features: true,
  kept: true,
  'handed-over': true,
  'hand-over-refused': true,
  bound: true,
};

export const KINDS = {
  peer: Object.keys(PEER),
  orders: Object.keys(ORDERS),
  reports: Object.keys(REPORTS),
} as const;

/** Calls to the cloud have the cloud's names, of which only the form is known here: `AssociateAddress`. */
export const CLOUD_CALL = /^[A-Z][A-Za-z0-9]{2,99}$/;
