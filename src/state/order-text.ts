/** What an operator has said of the whole cluster or of a node, in words. */
import type { ConfigChange, EntryBody, Timing } from '../core/index.ts';

export function orderText(body: Extract<EntryBody, { kind: 'pause' | 'standby' }>): string {
  const why = body.why === '' ? '' : `: ${body.why}`;
  if (body.kind === 'pause') return `${body.paused ? 'paused the cluster' : 'resumed the cluster'}${why}`;
  return `${body.standby ? `put ${body.node} on standby` : `made ${body.node} active again`}${why}`;
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
