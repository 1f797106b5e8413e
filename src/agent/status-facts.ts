/** What the status page is told, read at one instant: nothing is asked of anybody for it. */
import type { StatusDocument } from '../admin/index.ts';
import type { MetricFacts, PastTakeover, StatusFacts } from '../http/index.ts';
import type { Driver } from './driver.ts';

export interface StatusFactSources {
  readonly driver: Driver;
  readonly status: StatusDocument;
  readonly metrics: MetricFacts;
  readonly failedChecks: readonly string[] | null;
  readonly takeovers: readonly PastTakeover[];
  readonly wallMs: number;
}

export function statusFactsOf(sources: StatusFactSources): StatusFacts {
  const { driver, status, metrics, takeovers, wallMs } = sources;
  const { leadership, now, state, timing } = driver.view;
  const tenure = state.tenure !== null && !state.tenure.released ? state.tenure : null;
  return {
    ...{ status, metrics, takeovers, wallMs },
    // What a lost executor has found says nothing about now.
    failedChecks: metrics.role.executor === 'lost' ? null : sources.failedChecks,
    tenure:
      tenure === null
        ? null
        : {
            grantedAt: takeovers.findLast(({ epoch }) => epoch === tenure.epoch)?.grantedAt ?? null,
            isTaken: tenure.isTaken,
          },
    answering:
      leadership === null
        ? null
        : state.members
            .map(({ id }) => id)
            .filter((id) => leadership.lease.heardFrom(id, now - timing.leaseMs)),
  };
}
