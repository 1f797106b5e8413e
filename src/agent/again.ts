/** How a request ended that is asked again, as the log tells it: the answer that its first caller got, or may have missed. */
import type {
  FailoverOutcome,
  MemberOutcome,
  MembersDocument,
  PauseOutcome,
  RestartOutcome,
  SettingsDocument,
  SettingsOutcome,
  StandbyOutcome,
  SwitchoverOutcome,
  TakeoverStep,
} from '../admin/index.ts';
import { assert, type CoreView, type EntryBody, type LogIndex } from '../core/index.ts';
import { type ErrorCode, QuorateError } from '../errors.ts';
import { acceptedLoss, type RequestRecord } from '../state/index.ts';

type Log = CoreView['log'];

export function switchoverAgain(log: Log, record: RequestRecord, idNotInLog: boolean): SwitchoverOutcome {
  const { epoch, steps, node: to } = endOf(log, record, 'switchover-failed');
  // How long the first caller waited is not in the log.
  const rest = { totalMs: null, checks: [], alreadyDone: true, idNotInLog };
  return { dryRun: false, from: record.from, to, epoch, steps, ...rest };
}

export function failoverAgain(log: Log, record: RequestRecord, idNotInLog: boolean): FailoverOutcome {
  const { epoch, steps, node: to } = endOf(log, record, 'failover-failed');
  const mayLose = givenUp(log, record.index);
  const rest = { totalMs: null, checks: [], alreadyDone: true, idNotInLog };
  return { dryRun: false, to, mayLose, forcedAt: record.index, epoch, steps, ...rest };
}

/** Of an override, or of a loss of snapshots that was accepted. */
function givenUp(log: Log, index: LogIndex): string {
  const body = log.at(index)?.body;
  const accepted = body?.kind === 'operator' ? acceptedLoss(body.action) : null;
  return accepted ?? bodyAt(log, index, 'forced').mayLose;
}

/** As it was then: somebody may have said otherwise since. */
export function pauseAgain(_log: Log, { kind, index }: RequestRecord): PauseOutcome {
  return { paused: kind === 'pause', changed: true, index, since: null, alreadyDone: true };
}

export function standbyAgain(log: Log, record: RequestRecord): StandbyOutcome {
  const { node, index, outcome } = record;
  assert(node !== null, 'a standby names its node');
  const hasMoved = outcome.kind !== 'done' || outcome.takeover !== null;
  const moved = hasMoved ? switchoverAgain(log, record, false) : null;
  return { node, standby: record.kind === 'standby', changed: true, index, moved, alreadyDone: true };
}

/** The members as they are now. */
export function membersAgain({ node, index }: RequestRecord, { members }: MembersDocument): MemberOutcome {
  assert(node !== null, 'a change of the members names its node');
  return { node, index, members, alreadyDone: true };
}

/** The settings as they are now: somebody may have ordered others since. */
export function settingsAgain({ index }: RequestRecord, now: SettingsDocument): SettingsOutcome {
  return { ...now, changed: true, index, alreadyDone: true };
}

export function restartAgain(log: Log, record: RequestRecord, instance: string): RestartOutcome {
  const { index, outcome, node } = record;
  if (outcome.kind === 'failed')
    throw new QuorateError(
      'restart-failed',
      `it was asked before (entry ${index}), and failed: ${outcome.why}`,
    );
  assert(node !== null && outcome.kind === 'done', 'it has ended under the same tenure');
  const withinMs = bodyAt(log, index, 'restart-begun').durationMs;
  const rest = { dryRun: false, instance, checks: [], alreadyDone: true };
  return { node, epoch: outcome.epoch, withinMs, index, ...rest };
}

/** @throws QuorateError `code` where it had failed */
function endOf(log: Log, { index, outcome }: RequestRecord, code: ErrorCode) {
  if (outcome.kind === 'failed')
    throw new QuorateError(code, `it was asked before (entry ${index}), and failed: ${outcome.why}`);
  assert(outcome.kind === 'done' && outcome.takeover !== null, 'it has ended with a takeover');
  const { node, steps }: { node: SwitchoverOutcome['to']; steps: readonly TakeoverStep[] } = bodyAt(
    log,
    outcome.takeover,
    'takeover-done',
  );
  return { epoch: outcome.epoch, node, steps };
}

function bodyAt<Kind extends EntryBody['kind']>(log: Log, index: LogIndex, kind: Kind) {
  const body = log.at(index)?.body;
  assert(body?.kind === kind, `entry ${index} is a ${kind}`);
  return body as Extract<EntryBody, { kind: Kind }>; // the assertion does not narrow a generic
}
