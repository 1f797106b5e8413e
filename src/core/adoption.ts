/**
 * L7, second half: a new process of the holder takes up the tenure that its executor has kept.
 *
 * 1. It asks for votes *to adopt that epoch*. A promise binds against others, not against its beneficiary: so a voter that
 *    promised to this very node may grant them at once; nobody else may, and it grants no vote itself (L3).
 * 2. Before the entry is written the executor is bound to the new term's lease. The entry ends the waiting of every other
 *    leader, so from then on the promises of the new term alone must cover what is held here, and they do not reach to the
 *    deadline of the restart.
 * 3. The executor obeys the new term only after `tenure-adopted` is committed and counts.
 * 4. Everything else ends in a release: another leader, the deadline, a log that does not know of the restart.
 */

import { isRestarting } from './cluster-state.ts';
import type { Entry } from './entry.ts';
import type { HardState } from './hard-state.ts';
import type { PreVote, Vote } from './messages.ts';
import type { Adopting, CoreNode, Leadership } from './node.ts';
import { announcedRestart } from './restart.ts';
import type { Epoch, NodeId, Term } from './types.ts';
import { assert } from './types.ts';

export interface Adoptable {
  readonly epoch: Epoch;
  readonly term: Term;
}

/**
 * What a process may ask its executor for, by what the disk remembers; null: nothing is to be adopted. In the term of the
 * announcement only: in a newer one this node may have promised to somebody else, which no process remembers (L4).
 */
export function adoptable(
  self: NodeId,
  { hardState, entries }: { readonly hardState: HardState; readonly entries: readonly Entry[] },
): Adoptable | null {
  const announced = announcedRestart(entries);
  if (announced === null || hardState.damaged !== null) return null;
  const { entry, body } = announced;
  if (body.node !== self || hardState.term !== entry.term) return null;
  return { epoch: body.epoch, term: entry.term };
}

/** Does this node come back for its tenure, and has it promised to nobody else since? */
export function mayAskToAdopt(node: CoreNode): node is CoreNode & { readonly hold: Adopting } {
  return node.hold.kind === 'adopting' && node.role.kind !== 'leader' && node.promise.to === node.self;
}

/** L7: the promise is to this very candidate, and this log announces that it comes back for that epoch. */
export function isAskedToAdopt(node: CoreNode, { from, adopt }: PreVote | Vote): boolean {
  if (adopt === null || node.promise.to !== from) return false;
  const announced = announcedRestart(node.log.all);
  // mark: asked-to-adopt
  return announced !== null && announced.body.node === from && announced.body.epoch === adopt;
}

/** After every step of a leader that has come back. */
export function advanceAdoption(node: CoreNode, leadership: Leadership, hold: Adopting): void {
  const until = node.leaseUntil;
  if (node.commitIndex < leadership.firstIndex || until === null) return;
  switch (hold.phase) {
    case 'asking': {
      if (!isRestarting(node.state, hold.epoch, node.self))
        return giveUpAdoption(node, 'the log knows of no such restart');
      if (!node.isEligible(node.self)) return giveUpAdoption(node, 'not in the in-sync set (H1)');
      node.hold = { ...hold, phase: 'binding' };
      return node.outbox.emit({ kind: 'bind', epoch: hold.epoch, term: node.hard.term, until });
    }
    case 'binding':
      return;
    case 'writing':
      if (until > hold.announcedUntil) {
        node.hold = { ...hold, announcedUntil: until };
        node.outbox.emit({ kind: 'lease', epoch: hold.epoch, until });
      }
      return adoptWhenWritten(node, hold, until);
  }
}

/** The executor is bound to this term's lease, or has not kept the tenure, or lets go of it. */
export function onBound(node: CoreNode, epoch: Epoch, isBound: boolean): void {
  const { hold, leadership } = node;
  if (hold.kind !== 'adopting' || hold.epoch !== epoch) return;
  if (!isBound) return giveUpAdoption(node, 'the executor has not kept it');
  const until = node.leaseUntil;
  if (hold.phase !== 'binding' || leadership === null || until === null) return;
  const entry = node.appendOwn({ kind: 'tenure-adopted', epoch, node: node.self });
  node.hold = {
    ...hold,
    term: node.hard.term,
    phase: 'writing',
    writtenAt: entry.index,
    announcedUntil: until,
  };
  node.outbox.emit({ kind: 'lease', epoch, until });
}

function adoptWhenWritten(node: CoreNode, hold: Adopting, until: Adopting['deadline']): void {
  if (node.commitIndex < hold.writtenAt) return;
  const { epoch, term } = hold;
  const { tenure } = node.state;
  assert(tenure?.epoch === epoch && tenure.term === term, 'a committed adoption counts');
  // mark: tenure-adopted
  node.hold = { kind: 'held', epoch, term, announcedUntil: until };
  node.outbox.emit({ kind: 'adopted', epoch, term, until });
  node.outbox.event({ event: 'restart', epoch, phase: 'adopted' });
}

/** What was kept is let go of. As a leader this node may be granted a tenure anew, through the whole gate (H2). */
export function giveUpAdoption(node: CoreNode, why: string): void {
  const { hold } = node;
  assert(hold.kind === 'adopting', 'nothing is being adopted');
  // mark: adoption-given-up
  node.outbox.event({ event: 'restart', epoch: hold.epoch, phase: `given up: ${why}` });
  // Its entry may be committed yet: this term has had its tenure.
  if (node.role.kind === 'leader' && hold.phase === 'writing') return node.stepDown('adoption-failed');
  node.beginRelease('abrupt', hold.epoch, hold.term);
  if (node.role.kind === 'candidate' || node.role.kind === 'pre-candidate') node.becomeFollower(null);
}
