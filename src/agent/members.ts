/**
 * What an operator orders about the members (E5): a node is added as a learner, gets a vote when it has the log, is removed for
 * good. The core decides; here is what it cannot see: whether the block layer of this host still mirrors the node.
 */
import type { AddMemberOrder, MemberOrder, MemberOutcome, MembersDocument } from '../admin/index.ts';
import type { Clock } from '../clock.ts';
import { type Config, memberDifferences } from '../config/index.ts';
import { answers, type MemberProposal, memberChecks, type OrderedBy } from '../core/index.ts';
import type { Driver } from './driver.ts';
import { reasonOf } from './reason.ts';
import { refusedFor } from './refusals.ts';
import { mirrored, rosterOf } from './roster.ts';

/** A log of 100 MB at 10 MB a second, and a node that has only just been started. */
const CATCH_UP_LIMIT_MS = 30_000;
const LOOK_MS = 50;

export interface MembershipOptions {
  readonly config: Config;
  readonly driver: Driver;
  readonly clock: Clock;
  readonly limitMs: number;
}

export class Membership {
  readonly #options: MembershipOptions;

  /** Changes: each of whoever leads; `not-leader` is the caller's to say. */
  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  /** As far as this node knows: what others have and whether they answer knows the leader only. */
  list(): MembersDocument {
    const { driver, config } = this.#options;
    const { view } = driver;
    const { state, leadership, log, role, self } = view;
    const { peers } = rosterOf(config, state);
    const own = config.members.find(({ id }) => id === self)?.peer ?? null;
    return {
      cluster: config.cluster,
      observer: self,
      leader: role.kind === 'leader' ? self : role.kind === 'follower' ? role.leader : null,
      configIndex: Math.min(log.configIndex, view.commitIndex),
      members: state.members.map((member) => {
        const { id, witness, learner, zone, snapshots } = member;
        const match = id === self ? view.outbox.durableIndex : (leadership?.progress.get(id)?.match ?? null);
        return {
          id,
          kind: witness ? ('witness' as const) : ('data' as const),
          hasVote: !learner,
          snapshots: snapshots === true,
          zone: config.members.find((one) => one.id === id)?.zone ?? zone ?? null,
          address: id === self ? (own ?? member.peer ?? null) : (peers.get(id) ?? null),
          inSync: witness || learner ? null : state.inSync.includes(id),
          answers: leadership === null ? null : answers(view, leadership, id),
          matchIndex: match,
          hasLog: match === null ? null : match >= view.commitIndex,
        };
      }),
      removed: [...state.removed],
      differences: memberDifferences(config, state),
    };
  }

  async add(order: AddMemberOrder): Promise<MemberOutcome> {
    const { node, witness, peer, zone, snapshots } = order;
    return this.#change(order, {
      kind: 'add-learner',
      id: node,
      witness,
      peer,
      ...(zone === '' ? {} : { zone }),
      ...(snapshots ? { snapshots: true } : {}),
    });
  }

  /** Waits for the log: the node may have been started a moment ago. */
  async promote(order: MemberOrder): Promise<MemberOutcome> {
    const { clock, driver } = this.#options;
    const proposal = { kind: 'promote', id: order.node } as const;
    const until = clock.now() + CATCH_UP_LIMIT_MS;
    const isCatchingUp = (): boolean => {
      const failed = memberChecks(driver.view, proposal).filter(({ ok }) => !ok);
      return failed.length > 0 && failed.every(({ name }) => name === 'caught up' || name === 'quorum');
    };
    // mark: promotion-waits-for-the-log
    while (driver.view.leadership !== null && isCatchingUp() && clock.now() < until)
      await clock.sleep(LOOK_MS);
    return this.#change(order, proposal);
  }

  async remove(order: MemberOrder): Promise<MemberOutcome> {
    return this.#change(order, { kind: 'remove', id: order.node });
  }

  async #change(order: MemberOrder, proposal: MemberProposal): Promise<MemberOutcome> {
    const { driver, clock, limitMs } = this.#options;
    const { node, who, requestId } = order;
    // Nothing is awaited between the checks and the entry.
    const checks = [...memberChecks(driver.view, proposal), ...this.#ownChecks(proposal)];
    const failed = checks.filter(({ ok }) => !ok);
    const what = { 'add-learner': 'adding', promote: 'promoting', remove: 'removing' }[proposal.kind];
    if (failed.length > 0) throw refusedFor(`${what} ${node}`, failed, node, 'refused-unsafe');
    const by: OrderedBy = {
      who,
      why: reasonOf(order.why),
      request: requestId === '' ? null : requestId,
      at: clock.wallMs(),
    };
    const index = await driver.commit({ ...proposal, by }, limitMs);
    return { node, index, members: this.list().members, alreadyDone: false };
  }

  /**
   * H3: DRBD does not say who its peer is; what it is connected to counts as the only other mirrored node of the log. So a node that
   * is in sync, which is connected, is not taken out of the log under it: its data would count as the next one's.
   */
  #ownChecks({ kind, id }: MemberProposal) {
    const { config, driver } = this.#options;
    const { state, self } = driver.view;
    const isReplicated = config.resources.some((resource) => resource.kind === 'drbd');
    if (kind !== 'remove' || !isReplicated || !mirrored(state.members, self).includes(id)) return [];
    const isIn = state.inSync.includes(id);
    return [
      {
        name: 'disconnected',
        ok: !isIn,
        detail: isIn
          ? `${id} is in sync: disconnect its replication first ("drbdadm down" there), and wait until "quorate status" says so`
          : `${id} is not in sync: nothing is replicated to it`,
      },
    ];
  }
}
