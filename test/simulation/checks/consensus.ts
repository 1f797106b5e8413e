/**
 * Raft's four properties, monotone terms and epochs, and the tenures as the guards began them; asked after every event that
 * changed a node's core.
 *
 * State is read from the cores; what is compared is remembered here, outside all nodes, for the whole run.
 */
import type { Entry, Epoch, LogIndex, Message } from '../../../src/core/index.ts';
import { logIndex } from '../../../src/core/index.ts';
import type { World } from '../engine/world.ts';
import type { SimulatedNode } from '../node/node.ts';

interface Seen {
  readonly agent: object;
  term: number;
  commitIndex: number;
  lastIndex: number;
  isLeader: boolean;
  leaderTerm: number;
  lastHash: string;
}

interface Claim {
  readonly term: number;
  readonly match: { readonly index: LogIndex; readonly hash: string | null } | null;
}

export class ConsensusCheck {
  readonly #world: World;
  nodes: readonly SimulatedNode[] = [];
  readonly #leaders = new Map<number, string>();
  /** What has been committed anywhere, from index 1. */
  readonly committed: Entry[] = [];
  /** The term in which each was first known to be committed. */
  readonly #committedIn: number[] = [];
  readonly #hashes = new Map<string, string>();
  readonly #seen = new Map<string, Seen>();
  /** Highest term that each node was ever in, over its restarts. */
  readonly #terms = new Map<string, number>();
  #newestGrant = 0;
  /** Told when a witness leads, and when a holder learns of its grant: good moments for trouble. */
  onCaretaker: () => void = () => undefined;
  onGranted: (holder: string) => void = () => undefined;
  /** Told when a node learns of a committed entry of that kind. */
  onNews: (kind: Entry['body']['kind']) => void = () => undefined;
  /** Told every committed entry once, in order. */
  onEntry: (entry: Entry) => void = () => undefined;
  readonly #claims = new Map<string, Claim>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Node of the grant with this epoch; null where no such grant is committed. */
  grantedTo(epoch: Epoch): string | null {
    const body = this.committed[epoch - 1]?.body;
    return body?.kind === 'tenure-granted' ? body.node : null;
  }
  get newestGrant(): number {
    return this.#newestGrant;
  }

