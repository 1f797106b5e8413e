/**
 * O3: an operator accepts what a takeover of pools replicated by snapshots loses beyond `max_data_loss`. It outdates nobody, and
 * grants nothing: the entry says who, why and what; then this node asks for a term of its own again, and passes the whole gate (H2).
 */
import type { FailoverOrder, FailoverOutcome, SwitchoverCheck } from '../admin/index.ts';
import type { Clock } from '../clock.ts';
import { mayHoldByKind, type NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { acceptedText, isoTime, lossText } from '../state/index.ts';
import type { DataLoss } from './data-loss.ts';
import type { Driver } from './driver.ts';
import type { OrderEntries } from './order-entries.ts';
import { reasonOf } from './reason.ts';
import { refusedFor, requireOpenEpoch } from './refusals.ts';
import type { TakeoverWatch } from './takeover-watch.ts';

/** Of a sentence for each pool, in the entry: far below its limit. Whoever orders it is told all of it. */
const MAX_LOSS_CHARACTERS = 3000;

export interface AcceptLossParts {
  readonly driver: Driver;
  readonly clock: Clock;
  readonly takeovers: TakeoverWatch;
  readonly dataLoss: DataLoss;
  readonly entries: OrderEntries;
  readonly limitMs: number;
}

/** Of a leader that is asked for itself, is in sync and does not hold: everything else is `Failover`'s. */
export async function acceptLoss(order: FailoverOrder, parts: AcceptLossParts): Promise<FailoverOutcome> {
  const { driver, clock, takeovers, dataLoss, entries, limitMs } = parts;
  const { to, who, dryRun, requestId, expectedEpoch } = order;
  const losses = await dataLoss.losses();
  const texts = losses.flatMap((loss) => lossText(loss, (ms) => isoTime(ms)) ?? []);
  const mayLose = texts.length === 0 ? 'nothing' : texts.join('; ');
  if (!dryRun && !order.acceptDataLoss)
    throw new QuorateError('usage', `a failover to ${to} needs --accept-data-loss: ${mayLose}`);
  // Nothing is awaited between this and the entry.
  requireOpenEpoch(driver.view, order.expectedEpoch);
  const checks = checksOf(driver, to, dataLoss.refusals.size > 0);
  const none = { epoch: null, totalMs: null, steps: [], alreadyDone: false, idNotInLog: false };
  const base = { to, mayLose, checks, ...none };
  if (dryRun) return { ...base, dryRun, forcedAt: null };
  const failed = checks.filter(({ ok }) => !ok);
  if (failed.length > 0)
    throw refusedFor(
      `failover to ${to}`,
      failed,
      to,
      driver.view.isPaused ? 'cluster-paused' : 'refused-unsafe',
    );
  const began = clock.now();
  const taken = takeovers.next(to, 'failover-failed');
  // It may fail before the commit is known, while nobody waits for it yet.
  taken.promise.catch(() => undefined);
  try {
    const why = reasonOf(order.why) || 'no reason given';
    const action = acceptedText(to, why, mayLose.slice(0, MAX_LOSS_CHARACTERS));
    const { index: forcedAt, idNotInLog } = await entries.write(
      { kind: 'operator', who, action, at: clock.wallMs() },
      { requestId, isNamed: true, to, expectedEpoch },
      limitMs,
    );
    driver.input({ kind: 'lead-anew' });
    const { epoch, steps } = await taken.promise;
    return { ...base, dryRun, forcedAt, epoch, steps, totalMs: clock.now() - began, idNotInLog };
  } catch (error) {
    taken.cancel();
    throw error;
  }
}

function checksOf({ view }: Driver, to: NodeId, isRefused: boolean): readonly SwitchoverCheck[] {
  const answers = (id: NodeId): boolean =>
    view.leadership?.lease.heardFrom(id, view.now - view.timing.leaseMs) ?? false;
  const check = (name: string, problem: string | null, fine: string): SwitchoverCheck => ({
    name,
    ok: problem === null,
    detail: problem ?? fine,
  });
  const others = view.state.inSync.filter(
    (id) => id !== to && mayHoldByKind(view.state.members, id) && answers(id),
  );
  const { leadership } = view;
  // Who is alive answers within a lease; until then that nobody does says nothing.
  const isEarly = leadership !== null && view.now < leadership.electedAt + view.timing.leaseMs;
  return [
    check(
      'leader',
      isEarly ? `${to} was only just elected and does not know yet who answers: ask again in a second` : null,
      `${to} leads term ${view.hard.term} and can write it down`,
    ),
    check(
      'held back',
      isRefused ? null : `nothing holds ${to} back: it takes over by itself as soon as it can`,
      `max_data_loss holds ${to} back`,
    ),
    check(
      'nobody holds',
      view.hold.kind === 'none' ? null : `${to} holds, or is about to`,
      'nobody holds in this term',
    ),
    check(
      'in-sync nodes away',
      others.length === 0
        ? null
        : `${others.join(' ')} answers and may have the data: it takes over by itself, or wait for it`,
      'no other node that is in sync answers',
    ),
    check(
      'not barred',
      view.isPaused
        ? 'the cluster is paused: "quorate resume" first (H7)'
        : view.isSetAside(to)
          ? `${to} is on standby: "quorate activate ${to}" first`
          : null,
      `neither is the cluster paused, nor ${to} on standby`,
    ),
  ];
}
