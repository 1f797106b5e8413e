/** `npm run abuse [-- --share S] [--json]`: 10,000 messages and more against a live cluster on this machine, and what it cost. */
import { parseArgs } from 'node:util';
import { LocalCluster } from '../../cluster/local/cluster.ts';
import { abuse, faultsOf } from './abuse.ts';

const { values } = parseArgs({
  options: { share: { type: 'string', default: '1' }, json: { type: 'boolean', default: false } },
});
const share = Number(values.share);
if (!(share > 0 && share <= 10)) {
  process.stderr.write('--share is more than 0 and at most 10\n');
  process.exit(2);
}
const cluster = await LocalCluster.create({ seed: 1, timing: { leaseMs: 600 } });
try {
  let holder: string | null = null;
  await cluster.waitFor(
    'somebody holds and everybody is in sync',
    async () => {
      const status = await cluster.status(cluster.dataNodes[0] ?? '');
      holder = status.holder;
      return holder !== null && status.nodes.every(({ inSync }) => inSync !== false);
    },
    30_000,
  );
  const report = await abuse(cluster, holder ?? '', share, (line) => process.stderr.write(`${line}\n`));
  const faults = faultsOf(report);
  process.stdout.write(`${JSON.stringify({ ...report, faults }, null, 2)}\n`);
  process.exitCode = faults.length === 0 ? 0 : 1;
} finally {
  await cluster.stop();
}
