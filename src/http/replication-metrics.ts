/** Of the snapshots that this node sends, by dataset: only on the holder, and only where something is sent. */
import { lagMs, type PoolCopyFacts, poolLagMs } from '../pool-copies.ts';
import type { Family, Sample } from './exposition.ts';
import { counter, gauge, seconds, states } from './families.ts';

export interface DatasetReplication {
  readonly dataset: string;
  readonly state: (typeof STATES)[number];
  readonly common: { readonly takenAt: number | null } | null;
  readonly periodMs: number;
  readonly progress: {
    readonly bytes: number;
    readonly totalBytes: number | null;
    readonly bytesPerSecond: number | null;
  } | null;
  readonly sentBytes: number;
  readonly failures: number;
}

const STATES = ['current', 'sending', 'waiting', 'failed', 'conflict', 'unknown'] as const;

export function replicationFamilies(all: readonly DatasetReplication[], wallMs: number): Family[] {
  const of = (figureOf: (one: DatasetReplication) => number | null): Sample[] =>
    all.flatMap((one) => {
      const value = figureOf(one);
      return value === null ? [] : [{ labels: { dataset: one.dataset }, value }];
    });
  return [
    gauge(
      'quorate_replication_state',
      'How far the copy of that dataset is.',
      all.flatMap(({ dataset, state }) => states('state', STATES, state, { dataset })),
    ),
    gauge(
      'quorate_replication_lag_seconds',
      'Age of the newest snapshot that the other node has too: what would be lost.',
      of(({ common }) => {
        const takenAt = common?.takenAt ?? null;
        return takenAt === null ? null : seconds(lagMs(takenAt, wallMs)).value;
      }),
    ),
    gauge(
      'quorate_replication_period_seconds',
      'How often a snapshot is taken and sent.',
      of(({ periodMs }) => seconds(periodMs).value),
    ),
    gauge(
      'quorate_replication_progress_bytes',
      'Of the stream that runs.',
      of(({ progress }) => progress?.bytes ?? null),
    ),
    gauge(
      'quorate_replication_progress_total_bytes',
      'What that stream will have, as ZFS estimates it.',
      of(({ progress }) => progress?.totalBytes ?? null),
    ),
    counter(
      'quorate_replication_sent_bytes_total',
      'Of streams that have arrived, since sending began.',
      of(({ sentBytes }) => sentBytes),
    ),
    counter(
      'quorate_replication_failures_total',
      'Streams and orders that did not come to their end, since sending began.',
      of(({ failures }) => failures),
    ),
  ];
}

/** Of whole pools, on the node that sends and on the one that receives; none where it is not known up to when the copy is whole. */
export const poolLagFamily = (pools: readonly PoolCopyFacts[], wallMs: number): Family =>
  gauge(
    'quorate_replication_pool_lag_seconds',
    'Age of what is whole of that pool on the node that receives: what a takeover would lose.',
    pools.flatMap((one): Sample[] => {
      const lag = poolLagMs(one, wallMs);
      return lag === null ? [] : [{ labels: { pool: one.pool, role: one.role }, value: seconds(lag).value }];
    }),
  );