  /** E2: what a node has said on the wire it must still know after a crash. */
  claimed(node: SimulatedNode, message: Message): void {
    const isClaim =
      message.kind === 'vote' ||
      message.kind === 'append-ack' ||
      (message.kind === 'vote-ack' && message.granted);
    if (!isClaim) return;
    const before = this.#claims.get(node.id);
    const isAck = message.kind === 'append-ack' && message.success;
    this.#claims.set(node.id, {
      term: Math.max(message.term, before?.term ?? 0),
      match: isAck
        ? { index: message.match, hash: node.view?.log.hashAt(message.match) ?? null }
        : (before?.match ?? null),
    });
  }

  /** The first look at an agent that has just read its log. A damaged one says so, and votes for nobody (D2). */
  #remembers(node: SimulatedNode): void {
    const { view } = node;
    const claim = this.#claims.get(node.id);
    if (view === null || claim === undefined || view.hard.damaged !== null) return;
    if (view.hard.term < claim.term)
      this.#fail(
        'claim-forgotten',
        `${node.id} has spoken in term ${claim.term} and comes back in term ${view.hard.term}`,
      );
    const { match } = claim;
    if (match === null || match.hash === null || view.log.lastTerm > claim.term) return;
    const found = view.log.hashAt(match.index);
    // A newer leader may have replaced it, and that was not confirmed yet.
    if (found === null && view.log.lastIndex < match.index && view.hard.term === claim.term)
      this.#fail(
        'claim-forgotten',
        `${node.id} has confirmed entry ${match.index} and comes back with ${view.log.lastIndex}`,
      );
  }

  look(node: SimulatedNode): void {
    const { agent, view } = node;
    if (agent === null || view === null) return;
    let seen = this.#seen.get(node.id);
    if (seen === undefined || seen.agent !== agent) {
      seen = { agent, term: 0, commitIndex: 0, lastIndex: 0, isLeader: false, leaderTerm: 0, lastHash: '' };
      this.#seen.set(node.id, seen);
      this.#remembers(node);
    }
    const term = view.hard.term;
    const { lastIndex } = view.log;
    if (term < seen.term) this.#fail('term', `${node.id} goes back from term ${seen.term} to ${term}`);
    const durable = view.outbox.durableHardState.term;
    if (durable < (this.#terms.get(node.id) ?? 0))
      this.#fail('term', `${node.id} has forgotten term ${this.#terms.get(node.id)}`);
    this.#terms.set(node.id, durable);
    const isLeader = view.role.kind === 'leader';
    if (isLeader && !(seen.isLeader && seen.leaderTerm === term)) this.#elected(node, term);
    else if (isLeader && lastIndex < seen.lastIndex)
      this.#fail('leader-append-only', `${node.id} shortens its log as the leader of term ${term}`);
    if (view.commitIndex > seen.commitIndex) this.#commit(node, seen.commitIndex, view.commitIndex);
    const { lastHash } = view.log;
    if (lastHash !== seen.lastHash) this.#match(node);
    Object.assign(seen, {
      lastHash,
      term,
      commitIndex: view.commitIndex,
      lastIndex,
      isLeader,
      leaderTerm: term,
    });
  }

  #elected(node: SimulatedNode, term: number): void {
    const known = this.#leaders.get(term);
    if (known !== undefined && known !== node.id)
      this.#fail('election-safety', `${known} and ${node.id} lead term ${term}`);
    this.#leaders.set(term, node.id);
    const view = node.view;
    this.#world.say(node.id, `${view?.isWitness ? 'is the caretaker of' : 'leads'} term ${term}`);
    if (view?.isWitness) {
      this.#checkCaretaker(node);
      this.onCaretaker();
    }
    // Leader completeness: what was committed in an earlier term is in this leader's log; one hash stands for the whole.
    const count = this.#committedIn.findLastIndex((committedIn) => committedIn < term) + 1;
    const last = this.committed[count - 1];
    if (last !== undefined && view?.log.hashAt(last.index) !== last.hash)
      this.#fail(
        'leader-completeness',
        `${node.id} leads term ${term} without the committed entry ${last.index}`,
      );
  }

  /** W2: no data node that could have led by itself has voted for it: its log is strictly newer than theirs. */
  #checkCaretaker(node: SimulatedNode): void {
    const view = node.view;
    const elected = view?.log.at(view.log.lastIndex)?.body;
    if (view == null || elected?.kind !== 'elected') return;
    const before = view.log.at(logIndex(view.log.lastIndex - 1));
    for (const voter of this.nodes) {
      const other = voter.view;
      if (voter.id === node.id || other === null || !elected.votes.includes(other.self) || other.isWitness)
        continue;
      if (before !== null && other.log.isOlderThan(before.term, before.index)) continue;
      this.#fail('caretaker-needless', `${node.id} leads as a caretaker, ${voter.id} has all that it has`);
    }
  }

  #commit(node: SimulatedNode, from: number, to: number): void {
    for (const entry of node.view?.log.slice(logIndex(from + 1), to - from) ?? []) {
      const known = this.committed[entry.index - 1];
      if (known === undefined) {
        if (entry.index !== this.committed.length + 1)
          return this.#fail('state-machine-safety', `${node.id} commits ${entry.index} past a gap`);
        this.committed.push(entry);
        this.#committedIn.push(node.view?.hard.term ?? 0);
        this.#told(node.id, entry);
      } else if (known.hash !== entry.hash)
        return this.#fail(
          'state-machine-safety',
          `entry ${entry.index} was ${known.body.kind}, ${node.id} has ${entry.body.kind}`,
        );
    }
  }

  #told(by: string, entry: Entry): void {
    const { body, index, term } = entry;
    this.#world.marks.add(`entry-${body.kind}`);
    this.onEntry(entry);
    this.onNews(body.kind);
    if (body.kind === 'tenure-granted') {
      if (index <= this.#newestGrant) this.#fail('epoch', `epoch ${index} follows ${this.#newestGrant}`);
      this.#newestGrant = index;
      this.onGranted(body.node);
    }
    const about =
      'node' in body
        ? ` ${body.node}`
        : 'peer' in body
          ? ` ${body.peer}`
          : 'leader' in body
            ? ` ${body.leader}`
            : '';
    const why = 'reason' in body ? ` (${body.reason})` : '';
    this.#world.say(by, `commits ${index}: ${body.kind}${about}${why}, term ${term}`);
  }

  /** Log matching: the same index and term, the same entry; with the chain, the same log up to it. */
  #match(node: SimulatedNode): void {
    const tail = node.view?.log.slice(logIndex(this.committed.length + 1), Number.POSITIVE_INFINITY) ?? [];
    for (const entry of tail) {
      const key = `${entry.index}/${entry.term}`;
      const known = this.#hashes.get(key);
      if (known !== undefined && known !== entry.hash)
        this.#fail('log-matching', `two entries ${entry.index} of term ${entry.term}`);
      this.#hashes.set(key, entry.hash);
    }
  }

  #fail(rule: string, what: string): void {
    this.#world.fail(rule, what);
  }
}
