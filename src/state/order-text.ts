/** What an operator has said of the whole cluster or of a node, in words. */
import type { ConfigChange, EntryBody, Timing } from '../core/index.ts';
import { isoTime } from './iso-time.ts';

export function orderText(body: Extract<EntryBody, { kind: 'pause' | 'standby' }>): string {
  const why = body.why === '' ? '' : `: ${body.why}`;
  if (body.kind === 'pause') return `${body.paused ? 'paused the cluster' : 'resumed the cluster'}${why}`;
  return `${body.standby ? `put ${body.node} on standby` : `made ${body.node} active again`}${why}`;
}

/** Of a switchover at a later time: what was ordered, and what came of it. */
export function scheduleText(
  body: Extract<EntryBody, { kind: 'switchover-scheduled' | 'switchover-ended' }>,
): string {
  const why = body.why === '' ? '' : `: ${body.why}`;
  if (body.kind === 'switchover-ended') {
    const verb = {
      done: 'is done',
      cancelled: 'is cancelled',
      expired: 'has expired',
      refused: 'was refused',
    };
    return `the switchover scheduled in entry ${body.of} ${verb[body.outcome]}${why}`;
  }
  const { to, dueAt, graceMs, epoch } = body;
  const whom = to ?? 'the best other node';
  return `scheduled a switchover to ${whom} at ${isoTime(dueAt)}, or within ${graceMs / 1000} s after it, of epoch ${epoch}${why}`;
}

/** Of a `config` entry that somebody has ordered. */
export function changeText(change: ConfigChange, goal: Timing): string {
  const why = change.why === '' ? '' : `: ${change.why}`;
  const node = change.node ?? '';
  switch (change.what) {
    case 'add':
      return `added ${node} as a learner${why}`;
    case 'promote':
      return `gave ${node} a vote${why}`;
    case 'remove':
      return `removed ${node}, for good${why}`;
    case 'settings':
      return `set the timing to ${timingText(goal)}${why}`;
  }
}

export function timingText({ heartbeatMs, leaseMs, releaseMs, watchdog, promiseMs }: Timing): string {
  const timeout = watchdog === null ? '' : `, watchdog ${watchdog.timeoutMs} ms`;
  return `heartbeat ${heartbeatMs} ms, lease ${leaseMs} ms, release ${releaseMs} ms${timeout}, promise ${Math.ceil(promiseMs)} ms`;
}
