/** Relations between sections, each checked as far as its parts could be read. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { leastPromiseMs, type NodeId } from '../core/index.ts';
import type { MemberConfig, ReplicationConfig, ResourceConfig, TimingConfig, TlsFiles } from './config.ts';
import { checkUniquePerNode, type ResourceContext } from './per-node.ts';
import type { Problems } from './problems.ts';
import { formatDuration } from './scalars.ts';
import { suggest } from './suggest.ts';
import { deriveTiming } from './timing.ts';

export const MAX_MEMBERS = 7;

export function checkMembers(members: readonly MemberConfig[], count: number, problems: Problems): void {
  if (count > MAX_MEMBERS)
    problems.add(
      ['members'],
      `${count} members are too many, the limit is ${MAX_MEMBERS}`,
      'two data nodes and a witness are usual',
    );
  const witnesses = members.filter((member) => member.witness);
  for (const extra of witnesses.slice(1)) {
    const first = witnesses[0]?.id;
    problems.add(
      ['members', extra.id, 'witness'],
      `there is already a witness, "${first}"`,
      'at most one witness',
    );
  }
  if (members.length > 0 && members.length === count && witnesses.length === members.length)
    problems.add(
      ['members'],
      'no member can hold the resources',
      'a witness never does (W1): add a data node',
    );
  const byAddress = new Map<string, NodeId>();
  for (const member of members) {
    const first = byAddress.get(member.peer);
    if (first !== undefined)
      problems.add(
        ['members', member.id, 'peer'],
        `${member.peer} is already the address of "${first}"`,
        'one address per member',
      );
    else byAddress.set(member.peer, member.id);
  }
}

/** `option`: that from which the id came; null: from the file. */
export function checkSelf(
  node: NodeId | null,
  option: string | null,
  ids: readonly string[],
  problems: Problems,
): void {
  if (node === null || ids.length === 0 || ids.includes(node)) return;
  const near = suggest(node, ids);
  const hint = near === null ? `members: ${ids.join(', ')}` : `did you mean "${near}"?`;
  if (option !== null) problems.add(['members'], `${option} ${node} is not a member`, hint);
  else problems.add(['node'], `"${node}" is not a member`, hint);
}

/** L5, as far as it can be checked before the watchdog has told its timeout. */
export function checkTiming(
  timing: TimingConfig,
  watchdogTimeoutMs: number | null,
  problems: Problems,
): void {
  const { heartbeatMs, leaseMs, promiseMs } = timing;
  const leastLeaseMs = 3 * heartbeatMs;
  if (leaseMs < leastLeaseMs) {
    problems.add(
      ['timing', 'lease'],
      `${formatDuration(leaseMs)} is shorter than three heartbeats of ${formatDuration(heartbeatMs)}: one lost packet would end the lease (L5)`,
      `at least ${formatDuration(leastLeaseMs)}, or a heartbeat of at most ${formatDuration(Math.floor(leaseMs / 3))}`,
    );
    return;
  }
  const { promiseMs: _, ...values } = timing;
  const leastMs = Math.ceil(leastPromiseMs({ ...values, watchdogTimeoutMs }));
  if (promiseMs !== null && promiseMs < leastMs) {
    const formula = watchdogTimeoutMs === null ? 'k·(L+g+D)' : 'k·max(L+g+D, G+2W)';
    problems.add(
      ['timing', 'promise'],
      `${formatDuration(promiseMs)} is too short: the old holder needs up to ${formatDuration(leastMs)} to let go, ${formula} with these values (L5)`,
      `at least ${formatDuration(leastMs)}; left out, it is derived`,
    );
    return;
  }
  try {
    deriveTiming(timing, watchdogTimeoutMs);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    problems.add(['timing'], error.message);
  }
}

/** Who cannot be named cannot be stopped; and half a pair would be worse than none, because it looks like fencing (R5). */
export function checkFencing(
  section: { readonly ec2_stop: string; readonly instances?: Readonly<Record<string, string>> | undefined },
  context: ResourceContext,
): void {
  const { ec2_stop: when, instances } = section;
  if (instances !== undefined)
    checkUniquePerNode(instances, ['fencing', 'instances'], 'instance', 'i-...', context);
  else if (when === 'before')
    context.problems.add(
      ['fencing', 'ec2_stop'],
      'before needs the instances: it waits until the old holder is confirmed as stopped (R5)',
      'as "instances: {a: i-..., b: i-...}"',
    );
}

