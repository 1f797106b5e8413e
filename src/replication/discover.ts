/** `quorate replication discover`: the plans of all configured pools, as one document. Pure. */
import { type Config, dataNodes } from '../config/index.ts';
import { assert, type NodeId } from '../core/index.ts';
import { type PoolPlan, planReplication, type Step, type Task } from './plan.ts';
import { type PoolsReading, sideOf } from './reading.ts';

/** What one node says of its pools, or why that is not known. */
export type Said =
  | { readonly kind: 'reading'; readonly reading: PoolsReading }
  | { readonly kind: 'unknown'; readonly why: string };

/** Why this node is taken for the one that sends: only a holder will. */
export type Direction = { readonly from: NodeId; readonly because: 'holds' | 'asked' | 'assumed' };

export interface DiscoverDocument {
  readonly cluster: string;
  readonly from: NodeId;
  readonly to: NodeId;
  readonly because: Direction['because'];
  /** False: something could not be read, and nothing is planned for it. */
  readonly complete: boolean;
  readonly pools: readonly (Omit<PoolPlan, 'tasks'> & { readonly tasks: readonly DiscoveredTask[] })[];
}

export interface DiscoveredTask extends Omit<Task, 'decision' | 'steps'> {
  readonly decision: Task['decision']['kind'];
  /** Of a conflict. */
  readonly reason: string | null;
  readonly why: string;
  readonly steps: readonly Step[];
}

export function discover(
  config: Config,
  { from, because }: Direction,
  said: ReadonlyMap<NodeId, Said>,
): DiscoverDocument {
  const to = otherDataNode(config, from);
  const { replication } = config;
  assert(replication !== null, 'the caller has looked');
  const side = (node: NodeId, pool: string) => {
    const words = said.get(node) ?? { kind: 'unknown', why: 'it was not asked' };
    return words.kind === 'unknown' ? words : sideOf(words.reading, pool);
  };
  const pools = replication.pools.map((pool) =>
    planReplication({
      pool,
      ends: { from, to },
      source: side(from, pool),
      target: side(to, pool),
      filters: replication,
      drbd: drbdBelow(config, pool),
      // Whether more has changed than ZFS's own log is found out when something is sent.
      isChanged: ({ written }) => written === null,
    }),
  );
  return {
    cluster: config.cluster,
    from,
    to,
    because,
    complete: pools.every(({ state }) => state !== 'unknown'),
    pools: pools.map(({ tasks, ...plan }) => ({ ...plan, tasks: tasks.map(flat) })),
  };
}

function flat({ decision, ...task }: Task): DiscoveredTask {
  const reason = decision.kind === 'conflict' ? decision.reason : null;
  return { ...task, decision: decision.kind, reason, why: decision.why };
}

/** The config knows of two where it has the section. */
export function otherDataNode(config: Config, node: NodeId): NodeId {
  const other = dataNodes(config).find(({ id }) => id !== node);
  assert(other !== undefined, 'replication has two data nodes');
  return other.id;
}

/** Of the `zfs-pool` resource of that name, where it stands on DRBD: then it has no devices of its own. */
export function drbdBelow({ resources }: Config, pool: string): readonly string[] {
  const one = resources.find((resource) => resource.kind === 'zfs-pool' && resource.pool === pool);
  if (one?.kind !== 'zfs-pool' || one.devices !== null) return [];
  const below = (names: readonly string[]): readonly string[] =>
    names.flatMap((name) => {
      const resource = resources.find((other) => other.name === name);
      if (resource === undefined) return [];
      return [...(resource.kind === 'drbd' ? [resource.resource] : []), ...below(resource.after)];
    });
  return [...new Set(below(one.after))];
}
