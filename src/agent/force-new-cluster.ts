/**
 * O3: the majority of the voters is gone for good, and one data node goes on alone. Written to the log of a node whose agent is
 * stopped: nobody can be asked, so nobody is. What keeps one holder here is the operator's word that the others have been fenced;
 * the rest only finds out where that word is wrong (an old member that answers), and keeps the old ones out from then on.
 *
 * Invariants: one survivor, so that no log has to be brought together with another; every other id is used up, so that an old
 * member that comes back is refused, told, and ends (E5); the first tenure afterwards is a forced one, whatever the own log says
 * of the in-sync set: the others may have taken this node out of it since (H3).
 */
import type { Config } from '../config/index.ts';
import {
  type Entry,
  inSyncLoss,
  isMirrored,
  logIndex,
  makeEntry,
  mayHoldByKind,
  type NodeId,
  type Persist,
} from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { type RecoveredLog, sha256 } from '../log/index.ts';
import { isoTime } from '../state/index.ts';
import { rosterOf } from './roster.ts';

type ConfigBody = Extract<Entry['body'], { kind: 'config' }>;

export interface NewClusterOrder {
  readonly fenced: readonly NodeId[];
  readonly who: string;
  readonly why: string;
  /** Wall clock, ms. */
  readonly at: number;
}

export interface NewClusterPlan {
  readonly persist: Persist;
  readonly mayLose: string;
  /** Where each of the others would answer, if it could. */
  readonly others: ReadonlyMap<NodeId, string>;
  readonly withoutAddress: readonly NodeId[];
}

/** @throws QuorateError `usage`, `not-bootstrapped`, `refused-unsafe` */
export function planNewCluster(
  config: Config,
  recovered: RecoveredLog,
  order: NewClusterOrder,
): NewClusterPlan {
  const { node } = config;
  const { entries } = recovered;
  const ruling = rulingConfig(entries);
  if (ruling === null) throw new QuorateError('not-bootstrapped', `${config.dataDir} has no log`);
  if (recovered.status !== 'clean')
    throw unsafe(`the log in ${config.dataDir} is ${recovered.status}: ${recovered.problems.join('; ')}`);
  if (ruling.cluster !== config.cluster)
    throw unsafe(`the log is of cluster ${ruling.cluster}, the config file of ${config.cluster}`);
  if (!mayHoldByKind(ruling.members, node))
    throw unsafe(`${node} is no data node with a vote: it could not hold (W1)`);
  const others = ruling.members.map(({ id }) => id).filter((id) => id !== node);
  requireAll(others, order.fenced);
  const { peers } = rosterOf(config, { members: ruling.members, removed: ruling.removed });
  const mayLose = whatMayBeLost(entries, ruling, node, others);
  return {
    mayLose,
    others: new Map([...peers].filter(([id]) => others.includes(id))),
    withoutAddress: others.filter((id) => !peers.has(id)),
    persist: {
      id: 1,
      hardState: recovered.hardState,
      entries: newEntries(entries, ruling, node, { ...order, fenced: others }, mayLose),
    },
  };
}

const unsafe = (why: string): QuorateError => new QuorateError('refused-unsafe', why);

/** The newest one counts, committed or not: it is who this node would have asked. */
function rulingConfig(entries: readonly Entry[]): ConfigBody | null {
  const body = entries.findLast((entry) => entry.body.kind === 'config')?.body;
  return body?.kind === 'config' ? body : null;
}

function requireAll(others: readonly NodeId[], fenced: readonly NodeId[]): void {
  if (others.length === 0) throw new QuorateError('usage', 'this node is the only member already');
  const stranger = fenced.find((id) => !others.includes(id));
  if (stranger !== undefined)
    throw new QuorateError(
      'usage',
      `--i-have-fenced ${stranger}: the other members are ${others.join(', ')}`,
    );
  const missing = others.filter((id) => !fenced.includes(id));
  if (missing.length > 0)
    throw new QuorateError(
      'usage',
      `--i-have-fenced must name every other member, ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing: one that still runs could hold with the rest`,
    );
}

function whatMayBeLost(
  entries: readonly Entry[],
  ruling: ConfigBody,
  node: NodeId,
  others: readonly NodeId[],
): string {
  const { leftAt, after } = inSyncLoss(entries, node);
  const last = entries.at(-1);
  const newest = entries.findLast(({ body }) => 'at' in body && body.at !== null)?.body;
  const time = isoTime(newest !== undefined && 'at' in newest ? (newest.at ?? null) : null);
  const upTo = `the last entry that ${node} has is ${last?.index ?? 0}${time === null ? '' : `, of about ${time}`}`;
  if (!isMirrored(ruling.members, node))
    return `everything that was acknowledged since the last snapshot that ${node} got`;
  const isOut = leftAt !== null && !isBackSince(entries, node, leftAt);
  if (!isOut)
    return `every write that ${others.join(' or ')} acknowledged without ${node} since (${upTo}: what came later is not known here)`;
  const since = isoTime(after);
  return `every write that was acknowledged since ${node} left the in-sync set (entry ${leftAt}${since === null ? '' : `, some time after ${since}`}; ${upTo})`;
}

function isBackSince(entries: readonly Entry[], node: NodeId, leftAt: number): boolean {
  return entries.some(
    ({ index, body }) => index > leftAt && body.kind === 'peer-in-sync' && body.peer === node,
  );
}

/** In the last entry's term: the next one begins with the election of this node, as every term does (E4). */
function newEntries(
  entries: readonly Entry[],
  ruling: ConfigBody,
  node: NodeId,
  { who, why, at, fenced }: NewClusterOrder,
  mayLose: string,
): Entry[] {
  const last = entries.at(-1);
  if (last === undefined) throw new QuorateError('not-bootstrapped', 'there is no log');
  const forced = makeEntry(sha256, logIndex(last.index + 1), last.term, last.hash, {
    ...{ kind: 'forced', who, why, mayLose, node, newCluster: { fenced }, at },
  });
  const config = makeEntry(sha256, logIndex(forced.index + 1), last.term, forced.hash, {
    kind: 'config',
    members: ruling.members.filter(({ id }) => id === node),
    removed: [...ruling.removed, ...fenced].sort(),
    timing: ruling.timing,
    inSync: null,
    cluster: ruling.cluster,
  });
  return [forced, config];
}
