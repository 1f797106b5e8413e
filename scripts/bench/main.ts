/** `npm run bench -- [--json] [--runs N]`: the figures that the project promises, each beside its floor or its bound. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { benchCluster, type ClusterReport } from './cluster.ts';
import { benchCommit, type CommitBench } from './commit.ts';
import { type DiskFloor, runNode } from './node.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    runs: { type: 'string', default: '5' },
    node: { type: 'boolean', default: false },
  },
});

if (values.node) await runNode();
else await main();

async function main(): Promise<void> {
  const script = fileURLToPath(import.meta.url);
  const say = (text: string) => process.stderr.write(`${text}\n`);
  say('commit latency: three processes, real log, real streams');
  const commit = await benchCommit(script);
  const cluster = await benchCluster(dirname(script), Number(values.runs), say);
  const { floor, together } = commit;
  const floorMs = floor.batch + floor.sync + floor.roundTrip;
  const togetherMs = together.batch + together.sync + floor.roundTrip;
  const { p50 } = commit.commit;
  const report = {
    commit: { ...commit, floorMs, ratio: p50 / floorMs, togetherMs, ratioTogether: p50 / togetherMs },
    cluster,
  };
  if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else process.stdout.write(`${table(report)}\n`);
  process.exit(0);
}

type Report = {
  commit: CommitBench & { floorMs: number; ratio: number; togetherMs: number; ratioTogether: number };
  cluster: ClusterReport;
};

function table({ commit, cluster }: Report): string {
  const { floor, together } = commit;
  const ms = (value: number) => `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`;
  const disk = ({ batch, sync }: DiskFloor) => `batch ${ms(batch)} + fdatasync ${ms(sync)}`;
  const rows: [string, string, string][] = [
    ['WHAT', 'MEASURED', 'FLOOR OR BOUND'],
    [
      'commit p50',
      ms(commit.commit.p50),
      `${ms(commit.floorMs)}: ${disk(floor)} + round trip ${ms(floor.roundTrip)}; ratio ${commit.ratio.toFixed(2)} (bound 1.30)`,
    ],
    [
      '',
      '',
      `${ms(commit.togetherMs)} with all three nodes on this disk at once: ${disk(together)}; ratio ${commit.ratioTogether.toFixed(2)}`,
    ],
    ['commit p99', ms(commit.commit.p99), ''],
    ...cluster.idle.map(({ node, cpuPercent, pssMb, heartbeatUs }): [string, string, string] => [
      `idle ${node}: agent + executor`,
      `${cpuPercent.toFixed(2)} % CPU, ${pssMb.toFixed(0)} MB PSS`,
      `1 %, 170 MB; ${heartbeatUs.toFixed(0)} µs a heartbeat`,
    ]),
    ['election, median', ms(cluster.electMs), ms(commit.floorMs)],
    ['planned switchover, outage', spread(cluster.switchover), 'bound 300 ms'],
    ['killed agent, outage', spread(cluster.agentKilled), 'bound 600 ms'],
    [
      'power cut, outage',
      spread(cluster.powerCut),
      `promise ${ms(cluster.promiseMs)}, bound ${ms(cluster.promiseMs + 300)}`,
    ],
  ];
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(
      ([what, value, bound]) => `${what.padEnd(widths[0] ?? 0)}  ${value.padEnd(widths[1] ?? 0)}  ${bound}`,
    )
    .join('\n');
}

function spread({ medianMs, worstMs, runs }: { medianMs: number; worstMs: number; runs: number }): string {
  return `${medianMs.toFixed(0)} ms (worst ${worstMs.toFixed(0)} of ${runs})`;
}
