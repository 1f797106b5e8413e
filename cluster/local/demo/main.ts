/**
 * `scripts/demo [--json] [--seed N]`: a whole cluster on this machine, a client that writes without pause, and everything
 * that can happen to a holder. Exit 1 if an acknowledged record was lost or two nodes held at once.
 */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { LocalCluster } from '../cluster.ts';
import { Observer } from './observer.ts';
import { type DemoReport, table } from './report.ts';
import { auditOf, type DemoEvent, EVENTS, healthy, type Stage } from './scenario.ts';
import { Writer } from './writer.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    keep: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  process.stdout.write('usage: scripts/demo [--json] [--seed N] [--keep DIRECTORY]\n');
  process.exit(0);
}
const seed = Number(values.seed);
const began = performance.now();
const print = (text: string): void => {
  // With --json stdout carries one document and nothing else.
  (values.json ? process.stderr : process.stdout).write(`${text}\n`);
};
const say = (text: string): void =>
  print(`${((performance.now() - began) / 1_000).toFixed(2).padStart(7)} s  ${text}`);

async function run(cluster: LocalCluster): Promise<DemoReport> {
  const writer = new Writer(cluster.serviceAddress, seed);
  const observer = new Observer(cluster);
  const stage: Stage = { cluster, writer, say };
  await healthy(stage);
  say('two data nodes and a witness run; a client writes through the elastic IP, each record synced on both');
  writer.start();
  observer.start();
  const events: DemoEvent[] = [];
  for (const event of EVENTS) events.push(await event(stage));
  await writer.stop();
  await observer.stop();
  const lost = await writer.lost();
  const last = events.at(-1)?.to ?? '';
  const { chain, tenures, violations } = await auditOf(stage, last);
  return {
    writes: { acknowledged: writer.acknowledged, lost: lost.length },
    maxHolders: observer.maxHolders,
    events,
    audit: { ok: chain.ok && violations.length === 0, tenures, violations },
  };
}

const dist = dirname(fileURLToPath(import.meta.url));
const cluster = await LocalCluster.create({
  seed,
  dist,
  // A host takes far longer than a second to boot; three keep the demo short.
  watchdog: { timeoutMs: 400, bootMs: 3_000 },
  ...(values.keep === undefined ? {} : { directory: values.keep }),
});
let code = 1;
try {
  const report = await run(cluster);
  if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else
    print(
      `\n${table(report)}\n\n${(await cluster.quorate(report.events.at(-1)?.to ?? 'a', ['audit'])).stdout}`,
    );
  code = report.writes.lost === 0 && report.maxHolders === 1 && report.audit.ok ? 0 : 1;
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
} finally {
  await cluster.stop();
}
process.exit(code);
