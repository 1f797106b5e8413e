/** `npm run bench -- [--json] [--runs N]`: the figures that the project promises, each beside its floor or its bound. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { benchCluster } from './cluster.ts';
import { benchCommit } from './commit.ts';
import { runNode } from './node.ts';

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
  const { batch, sync, roundTrip } = commit.floor;
  const floorMs = batch + sync + roundTrip;
  const report = { commit: { ...commit, floorMs, ratio: commit.commit.p50 / floorMs }, cluster };
  if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else process.stdout.write(`${table(report)}\n`);
  process.exit(0);
}

function table({
  commit,
  cluster,
}: {
  commit: Awaited<ReturnType<typeof benchCommit>> & { floorMs: number; ratio: number };
  cluster: Awaited<ReturnType<typeof benchCluster>>;
}): string {
  const { floor } = commit;
  const ms = (value: number) => `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`;
  const rows: [string, string, string][] = [
    ['WHAT', 'MEASURED', 'FLOOR OR BOUND'],
    [
      'commit p50',
      ms(commit.commit.p50),
      `${ms(commit.floorMs)}: batch ${ms(floor.batch)} + fdatasync ${ms(floor.sync)} + round trip ${ms(floor.roundTrip)}; ratio ${commit.ratio.toFixed(2)} (bound 1.30)`,
    ],
    ['commit p99', ms(commit.commit.p99), ''],
    ...cluster.idle.map(({ node, cpuPercent, pssMb, heartbeatUs }): [string, string, string] => [
      `idle ${node}: agent + executor`,
      `${cpuPercent.toFixed(2)} % CPU, ${pssMb.toFixed(0)} MB PSS`,
      `1 %, 170 MB; ${heartbeatUs.toFixed(0)} µs a heartbeat`,
    ]),
    ['election, median', ms(cluster.electMs), ms(floor.batch + floor.sync + floor.roundTrip)],
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
