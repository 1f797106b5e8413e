/**
 * The timing of a running cluster changes in steps (L8), each an entry that the leader writes as soon as it may:
 *
 *   1  P becomes the larger of the old and the new one; all else stays
 *   2  L, D, W, G become the new ones: once *every* voter has the entry of step 1 on its disk
 *   3  P becomes the new one, where that is smaller: once nothing that counted on the old values goes on
 *
 * A promise that was made is never shortened: a heartbeat asks for the `P` that its sender's own values need, and a follower keeps
 * the larger (L2). What the steps protect is the promise of a voter that starts again (L4), which knows only its own disk.
 */
import { nextConfig, rulingConfig, whyNoChangeNow } from './config-entry.ts';
import type { EntryBody, Timing } from './entry.ts';
import { canonicalJson } from './entry.ts';
import type { Proposal } from './io.ts';
import type { CoreNode, Leadership } from './node.ts';
import type { Instant, LogIndex, NodeId } from './types.ts';
import { durationMs, instant } from './types.ts';

type Decision = { readonly body: EntryBody } | { readonly refused: string };

export function decideTiming(
  node: CoreNode,
  leadership: Leadership,
  { timing: goal, by }: Extract<Proposal, { kind: 'set-timing' }>,
): Decision {
  const notNow = whyNoChangeNow(node, leadership);
  if (notNow !== null) return { refused: notNow };
  const { timing } = node;
  const why = whyNotWatchdog(timing, goal);
  if (why !== null) return { refused: why };
  return {
    body: nextConfig(node, {
      timing: { ...timing, promiseMs: larger(timing, goal) },
      goal,
      change: { what: 'settings', node: null, ...by },
    }),
  };
}

/** A device that is armed keeps its timeout: one that fires later than the promise allows for must not be counted on (L5). */
function whyNotWatchdog({ watchdog: now }: Timing, { watchdog: next }: Timing): string | null {
  if ((now === null) !== (next === null))
    return 'whether the cluster counts on watchdogs is fixed when it begins (H2)';
  if (now !== null && next !== null && next.timeoutMs < now.timeoutMs)
    return `a watchdog's timeout cannot be made shorter while it may be armed (${now.timeoutMs} ms)`;
  return null;
}

const larger = (one: Timing, other: Timing) => durationMs(Math.max(one.promiseMs, other.promiseMs));

/** Everything but `P`. */
const actingPart = ({ promiseMs: _, ...rest }: Timing): string => canonicalJson(rest);

export function isSameButPromise(one: Timing, other: Timing): boolean {
  return actingPart(one) === actingPart(other);
}

/** After every step of a leader: the next step of a change, where it may be taken. */
export function advanceTiming(node: CoreNode, leadership: Leadership): void {
  const goal = rulingConfig(node)?.goal;
  if (goal === undefined || leadership.transfer !== null || node.isWitness) return;
  if (whyNoChangeNow(node, leadership) !== null) return;
  const { timing } = node;
  if (!isSameButPromise(timing, goal)) {
    if (votersWithout(node, leadership, node.log.configIndex).length > 0) return;
    // mark: timing-changed
    const promiseMs = larger(timing, goal);
    node.appendOwn(
      nextConfig(node, { timing: { ...goal, promiseMs }, goal: promiseMs > goal.promiseMs ? goal : null }),
    );
    return;
  }
  const due = promiseShrinksAt(node);
  if (due === null || node.now < due) return;
  // mark: promise-shrunk
  node.appendOwn(nextConfig(node, { timing: goal, goal: null }));
}

/** Voters on whose disks this entry is not known to be. */
export function votersWithout(
  node: Readonly<CoreNode>,
  leadership: Leadership,
  index: LogIndex,
): readonly NodeId[] {
  return node.voters.filter((id) => {
    const has = id === node.self ? node.outbox.durableIndex : (leadership.progress.get(id)?.match ?? 0);
    return has < index;
  });
}

/**
 * When what was done under the values before is over: a whole promise of theirs after this node has taken up the new ones, if its
 * executor has taken them up too; null before that. Only this leader can act in its term, and it was elected past all others.
 */
export function promiseShrinksAt(node: Readonly<CoreNode>): Instant | null {
  const { timingSince, timing } = node;
  if (rulingConfig(node)?.goal === undefined || node.appliedTiming !== actingPart(timing)) return null;
  return instant(timingSince.at + timingSince.promiseMs);
}

export function noteApplied(node: CoreNode, timing: Timing): void {
  node.appliedTiming = actingPart(timing);
}
