/** Pools that snapshots keep alike: how old what is whole of them is, what is on its way, and what needs somebody. */
import {
  agoText,
  directionText,
  type PoolCopyFacts,
  poolLagMs,
  progressText,
  sentPercent,
} from '../../../pool-copies.ts';
import { percentText } from '../../../resync.ts';
import type { PageState, Pulse } from '../state.ts';
import { Bar } from './bar.tsx';
import { type Column, isWrong, Table } from './table.tsx';
import { Time } from './time.tsx';

export function Replication({ state, pulse }: { state: PageState; pulse: Pulse }) {
  const { replication, observer } = state;
  if (replication.length === 0) return null;
  const columns = columnsOf(Date.parse(pulse.at));
  return (
    <section aria-labelledby="replication">
      <h2 id="replication">Replication by snapshots</h2>
      <Table
        caption={`As ${observer} knows it: what is whole on the node that receives`}
        rows={replication.map((one) => ({ ...one, id: one.pool }))}
        columns={replication.some(({ byItself }) => byItself !== null) ? [...columns, TAKEOVER] : columns}
      />
      {replication.map((one) => (
        <Pool key={one.pool} pool={one} />
      ))}
    </section>
  );
}

const columnsOf = (wallMs: number): Column<PoolCopyFacts>[] => [
  { title: 'Pool', cell: ({ pool }) => pool },
  { title: 'Goes', cell: (one) => (directionText(one) === '' ? null : directionText(one)) },
  { title: 'Whole up to', cell: wholeCell },
  {
    title: 'Lag',
    cell: (one) => {
      const lag = poolLagMs(one, wallMs);
      if (lag === null) return null;
      return isWrong(one.copy === 'everything' ? 'none' : agoText(lag), isBehind(one));
    },
  },
];

/** Only whoever would take over decides that. */
const TAKEOVER: Column<PoolCopyFacts> = { title: 'A takeover', cell: takeoverCell };

const isBehind = ({ byItself, late }: PoolCopyFacts): boolean => byItself === 'too-old' || late > 0;

function wholeCell({ copy, upTo, why }: PoolCopyFacts) {
  if (upTo !== null) return <Time at={upTo} hasDay />;
  if (copy === 'everything') return <span class="good">everything</span>;
  return <span class="bad">{copy === 'none' ? `no whole copy yet: ${why}` : `not known: ${why}`}</span>;
}

function takeoverCell({ byItself }: PoolCopyFacts) {
  if (byItself === null) return null;
  if (byItself === 'too-old') return <span class="bad">not by itself: too old</span>;
  return byItself === 'yes' ? 'by itself' : 'never by itself';
}

function Pool({ pool: { pool, peer, problem, sending, trouble, omitted } }: { pool: PoolCopyFacts }) {
  return (
    <>
      {problem === null ? null : (
        <p>
          <strong class="bad">{pool}:</strong> {problem}
        </p>
      )}
      {sending.length === 0 ? null : (
        <ul class="progress" aria-label={`Of ${pool} on its way to ${peer}`}>
          {sending.map((one) => {
            const percent = sentPercent(one);
            return (
              <li key={one.dataset}>
                {one.dataset}: {progressText(one)}
                <Bar
                  label={`Stream of ${one.dataset}`}
                  percent={percent}
                  words={percent === null ? 'not known' : percentText(percent)}
                />
              </li>
            );
          })}
        </ul>
      )}
      {trouble.length === 0 ? null : (
        <ul class="troubles" aria-label={`Of ${pool}, to be looked at`}>
          {trouble.map(({ dataset, kind, why }) => (
            <li key={dataset}>
              <strong class={kind === 'conflict' ? 'bad' : undefined}>{KINDS[kind]}</strong> {dataset}: {why}
            </li>
          ))}
          {omitted === 0 ? null : (
            <li>and {omitted} more: “quorate replication status” on the node that holds has all of them</li>
          )}
        </ul>
      )}
    </>
  );
}

const KINDS = { conflict: 'Conflict', failed: 'Failed', unknown: 'Not known', late: 'Late' } as const;
