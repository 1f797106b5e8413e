/**
 * L7, first half: the planned restart of a holder's own process, up to the hand-over of its tenure.
 *
 * 1. Nothing is handed over before `restart-begun` is committed and counts: from then on every other leader waits for it.
 * 2. The deadline is `q + d`, where `q` is the send time of a round that a quorum has confirmed. Whoever is elected is so at
 *    `q + P` or later (L1, L2), and waits `k·d` from then on. By that time the executor has let go: P ≥ k(L + g + D) (L5).
 * 3. After the hand-over this process does nothing more for the tenure, unless the executor has surely refused it.
 */

import { isRestarting } from './cluster-state.ts';
import type { Entry, EntryBody } from './entry.ts';
import type { Proposal } from './io.ts';
import type { CoreNode, Leadership } from './node.ts';
import type { Decision } from './proposals.ts';
import { beat } from './replication.ts';
import type { Epoch } from './types.ts';
import { instant, logIndex } from './types.ts';

/** L7's bound. */
export const MAX_RESTART_MS = 10_000;
/** Less than a process takes to start. */
export const MIN_RESTART_MS = 1_000;

/** Why the tenure of this node cannot be kept over a restart now; null where it can, as far as the core knows. */
export function whyNoRestart(node: Readonly<CoreNode>): string | null {
  const { leadership, hold, state, self } = node;
  if (leadership === null) return 'this node does not lead';
  if (hold.kind === 'handed-over' || leadership.restart !== null) return 'a restart is under way already';
  if (hold.kind === 'adopting') return 'the tenure from before the last restart is just being adopted';
  if (hold.kind !== 'held' || !node.mayHold) return 'this node is just taking over or releasing';
  if (leadership.transfer !== null) return 'a transfer of leadership is under way';
  if (isRestarting(state, hold.epoch, self)) return 'the end of the last restart is just being written down';
  if (!node.isEligible(self)) return 'the own data is not in sync, so the tenure is about to move (H3)';
  return null;
}

export function decideRestart(node: CoreNode, proposal: Extract<Proposal, { kind: 'restart' }>): Decision {
  const { durationMs, who, request } = proposal;
  if (!(durationMs >= MIN_RESTART_MS && durationMs <= MAX_RESTART_MS))
    return { refused: `a restart takes ${MIN_RESTART_MS} to ${MAX_RESTART_MS} ms (L7)` };
  const why = whyNoRestart(node);
  if (why !== null || node.hold.kind !== 'held') return { refused: why ?? 'this node does not hold' };
  return {
    body: {
      kind: 'restart-begun',
      epoch: node.hold.epoch,
      node: node.self,
      durationMs,
      who,
      ...(request === null ? {} : { request }),
      at: node.wallMs,
    },
  };
}

export function startRestart(
  leadership: Leadership,
  { index }: Entry,
  { durationMs }: Extract<EntryBody, { kind: 'restart-begun' }>,
): void {
  leadership.restart = { index, durationMs, askedAt: null };
}

/** After every step of a leader. */
export function advanceRestart(node: CoreNode, leadership: Leadership): void {
  const { restart } = leadership;
  if (restart === null || node.hold.kind !== 'held' || node.commitIndex < restart.index) return;
  const { epoch, term, announcedUntil } = node.hold;
  // An override may have come before it (O3): what does not count is waited for by nobody.
  if (!isRestarting(node.state, epoch, node.self)) {
    leadership.restart = null;
    return say(node, epoch, 'given up: the announcement does not count');
  }
  if (restart.askedAt === null) {
    restart.askedAt = node.now;
    beat(node, leadership);
  }
  const confirmed = node.confirmedAt;
  if (confirmed === null || confirmed < restart.askedAt || node.leaseUntil === null) return;
  // mark: restart-handed-over
  node.hold = { kind: 'handed-over', epoch, term, announcedUntil };
  node.outbox.emit({ kind: 'hand-over', epoch, until: instant(confirmed + restart.durationMs) });
  say(node, epoch, 'handing over');
}

/** The executor has answered. An answer that does not come leaves it open who has the deadline: then this process ends. */
export function onHandedOver(node: CoreNode, epoch: Epoch, isDone: boolean): void {
  const { hold, leadership } = node;
  if (hold.kind !== 'handed-over' || hold.epoch !== epoch) return;
  if (isDone) return say(node, epoch, 'handed over');
  if (leadership === null) return;
  // mark: restart-refused
  leadership.restart = null;
  node.hold = { kind: 'held', epoch, term: hold.term, announcedUntil: hold.announcedUntil };
  // Otherwise whoever leads next would wait for a restart that never was.
  node.appendOwn({ kind: 'tenure-adopted', epoch, node: node.self });
  say(node, epoch, 'given up: the executor has refused');
}

function say(node: CoreNode, epoch: Epoch, phase: string): void {
  node.outbox.event({ event: 'restart', epoch, phase });
}

/**
 * The restart that this log announces, committed or not, and that nothing after it ends. Looked up only for a process that
 * comes back, and for those whom it asks.
 */
export function announcedRestart(
  entries: readonly Entry[],
): { readonly entry: Entry; readonly body: Extract<EntryBody, { kind: 'restart-begun' }> } | null {
  for (let at = entries.length; at > 0; at -= 1) {
    const entry = entries[logIndex(at) - 1];
    if (entry === undefined) return null;
    const { body } = entry;
    if (body.kind === 'restart-begun') return { entry, body };
    // A release of another tenure ends nothing, but is never the newest word about one that is held.
    if (ENDS.has(body.kind)) return null;
  }
  return null;
}

const ENDS: ReadonlySet<EntryBody['kind']> = new Set([
  'tenure-granted',
  'tenure-released',
  'tenure-adopted',
  'forced',
]);
