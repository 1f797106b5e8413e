/**
 * H7: a new cluster begins with one entry that every member gets at the same time: members, timing, and the in-sync set
 * that the operator names. It carries nothing random, so that a second try writes the same bytes.
 */
import type { Config } from '../config/index.ts';
import { dataNodes } from '../config/index.ts';
import type { Entry, Member, NodeId, Timing } from '../core/index.ts';
import { canonicalJson, GENESIS, logIndex, makeEntry, term } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { ExecutorEvent } from '../executor/index.ts';
import { sha256 } from '../log/index.ts';

type Probes = Extract<ExecutorEvent, { kind: 'probes' }>;

function membersOf(config: Config) {
  return config.members
    .map(({ id, witness, peer, zone }) => {
      return { id, witness, learner: false, peer, ...(zone === null ? {} : { zone }) };
    })
    .sort((left, right) => (left.id < right.id ? -1 : 1));
}

/** Addresses and zones may be seen differently from different nodes. */
const votes = (members: readonly Member[]) =>
  members.map(({ id, witness, learner }) => ({ id, witness, learner }));

export function firstEntry(config: Config, timing: Timing, inSync: readonly NodeId[]): Entry {
  return makeEntry(sha256, logIndex(1), term(0), GENESIS, {
    kind: 'config',
    members: membersOf(config),
    removed: [],
    timing,
    inSync: [...new Set(inSync)].sort(),
    cluster: config.cluster,
  });
}

/** The operator's word is checked against the block layer's own state; unknown is not taken for yes. */
export function checkInSync(config: Config, inSync: readonly NodeId[], probes: Probes | null): void {
  const known = dataNodes(config).map(({ id }) => id);
  for (const id of inSync) {
    if (!known.includes(id))
      throw new QuorateError('usage', `--in-sync ${id}: not a data node; data nodes are ${known.join(', ')}`);
  }
  if (inSync.length === 0) throw new QuorateError('usage', '--in-sync names no node');
  if (!inSync.includes(config.node)) {
    throw new QuorateError(
      'refused-unsafe',
      `${config.node} is not among the nodes in sync: run bootstrap on one of them, where the data can be checked`,
    );
  }
  if (probes === null || probes.disk !== 'up-to-date') {
    throw new QuorateError(
      'refused-unsafe',
      `${config.node}: its own data is not known to be up to date (${probes?.disk ?? 'not probed yet'})`,
    );
  }
  for (const id of inSync) {
    const data = probes.peers[id] ?? 'unknown';
    if (id !== config.node && data !== 'in-sync') {
      throw new QuorateError(
        'refused-unsafe',
        `${id}: the block layer of ${config.node} does not show it in sync (${data})`,
      );
    }
  }
}

/** A member takes the first entry only if it describes the cluster that its own config describes. */
export function checkOffered(config: Config, entry: Entry): void {
  const { body } = entry;
  if (entry.index !== 1 || body.kind !== 'config')
    throw new QuorateError('peer-refused', 'not a first entry');
  if (body.cluster !== config.cluster) {
    throw new QuorateError(
      'peer-refused',
      `the entry is of cluster ${body.cluster}, this node of ${config.cluster}`,
    );
  }
  if (canonicalJson(votes(body.members)) !== canonicalJson(votes(membersOf(config)))) {
    throw new QuorateError('peer-refused', `the members differ from those in ${config.file}`);
  }
}
