/**
 * What came of a scheduled switchover that has begun, for a leader that finds it open: what the log says, or what has lasted so long
 * that no more is to come. An open one is in the way of the next.
 */
import type { Clock } from '../clock.ts';
import {
  type CoreView,
  type Instant,
  logIndex,
  type NodeId,
  type Schedule,
  type Tenure,
} from '../core/index.ts';

/** A failed takeover is moved away within seconds, if at all (H6). */
const FAILED_MS = 10_000;
/** Longer than a takeover, or than nobody may hold where anybody can. */
const LASTS_MS = 150_000;

export interface End {
  readonly outcome: 'done' | 'refused';
  readonly why: string;
}

type View = Pick<CoreView, 'state' | 'hold' | 'leadership' | 'log' | 'commitIndex'>;

/** Whether this leader holds what the order is about, and is about to do nothing else with it (L7, R3). */
export function isSteady(
  { hold, leadership }: Pick<View, 'hold' | 'leadership'>,
  { epoch }: Schedule,
): boolean {
  const isHeld = hold.kind === 'held' && hold.epoch === epoch;
  return isHeld && leadership?.transfer === null && leadership.restart === null;
}

/** As the log says it; null: it does not, or not yet. */
export function endOf(view: View, schedule: Schedule, to: NodeId): End | null {
  const { tenure } = view.state;
  if (tenure === null) return null;
  const { node, epoch, released, isTaken } = tenure;
  if (epoch === schedule.epoch) {
    if (released || !isSteady(view, schedule)) return null;
    return { outcome: 'refused', why: `${node} holds as before: the move was not finished` };
  }
  if (node !== to) return { outcome: 'refused', why: `it did not reach ${to}: ${node} holds` };
  if (isTaken) return { outcome: 'done', why: `${to} holds, epoch ${epoch}` };
  return released
    ? { outcome: 'refused', why: `${to} could not take over (epoch ${epoch}), and has let go again` }
    : null;
}

/** What the log never says: that a takeover stays as it is without having succeeded as a whole, or that nobody holds any more. */
export class Calm {
  readonly #clock: Pick<Clock, 'now'>;
  #seen: { readonly what: string; readonly since: Instant } | null = null;

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  endOf(
    { state: { tenure }, hold, leadership, log, commitIndex }: View,
    schedule: Schedule,
    to: NodeId,
  ): End | null {
    if (tenure === null) return null;
    const isHeld = hold.kind === 'held' && hold.epoch === tenure.epoch;
    // Held as before the move: that is the log's to say, once nothing is under way.
    if (isHeld && tenure.epoch === schedule.epoch) return null;
    // Of this leadership and this order alone: what was seen in an earlier one has not lasted since, however alike it is.
    const whose = `${leadership?.firstIndex} ${schedule.index}`;
    const what = `${whose} ${tenure.epoch} ${tenure.released} ${hold.kind} ${leadership?.transfer?.phase}`;
    const now = this.#clock.now();
    if (this.#seen?.what !== what) this.#seen = { what, since: now };
    const lastsMs = now - this.#seen.since;
    if (leadership?.transfer !== null) return null;
    if (isHeld && hasFailed(tenure, log, commitIndex)) {
      const why = `${to} holds, epoch ${tenure.epoch}, but not everything: its takeover failed in part`;
      return lastsMs < FAILED_MS ? null : { outcome: 'done', why };
    }
    if (lastsMs < LASTS_MS) return null;
    return isHeld
      ? { outcome: 'done', why: `${to} holds, epoch ${tenure.epoch}, and does not say whether everything` }
      : { outcome: 'refused', why: `nobody has held since epoch ${tenure.epoch} of ${tenure.node}` };
  }
}

function hasFailed({ epoch }: Tenure, log: View['log'], commitIndex: View['commitIndex']): boolean {
  return log
    .slice(logIndex(epoch), commitIndex)
    .some(({ body }) => body.kind === 'takeover-done' && body.epoch === epoch && !body.ok);
}
