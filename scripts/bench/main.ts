/**
 * `npm run bench -- [--json] [--runs N] [--settle S] [--only PART]`: the figures that the project promises, each beside its floor or its
 * bound. Parts: commit, audit, cloud, idle, failover, replication; all of them by default.
 */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type AuditBench, benchAudit } from './audit.ts';
import { benchCloud, type CloudReport, runCloudClient } from './cloud.ts';
import { benchCluster, type ClusterReport, type FailoverReport, SETTLE_S } from './cluster.ts';
import { benchCommit, type CommitBench } from './commit.ts';
import { type CommitReport, type DiskFloor, runNode } from './node.ts';
import { benchReplication, type ReplicationBench, runSender } from './replication/index.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    runs: { type: 'string', default: '5' },
    settle: { type: 'string', default: String(SETTLE_S) },
    only: { type: 'string' },
    node: { type: 'boolean', default: false },
    cloud: { type: 'boolean', default: false },
    sender: { type: 'string' },
    bytes: { type: 'string', default: '0' },
  },
});

const PARTS = ['commit', 'audit', 'cloud', 'idle', 'failover', 'replication'] as const;
const CLOUD_CLIENTS = 5;

if (values.node) await runNode();
else if (values.cloud) await runCloudClient();
else if (values.sender !== undefined) await runSender(values.sender, Number(values.bytes));
else await main();

async function main(): Promise<void> {
  const { only } = values;
  if (only !== undefined && !PARTS.some((part) => part === only)) {
    process.stderr.write(`--only ${only}: there is no such part; there are ${PARTS.join(', ')}\n`);
    process.exit(2);
  }
  const isWanted = (part: (typeof PARTS)[number]) => only === undefined || only === part;
  const script = fileURLToPath(import.meta.url);
  const say = (text: string) => process.stderr.write(`${text}\n`);
  if (isWanted('commit')) say('commit latency: three processes, real log, real streams');
  const commit = isWanted('commit') ? compared(await benchCommit(script)) : null;
  if (isWanted('audit')) say('the audit of 100,000 entries');
  const audit = isWanted('audit') ? benchAudit() : null;
  if (isWanted('cloud')) say('the first calls of a warmed cloud client');
  const cloud = isWanted('cloud') ? await benchCloud(script, CLOUD_CLIENTS) : null;
  const wanted = {
    idle: isWanted('idle'),
    settleS: Number(values.settle),
    runs: isWanted('failover') ? Number(values.runs) : 0,
  };
  const cluster = wanted.idle || wanted.runs > 0 ? await benchCluster(dirname(script), wanted, say) : null;
  const replication = isWanted('replication') ? await benchReplication(dirname(script), script, say) : null;
  const report: Report = { commit, audit, cloud, cluster, replication };
  if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else process.stdout.write(`${table(report)}\n`);
  process.exit(0);
}

type ComparedCommit = CommitBench & {
  floorMs: number;
  ratio: number;
  togetherMs: number;
  ratioTogether: number;
  ratioTwo: number;
};
interface Report {
  readonly commit: ComparedCommit | null;
  readonly audit: AuditBench | null;
  readonly cloud: CloudReport | null;
  readonly cluster: ClusterReport | null;
  readonly replication: ReplicationBench | null;
}

function compared(commit: CommitBench): ComparedCommit {
  const { floor, together } = commit;
  const floorMs = floor.batch + floor.sync + floor.roundTrip;
  const togetherMs = together.batch + together.sync + floor.roundTrip;
  const { p50 } = commit.commit;
  const { two } = commit;
  const ratioTwo = two.commit.p50 / (two.floor.batch + two.floor.sync + two.floor.roundTrip);
  return { ...commit, floorMs, ratio: p50 / floorMs, togetherMs, ratioTogether: p50 / togetherMs, ratioTwo };
}

type Row = readonly [string, string, string];
function ms(value: number): string {
  return `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`;
}

function table({ commit, audit, cloud, cluster, replication }: Report): string {
  const rows: Row[] = [
    ['WHAT', 'MEASURED', 'FLOOR OR BOUND'],
    ...(commit === null ? [] : commitRows(commit)),
    ...(audit === null ? [] : auditRows(audit)),
    ...(cloud === null ? [] : cloudRows(cloud)),
    ...(cluster?.idle ?? []).map(
      ({ node, cpuPercent, pssMb, heartbeatUs }): Row => [
        `idle ${node}: agent + executor`,
        `${cpuPercent.toFixed(2)} % CPU, ${pssMb.toFixed(0)} MB PSS`,
        `1 %, 170 MB; ${heartbeatUs.toFixed(0)} µs a heartbeat`,
      ],
    ),
    ...(cluster?.failover ? failoverRows(cluster.failover, commit?.floorMs ?? null) : []),
    ...(replication === null ? [] : replicationRows(replication)),
  ];
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(
      ([what, value, bound]) => `${what.padEnd(widths[0] ?? 0)}  ${value.padEnd(widths[1] ?? 0)}  ${bound}`,
    )
    .join('\n');
}

