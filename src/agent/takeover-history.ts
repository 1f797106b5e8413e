/** The last takeovers, followed through the committed entries: for `status` and the status page. */
import type { StatusDocument } from '../admin/index.ts';
import type { Entry, EntryBody } from '../core/index.ts';
import type { PastTakeover } from '../http/index.ts';
import { isoTime } from '../state/index.ts';

const MAX_KEPT = 8;

export class TakeoverHistory {
  /** Oldest first. */
  #kept: PastTakeover[] = [];
  #election: Extract<EntryBody, { kind: 'elected' }> | null = null;

  onCommitted({ index, body }: Entry): void {
    if (body.kind === 'elected') this.#election = body;
    if (body.kind === 'tenure-granted') {
      const election = this.#election;
      this.#kept = [...this.#kept.slice(1 - MAX_KEPT), granted(index, body, election, this.#kept.at(-1))];
    }
    const last = this.#kept.at(-1);
    if (body.kind === 'takeover-done' && last?.epoch === body.epoch) {
      const result = body.ok ? ('ok' as const) : ('failed' as const);
      this.#kept = [
        ...this.#kept.slice(0, -1),
        { ...last, result, steps: body.steps, totalMs: body.totalMs },
      ];
    }
  }

  /** Oldest first. */
  get kept(): readonly PastTakeover[] {
    return this.#kept;
  }

  get last(): StatusDocument['lastTakeover'] {
    const last = this.#kept.at(-1);
    if (last === undefined) return null;
    const { epoch, reason, grantedAt, steps, totalMs } = last;
    return { epoch, reason, startedAt: grantedAt, steps: [...steps], totalMs };
  }
}

function granted(
  epoch: number,
  { node, at }: Extract<EntryBody, { kind: 'tenure-granted' }>,
  election: Extract<EntryBody, { kind: 'elected' }> | null,
  before: PastTakeover | undefined,
): PastTakeover {
  // Both entries are the new leader's own, by one clock; of another's nothing follows.
  const electedAt = election?.leader === node ? election.at : null;
  return {
    ...{ epoch, node, from: before?.node ?? null, reason: election?.reason ?? null, grantedAt: isoTime(at) },
    detectMs: election?.detectMs ?? null,
    electMs: election?.electMs ?? null,
    grantMs: electedAt === null || at === null ? null : Math.max(0, at - electedAt),
    ...{ result: 'open', steps: [], totalMs: null },
  };
}
