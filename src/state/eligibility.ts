/** Who may take over, and why not: the sentences that a refused switchover and a dry run show (H6, R3). */
import { type ClusterState, mayHoldByKind, type NodeId } from '../core/index.ts';

/** What the leader knows of a node; null is not known, and not known is not good enough (style 10). */
export interface NodeCondition {
  readonly isReachable: boolean | null;
  readonly isStandby: boolean;
  readonly isDamaged: boolean | null;
  /** Its executor has verified that nothing is held and is ready for orders. */
  readonly isExecutorReady: boolean | null;
  readonly disk: 'up-to-date' | 'failed' | 'unknown' | null;
}

export interface Eligibility {
  readonly node: NodeId;
  readonly mayTakeOver: boolean;
  /** Empty exactly where `mayTakeOver`. */
  readonly obstacles: readonly string[];
}

/** `conditions` without a node counts as a node of which nothing is known. */
export function eligibilityOf(
  node: NodeId,
  state: ClusterState,
  condition: NodeCondition | undefined,
): Eligibility {
  const obstacles = [...obstaclesInLog(node, state), ...obstaclesInCondition(node, condition)];
  return { node, mayTakeOver: obstacles.length === 0, obstacles };
}

/** Every data node but the holder, the eligible ones first, otherwise in the members' order. */
export function takeoverTargets(
  state: ClusterState,
  conditions: ReadonlyMap<NodeId, NodeCondition>,
): readonly Eligibility[] {
  const holder = state.tenure === null || state.tenure.released ? null : state.tenure.node;
  const all = state.members
    .filter((member) => !member.witness && member.id !== holder)
    .map((member) => eligibilityOf(member.id, state, conditions.get(member.id)));
  return [...all.filter((one) => one.mayTakeOver), ...all.filter((one) => !one.mayTakeOver)];
}

function obstaclesInLog(node: NodeId, state: ClusterState): string[] {
  const member = state.members.find((candidate) => candidate.id === node);
  if (member === undefined) return [`"${node}" is not a member of the cluster`];
  if (member.witness) return [`"${node}" is the witness, which never holds (W1)`];
  if (!mayHoldByKind(state.members, node)) return [`"${node}" is a learner and has no vote yet (E5)`];
  const { tenure } = state;
  if (tenure !== null && !tenure.released && tenure.node === node)
    return [`"${node}" holds the resources already`];
  return state.inSync.includes(node)
    ? []
    : [`the data of "${node}" is not in sync; wait for the resync (H3)`];
}

function obstaclesInCondition(node: NodeId, condition: NodeCondition | undefined): string[] {
  if (condition === undefined) return [`nothing is known of "${node}"`];
  const obstacles: string[] = [];
  if (condition.isReachable !== true) obstacles.push(`"${node}" does not answer`);
  if (condition.isStandby) obstacles.push(`"${node}" is on standby`);
  if (condition.isDamaged !== false)
    obstacles.push(
      `the log of "${node}" is ${condition.isDamaged === null ? 'not known to be whole' : 'damaged'} (D2)`,
    );
  if (condition.isExecutorReady !== true) obstacles.push(`the executor of "${node}" is not ready`);
  if (condition.disk !== 'up-to-date')
    obstacles.push(
      condition.disk === 'failed'
        ? `the disk of "${node}" has failed`
        : `the disk of "${node}" is not known to be up to date`,
    );
  return obstacles;
}
