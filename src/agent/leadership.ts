/** Who may be asked to change something: the leader, once it knows what an earlier one has decided. */
import type { CoreView } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { refusedByLeader } from './refusals.ts';

/** What an earlier leader has written may not be committed here yet: until it is, this one does not know what is so. */
export function requireSettledLeader(view: CoreView): void {
  requireLeader(view);
  const { leadership, commitIndex, self, isWitness } = view;
  if (leadership === null || (commitIndex >= leadership.firstIndex && !isWitness)) return;
  const why = isWitness
    ? `${self} leads as a caretaker, which decides nothing (W3): it hands over to a data node`
    : `${self} was only just elected: ask again in a second`;
  throw refusedByLeader(self, 'refused', why);
}

/** Throws `not-leader`, with who leads. */
export function requireLeader(view: CoreView): void {
  if (view.role.kind === 'leader') return;
  const leader = view.role.kind === 'follower' ? view.role.leader : null;
  const hint = leader === null ? 'no leader is known here' : `the leader is ${leader}: run the command there`;
  const facts = leader === null ? {} : { leader };
  throw new QuorateError('not-leader', `${view.self} does not lead; ${hint}`, { context: { facts } });
}
