/**
 * What a leader may be asked to write: notes, the in-sync set (H3), membership (E5), timing (L8). One decision per proposal:
 * an entry, or a sentence why not.
 */
import { isMirrored } from './cluster-state.ts';
import type { EntryBody } from './entry.ts';
import { forceChecks } from './force.ts';
import type { Proposal } from './io.ts';
import { decideMembers } from './membership.ts';
import type { CoreNode, Leadership } from './node.ts';
import { decideRestart } from './restart.ts';
import { decideSchedule } from './schedule.ts';
import { decideTiming } from './timing-change.ts';
import type { NodeId } from './types.ts';
import { assertNever, logIndex } from './types.ts';

/** D4: from here on only what safety needs is still written (about 100 MB of log). */
const LOG_ENTRY_LIMIT = 200_000;
const MAX_NOTE_LENGTH = 4_096;

export type Decision = { readonly body: EntryBody } | { readonly refused: string };

const refuse = (refused: string): Decision => ({ refused });

export function decide(node: CoreNode, leadership: Leadership, proposal: Proposal): Decision {
  if (node.isWitness) return refuse('a caretaker takes no proposals (W3)');
  if (leadership.transfer !== null) return refuse('a transfer of leadership is under way');
  switch (proposal.kind) {
    case 'note':
      if (proposal.text.length > MAX_NOTE_LENGTH)
        return refuse(`a note has at most ${MAX_NOTE_LENGTH} characters`);
      return inessential(node, proposal);
    case 'operator':
    case 'operator-result':
    case 'takeover-done':
      return inessential(node, proposal);
    case 'fenced':
      // R5: what a takeover may wait for is never turned away for the log's size (D4).
      return { body: proposal };
    case 'forced': {
      if (proposal.newCluster !== undefined) return refuse('a new cluster is not begun by the old one');
      const failed = forceChecks(node, proposal.node).find(({ ok }) => !ok);
      return failed === undefined ? { body: proposal } : refuse(failed.detail);
    }
    case 'pause':
      // Whoever paused a cluster whose log is full must be able to end that.
      return proposal.paused || !node.isPaused ? inessential(node, proposal) : { body: proposal };
    case 'standby':
      return decideStandby(node, proposal);
    case 'switchover-scheduled':
    case 'switchover-begun':
    case 'switchover-ended':
      return decideSchedule(node, proposal, node.log.lastIndex >= LOG_ENTRY_LIMIT);
    case 'peer-outdated':
    case 'peer-in-sync':
      return decidePeer(node, proposal.kind, proposal.peer);
    case 'self-outdated':
      if (node.state.inSync.length <= 1) return refuse('the last node in sync stays in the set (H3)');
      return node.hold.kind === 'held'
        ? { body: { kind: 'node-outdated', node: node.self, epoch: node.hold.epoch } }
        : refuse('only the holder can take itself out of the in-sync set');
    case 'restart':
      return decideRestart(node, proposal);
    case 'add-learner':
    case 'promote':
    case 'remove':
      return decideMembers(node, proposal);
    case 'set-timing':
      return decideTiming(node, leadership, proposal);
    default:
      return assertNever(proposal);
  }
}

function inessential(node: CoreNode, body: EntryBody): Decision {
  return node.log.lastIndex < LOG_ENTRY_LIMIT ? { body } : refuse('the log is near its size limit (D4)');
}

/** A takeover is not put on standby half-way: first it ends, then it is handed over. */
function decideStandby(node: CoreNode, body: Extract<EntryBody, { kind: 'standby' }>): Decision {
  const member = node.log.membership.members.find(({ id }) => id === body.node);
  if (member === undefined || member.witness) return refuse(`${body.node} is not a data node`);
  const isBetween = node.hold.kind !== 'none' && node.hold.kind !== 'held';
  if (body.standby && body.node === node.self && isBetween)
    return refuse(`${node.self} is just taking over or releasing: ask again when that has ended`);
  const isOn = node.state.standby.includes(body.node);
  return body.standby || !isOn ? inessential(node, body) : { body };
}

function decidePeer(node: CoreNode, kind: 'peer-outdated' | 'peer-in-sync', peer: NodeId): Decision {
  if (node.hold.kind !== 'held' || !node.mayHold)
    return refuse('only the holder changes the in-sync set (H3)');
  if (peer === node.self || !node.isDataVoter(peer))
    return refuse(`${peer} is not another data node with a vote`);
  if (!isMirrored(node.log.membership.members, peer))
    return refuse(`the data of ${peer} comes by snapshots: it is never in sync (H3)`);
  if (!node.isEligible(node.self) || isLeavingInSync(node))
    return refuse('the holder itself is out of sync (H3)');
  return { body: { kind, peer, epoch: node.hold.epoch } };
}

/** The holder has written that its own data is bad, and that is not committed yet. */
function isLeavingInSync(node: CoreNode): boolean {
  const pending = node.log.slice(logIndex(node.commitIndex + 1), Number.POSITIVE_INFINITY);
  return pending.some(({ body }) => body.kind === 'node-outdated' && body.node === node.self);
}
