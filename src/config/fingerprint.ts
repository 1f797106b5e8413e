/**
 * What must be equal on all nodes, as one hash for each part of the config, so that a difference has a name. Values that
 * are a node's own (paths, listeners, interfaces, local addresses, commands) are left out.
 */
import { hash } from 'node:crypto';
import { canonicalJson } from '../core/index.ts';
import type { Config, ResourceConfig } from './config.ts';

/** SHA-256 in hex by the part of the config that it covers. */
export type ConfigFingerprint = Readonly<Record<FingerprintPart, string>>;

export const FINGERPRINT_PARTS = [
  'cluster',
  'members',
  /** Where each node dials the others. Behind address translation they may differ rightly. */
  'addresses',
  /** At bootstrap only; afterwards the log's rules (L8). */
  'timing',
  'watchdog',
  'fencing',
  'max_data_loss',
  'cloud',
  'resources',
  'replication',
] as const;

export type FingerprintPart = (typeof FINGERPRINT_PARTS)[number];

/** A witness holds nothing (W1): its file need not have the other parts. */
export const WITNESS_PARTS: ReadonlySet<FingerprintPart> = new Set([
  'cluster',
  'members',
  'addresses',
  'timing',
]);

/** Values of a resource that are this node's own, by kind: what may be given per node, and where its files lie. */
const OWN_KEYS: { readonly [Kind in ResourceConfig['kind']]: readonly string[] } = {
  drbd: [],
  mount: [],
  'zfs-pool': ['devices'],
  'replicated-pool': [],
  port: ['interface', 'addresses', 'gateway'],
  'route-table': ['interface', 'gateway', 'from', 'routes'],
  'virtual-ip': ['interface'],
  'elastic-ip': ['via', 'privateIp'],
  'vpc-route': ['via'],
  'private-ip': ['via'],
  'target-group': ['via'],
  service: ['service'],
  hook: ['script', 'environment'],
  'port-block': [],
  inbound: ['interface', 'addresses'],
};

export function configFingerprint(config: Config): ConfigFingerprint {
  const members = config.members.toSorted((left, right) => (left.id < right.id ? -1 : 1));
  const { mode, timeoutMs } = config.watchdog;
  const parts: Readonly<Record<FingerprintPart, unknown>> = {
    cluster: config.cluster,
    members: members.map(({ id, zone, witness }) => ({ id, zone, witness })),
    addresses: members.map(({ id, peer }) => ({ id, peer })),
    timing: config.timing,
    watchdog: { mode, timeoutMs },
    fencing: config.fencing,
    max_data_loss: config.maxDataLossMs,
    cloud: config.cloud,
    resources: config.resources.map(sharedPart),
    replication: sharedReplication(config.replication),
  };
  return Object.fromEntries(
    FINGERPRINT_PARTS.map((part) => [part, hash('sha256', canonicalJson(parts[part]), 'hex')]),
  ) as unknown as ConfigFingerprint; // one entry for each part
}

/** Files and the program may lie in other places; what the channel is, and where it goes, both must know alike. */
function sharedReplication(replication: Config['replication']): unknown {
  if (replication?.channel?.kind !== 'ssh') return replication;
  const { authorizedKeys: _file, hostKeys: _files, command: _words, ...channel } = replication.channel;
  return { ...replication, channel };
}

/** The order of the list counts: it is the order of the takeover. */
function sharedPart(resource: ResourceConfig): Record<string, unknown> {
  const own = OWN_KEYS[resource.kind];
  const shared = Object.fromEntries(Object.entries(resource).filter(([key]) => !own.includes(key)));
  // A unit has the same name everywhere; a command may lie in another place. Of routes only the router may differ.
  if (resource.kind === 'service' && resource.service.kind === 'unit') shared.unit = resource.service.unit;
  if (resource.kind === 'route-table') shared.routes = resource.routes.map(({ to }) => to);
  return shared;
}