function auditRows({ entries, read, replay, page }: AuditBench): Row[] {
  const row = (
    what: string,
    { medianMs, worstMs, cpuMs, runs }: AuditBench['replay'],
    bound: string,
  ): Row => [what, ms(medianMs), `${bound} (worst ${ms(worstMs)} of ${runs}; ${ms(cpuMs)} of CPU)`];
  return [
    row(`audit: reading ${entries} entries`, read, 'no bound'),
    row('audit: their replay', replay, 'bound 2000 ms'),
    row('audit: their page', page, 'no bound'),
  ];
}

function cloudRows({ first, worst, clients }: CloudReport): Row[] {
  const row = (what: string, name: keyof CloudReport['first']): Row => [
    what,
    ms(first[name]),
    `bound 10 ms (worst ${ms(worst[name])} of ${clients}; a later read ${ms(first.warmMs)})`,
  ];
  return [
    row('first read of a warmed client', 'readMs'),
    row('first association of a warmed client', 'associateMs'),
  ];
}

function commitRows(commit: ComparedCommit): Row[] {
  const { floor, together } = commit;
  const low = ({ low: { commit, floor } }: CommitReport) =>
    `${ms(floor)}: the floors' 10th percentiles; ratio ${(commit / floor).toFixed(2)}`;
  const disk = ({ batch, sync }: DiskFloor) => `batch ${ms(batch)} + fdatasync ${ms(sync)}`;
  return [
    [
      'commit p50',
      ms(commit.commit.p50),
      `${ms(commit.floorMs)}: ${disk(floor)} + round trip ${ms(floor.roundTrip)}; ratio ${commit.ratio.toFixed(2)} (bound 1.30)`,
    ],
    ['', '', `ratio ${commit.ratioTwo.toFixed(2)} with two of the three nodes, each with a core of its own`],
    [
      '',
      '',
      `${ms(commit.togetherMs)} with all three nodes on this disk at once: ${disk(together)}; ratio ${commit.ratioTogether.toFixed(2)}`,
    ],
    ['commit p10', ms(commit.low.commit), low(commit)],
    ['', '', `${low(commit.two)} with two nodes: ${ms(commit.two.low.commit)}`],
    ['commit p99', ms(commit.commit.p99), ''],
  ];
}

function replicationRows({ ways, withoutSsh }: ReplicationBench): Row[] {
  const rows = ways.flatMap((one): Row[] => {
    const { way, mibPerSecond, plainMibPerSecond, idle, sending, agentGrewMib, executorGrewMib } = one;
    const plain = `${plainMibPerSecond.toFixed(0)} MiB/s by ${way === 'ssh' ? 'plain ssh' : 'a plain pipe'}`;
    return [
      [
        `1 GiB by ${way}`,
        `${mibPerSecond.toFixed(0)} MiB/s`,
        `${plain}; ratio ${(mibPerSecond / plainMibPerSecond).toFixed(2)}${way === 'ssh' ? ' (bound 0.90)' : ''}`,
      ],
      [
        'heartbeats meanwhile, p99',
        ms(sending.p99Ms),
        `${ms(idle.p99Ms)} idle; ratio ${(sending.p99Ms / idle.p99Ms).toFixed(2)} (bound 2.00); p50 ${ms(sending.p50Ms)}, idle ${ms(idle.p50Ms)}; ${sending.count} and ${idle.count} of them`,
      ],
      [
        'memory meanwhile, the most of one',
        `agent +${agentGrewMib.toFixed(1)} MiB, executor +${executorGrewMib.toFixed(1)} MiB`,
        'bound 20 MiB',
      ],
    ];
  });
  return withoutSsh === null ? rows : [...rows, ['1 GiB by ssh', 'not measured', withoutSsh]];
}

function failoverRows(failover: FailoverReport, floorMs: number | null): Row[] {
  const { promiseMs } = failover;
  return [
    ['election, median', ms(failover.electMs), floorMs === null ? '' : ms(floorMs)],
    ['planned switchover, outage', spread(failover.switchover), 'bound 300 ms'],
    ['killed agent, outage', spread(failover.agentKilled), 'bound 600 ms'],
    [
      'power cut, outage',
      spread(failover.powerCut),
      `promise ${ms(promiseMs)}, bound ${ms(promiseMs + 300)}`,
    ],
  ];
}

function spread({ medianMs, worstMs, runs }: { medianMs: number; worstMs: number; runs: number }): string {
  return `${medianMs.toFixed(0)} ms (worst ${worstMs.toFixed(0)} of ${runs})`;
}