/** A pattern that cannot match anything is a mistyped one: what it should keep out would be sent. */
export function checkReplication(section: ReplicationConfig, { members, problems }: ResourceContext): void {
  const nodes = members.filter(({ witness }) => !witness);
  if (members.length > 0 && nodes.length !== 2)
    problems.add(
      ['replication'],
      `snapshots go from one data node to one other, the config has ${nodes.length}`,
      'two data nodes, or leave the section out',
    );
  for (const [position, pool] of section.pools.entries())
    if (section.pools.indexOf(pool) < position)
      problems.add(['replication', 'pools', position], `"${pool}" is there twice`);
  const check = (path: readonly (string | number)[], patterns: readonly string[]): void => {
    for (const [position, pattern] of patterns.entries()) {
      const [first = ''] = pattern.split('/');
      if (first.includes('*') || section.pools.includes(first)) continue;
      const near = suggest(first, section.pools);
      const hint = near === null ? `pools: ${section.pools.join(', ')}` : `did you mean "${near}"?`;
      problems.add(['replication', ...path, position], `"${first}" is none of the pools`, hint);
    }
  };
  for (const key of ['include', 'exclude'] as const) check([key], section[key]);
  for (const [at, { datasets }] of (section.send?.overrides ?? []).entries())
    check(['send', 'overrides', at, 'datasets'], datasets);
}

/** A pool that nothing sends would be taken over as it was at the beginning; and one pool cannot both move and stay. */
export function checkReplicatedPools(
  resources: readonly ResourceConfig[],
  replication: ReplicationConfig | null,
  problems: Problems,
): void {
  // With another error in the list its positions are others; the names are in the sentences.
  for (const [position, resource] of resources.entries()) {
    if (resource.kind !== 'replicated-pool') continue;
    const { name, pool } = resource;
    if (replication?.pools.includes(pool) !== true)
      problems.add(
        ['resources', position, 'pool'],
        `"${name}": the pool "${pool}" is not among the pools of "replication"`,
        `as "replication: {pools: [${pool}]}"`,
      );
    const mover = resources.find((other) => other.kind === 'zfs-pool' && other.pool === pool);
    if (mover !== undefined)
      problems.add(
        ['resources', position, 'pool'],
        `"${name}" and "${mover.name}" hold one pool, "${pool}"`,
        'a pool on shared or replicated disks is a "zfs-pool", one that each node has for itself a "replicated-pool"',
      );
  }
}

const ISSUE_HINT = "`quorate pki init` makes the CA, `quorate pki issue` a node's certificate and key";

/** The three files exist, can be read, and cert and key belong together. Whom they speak for is checked at start. */
export function checkTls(tls: TlsFiles, problems: Problems): void {
  checkPem(tls.ca, 'ca', readCertificate, problems);
  const cert = checkPem(tls.cert, 'cert', readCertificate, problems);
  const key = checkPem(tls.key, 'key', createPrivateKey, problems);
  if (cert !== null && key !== null && !cert.checkPrivateKey(key))
    problems.add(['tls', 'key'], `${tls.key} is not the key of ${tls.cert}`, ISSUE_HINT);
}

const readCertificate = (pem: string): X509Certificate => new X509Certificate(pem);

function checkPem<Parsed>(
  file: string,
  key: string,
  parse: (pem: string) => Parsed,
  problems: Problems,
): Parsed | null {
  let pem: string;
  try {
    pem = readFileSync(file, 'utf8');
  } catch (error) {
    problems.add(['tls', key], `cannot read ${file}: ${reasonOf(error)}`, ISSUE_HINT);
    return null;
  }
  try {
    return parse(pem);
  } catch {
    problems.add(
      ['tls', key],
      `${file} is not a PEM ${key === 'key' ? 'private key' : 'certificate'}`,
      ISSUE_HINT,
    );
    return null;
  }
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code === 'ENOENT') return 'no such file';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'EISDIR') return 'it is a directory';
  return error instanceof Error ? error.message : String(error);
}

/** Own listeners must not collide with each other or with the own peer address. */
export function checkListeners(
  own: MemberConfig | null,
  admin: string | null,
  http: string | null,
  problems: Problems,
): void {
  if (admin !== null && admin === own?.peer)
    problems.add(
      ['admin', 'listen'],
      `${admin} is already the peer address of "${own.id}"`,
      'use another port',
    );
  if (http !== null && http === own?.peer)
    problems.add(
      ['http', 'listen'],
      `${http} is already the peer address of "${own.id}"`,
      'use another port',
    );
  if (http !== null && http === admin)
    problems.add(['http', 'listen'], `${http} is already the admin address`, 'use another port');
}
