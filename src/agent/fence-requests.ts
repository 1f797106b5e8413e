/** H3: what DRBD's handler asks of the leader, before it answers: that the peer is out of the in-sync set. */
import type { Clock } from '../clock.ts';
import type { NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { Driver } from './driver.ts';
import { requireLeader } from './leadership.ts';
import { mirrored } from './roster.ts';

const LIMIT_MS = 25_000;
const RETRY_MS = 20;

/** Told before a request is taken up, and after it has ended. */
export interface FenceWatch {
  begins(peer: NodeId): void;
  ends(): void;
}

export interface FenceParts {
  readonly driver: Pick<Driver, 'view' | 'propose' | 'committed' | 'commit'>;
  readonly clock: Clock;
  readonly fence: FenceWatch;
}

export class FenceRequests {
  readonly #options: FenceParts;

  constructor(options: FenceParts) {
    this.#options = options;
  }

  /**
   * H3: answered only after a new entry, appended after the request, is committed and applied. A holder that is just not
   * taking proposals (a transfer that may yet be given up, a takeover that has not begun) is asked again: without an answer
   * the I/O stays frozen, and nobody calls the handler a second time.
   */
  async outdate(peer: NodeId | null, who: string | null): Promise<'outdated'> {
    const { driver, fence, clock } = this.#options;
    const others = mirrored(driver.view.state.members, driver.view.self);
    // A peer that is no member can only be an old name: DRBD is connected to whoever is one now, so that one is meant.
    const named = peer !== null && others.includes(peer) ? peer : null;
    const isOldName = peer !== null && driver.view.state.removed.includes(peer);
    const target =
      named ?? (peer === null || isOldName ? (others.length === 1 ? others[0] : undefined) : peer);
    if (others.length === 0 && (peer === null || isOldName)) return this.#nobodyToOutdate(peer);
    if (target === undefined) {
      throw new QuorateError('usage', 'there is more than one other data node: say which with --peer');
    }
    requireLeader(driver.view);
    fence.begins(target);
    try {
      await this.#commit(target);
    } finally {
      fence.ends();
    }
    if (driver.view.state.inSync.includes(target)) {
      throw new QuorateError(
        'refused-unsafe',
        `${target} is still in the in-sync set: the entry was void (H3)`,
      );
    }
    if (who !== null)
      driver.propose({ kind: 'operator', who, action: `fence-peer ${target}`, at: clock.wallMs() });
    return 'outdated';
  }

  /** H3: nobody else can ever be promoted here. Only a leader that is one still may say so: it has an entry committed first. */
  async #nobodyToOutdate(peer: NodeId | null): Promise<'outdated'> {
    const { driver } = this.#options;
    requireLeader(driver.view);
    if (!driver.view.mayHold)
      throw new QuorateError('refused-unsafe', 'only the holder changes the in-sync set (H3)');
    const text = `fence request for ${peer ?? 'the peer'}: no other member is mirrored`;
    await driver.commit({ kind: 'note', text }, LIMIT_MS);
    return 'outdated';
  }

  async #commit(target: NodeId): Promise<void> {
    const { driver, clock } = this.#options;
    const deadline = clock.now() + LIMIT_MS;
    for (;;) {
      const result = driver.propose({ kind: 'peer-outdated', peer: target });
      if (!('refused' in result)) return driver.committed(result, Math.max(1, deadline - clock.now()));
      requireLeader(driver.view);
      if (clock.now() >= deadline) throw new QuorateError('refused-unsafe', `refused: ${result.refused}`);
      // mark: fence-request-waits
      await clock.sleep(RETRY_MS);
    }
  }
}
