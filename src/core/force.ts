/**
 * O3: an operator makes a node that is not in sync the only one that is, where the nodes that are stay away for good.
 *
 * Invariants: the entry is taken only by a data node that leads, holds nothing and hears none of the in-sync nodes (a
 * caretaker takes no proposals, W3: it brings the node's log up to date and hands over to it, and that node is asked then);
 * it grants nothing: this leader has renounced, so the node holds only in a later term, by an election that outlasted every
 * promise, and through the whole gate (R3, H2).
 */
import { applyEntry, EMPTY_STATE, isToBeForced, mayHoldByKind } from './cluster-state.ts';
import type { Entry } from './entry.ts';
import type { CoreNode, Leadership } from './node.ts';
import type { LogIndex, NodeId } from './types.ts';
import { logIndex } from './types.ts';

/** One condition of an override, with what was found: a sentence for people. */
export interface ForceCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** Every condition that a leader can see. A proposal is refused for the first that fails. */
export function forceChecks(node: Readonly<CoreNode>, target: NodeId): readonly ForceCheck[] {
  const { leadership } = node;
  return [
    deciderCheck(node, leadership),
    {
      name: 'data node',
      ok: node.isDataVoter(target),
      detail: `${target} ${node.isDataVoter(target) ? 'is' : 'is not'} a data node with a vote`,
    },
    outOfSyncCheck(node, target),
    nobodyHoldsCheck(node),
    othersAwayCheck(node, target),
    {
      name: 'reachable',
      ok: answers(node, target),
      detail: `${target} ${answers(node, target) ? 'answers' : 'does not answer'}`,
    },
    releasedForTakeoverCheck(node, target),
  ];
}

/** H7: the entry would count, and its node wait all the same. */
function releasedForTakeoverCheck(node: Readonly<CoreNode>, target: NodeId): ForceCheck {
  const problem = (): string | null => {
    if (node.isPaused) return 'the cluster is paused: "quorate resume" first (H7)';
    return node.isSetAside(target) ? `${target} is on standby: "quorate activate ${target}" first` : null;
  };
  return check('not barred', problem(), `neither is the cluster paused, nor ${target} on standby`);
}

function check(name: string, problem: string | null, fine: string): ForceCheck {
  return { name, ok: problem === null, detail: problem ?? fine };
}

function deciderCheck(node: Readonly<CoreNode>, leadership: Leadership | null): ForceCheck {
  const { self } = node;
  const problem = (): string | null => {
    if (leadership === null) return `${self} does not lead`;
    if (node.isWitness)
      return `${self} leads as a caretaker, which decides nothing (W3): it hands over to the data node, ask there`;
    // Who is alive answers within a lease; until then that nobody does says nothing.
    if (node.commitIndex < leadership.firstIndex || node.now < leadership.electedAt + node.timing.leaseMs)
      return `${self} was only just elected and does not know yet who answers: ask again in a second`;
    if (leadership.transfer !== null) return 'a transfer of leadership is under way';
    const pending = node.log.slice(logIndex(node.commitIndex + 1), Number.POSITIVE_INFINITY);
    return pending.some(({ body }) => body.kind === 'forced') ? 'another override is being written' : null;
  };
  return check('leader', problem(), `${self} leads term ${node.hard.term} and can write it down`);
}

function outOfSyncCheck(node: Readonly<CoreNode>, target: NodeId): ForceCheck {
  const { inSync } = node.state;
  const isForced = isToBeForced(node.state, target);
  const takesOver = `it takes over by itself as soon as it can lead${isForced ? ', under the override that was written' : ''}`;
  const advice =
    node.hold.kind === 'none' || node.self === target ? takesOver : `use "quorate switchover --to ${target}"`;
  return check(
    'out of sync',
    inSync.includes(target) ? `${target} is in the in-sync set, nothing need be lost: ${advice}` : null,
    `${target} is not in the in-sync set (${inSync.join(' ')}): it may not hold by itself (H1)`,
  );
}

function nobodyHoldsCheck(node: Readonly<CoreNode>): ForceCheck {
  const { tenure } = node.state;
  const isOpen = tenure !== null && !tenure.released && tenure.term >= node.hard.term;
  const doing = {
    none: isOpen ? `${tenure.node} holds in this term` : null,
    preparing: `${node.self} is about to hold`,
    granting: `${node.self} is about to hold`,
    held: `${node.self} holds`,
    'handed-over': `${node.self} holds`,
    adopting: `${node.self} is adopting what it held before its restart`,
    releasing: `${node.self} is still releasing`,
  };
  const problem = doing[node.hold.kind];
  return check('nobody holds', problem, 'nobody holds in this term');
}

function othersAwayCheck(node: Readonly<CoreNode>, target: NodeId): ForceCheck {
  const others = node.state.inSync.filter((id) => id !== target);
  const there = others.filter((id) => mayHoldByKind(node.state.members, id) && answers(node, id));
  const isOne = there.length === 1;
  return check(
    'in-sync nodes away',
    there.length > 0
      ? `${there.join(' ')} ${isOne ? 'is' : 'are'} in sync and ${isOne ? 'answers' : 'answer'}: the data is there, and may not be given up`
      : null,
    others.length === 0
      ? 'no other node is in sync'
      : `of the in-sync nodes (${others.join(' ')}) none answers`,
  );
}

function answers(node: Readonly<CoreNode>, id: NodeId): boolean {
  return id === node.self || (node.leadership?.lease.heardFrom(id, node.now - node.timing.leaseMs) ?? false);
}

/** The override of this term names the leader itself. */
export function isForcedHere(node: CoreNode, leadership: Leadership): boolean {
  const { forced } = node.state;
  return forced?.node === node.self && forced.index >= leadership.firstIndex;
}

/** R3: a leader that has renounced gets nothing in its term. It asks for another one; its messages have freed the voters. */
export function leadAnew(node: CoreNode): void {
  // mark: leads-anew
  node.stepDown('by-order');
  node.nextReason = 'operator';
  node.armElection(0, node.timing.heartbeatMs / 10);
}

/** Nothing is granted by it: the whole gate is passed once more, in a later term (H2, R3). */
export function leadAnewIfRenounced(node: CoreNode): void {
  const { leadership } = node;
  if (leadership?.renounced !== true || leadership.transfer !== null) return;
  if (node.hold.kind !== 'none' || node.isWitness || !node.isEligible(node.self)) return;
  leadAnew(node);
}

/** When a node left the in-sync set, and who has held without it since. */
export interface InSyncLoss {
  /** Null: it never was in the set. */
  readonly leftAt: LogIndex | null;
  /** The newest wall clock in the log up to then, ms: people's time only (T3). */
  readonly after: number | null;
  readonly holders: readonly NodeId[];
}

/** O3: what a node that is not in sync lacks, as far as a log can show it. */
export function inSyncLoss(committed: readonly Entry[], node: NodeId): InSyncLoss {
  let state = EMPTY_STATE;
  let leftAt: LogIndex | null = null;
  let after: number | null = null;
  let newest: number | null = null;
  let holders = new Set<NodeId>();
  for (const entry of committed) {
    const wasIn = state.inSync.includes(node);
    state = applyEntry(state, entry);
    if ('at' in entry.body) newest = entry.body.at ?? newest;
    if (entry.body.kind === 'tenure-granted') holders.add(entry.body.node);
    if (!wasIn || state.inSync.includes(node)) continue;
    leftAt = entry.index;
    after = newest;
    holders = new Set(state.tenure === null || state.tenure.released ? [] : [state.tenure.node]);
  }
  return { leftAt, after, holders: [...holders].filter((id) => id !== node).sort() };
}
