/** What an operator has said of the whole cluster or of a node, in words. */
import type { EntryBody } from '../core/index.ts';

export function orderText(body: Extract<EntryBody, { kind: 'pause' | 'standby' }>): string {
  const why = body.why === '' ? '' : `: ${body.why}`;
  if (body.kind === 'pause') return `${body.paused ? 'paused the cluster' : 'resumed the cluster'}${why}`;
  return `${body.standby ? `put ${body.node} on standby` : `made ${body.node} active again`}${why}`;
}
