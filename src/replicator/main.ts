/**
 * Entry of the replicator process (dist/replicator.mjs), which the executor starts after a complete takeover and kills as the
 * first act of each release. A hang of it costs nobody anything but the replication.
 *
 *     node replicator.mjs --config FILE --node ID
 */
import { parseArgs } from 'node:util';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/index.ts';
import { EXIT, QuorateError } from '../errors.ts';
import { ChildRunner, kernelFiles } from '../executor/index.ts';
import { openChannel } from '../replication/channels/index.ts';
import { yieldToOthers } from '../replication/index.ts';
import { runReplicator } from './run.ts';

const END_LIMIT_MS = 100;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { config: { type: 'string' }, node: { type: 'string' } } });
  if (values.config === undefined) throw new QuorateError('usage', 'the replicator needs --config FILE');
  const config = loadConfig(values.config, { node: values.node });
  yieldToOthers();
  const commands = new ChildRunner(`replicator of ${config.dataDir}`, systemClock);
  const code = await runReplicator({
    config,
    openChannel,
    commands,
    kernel: kernelFiles,
    clock: systemClock,
    orders: process.stdin,
    reports: process.stdout,
  });
  await commands.killInFlight(END_LIMIT_MS);
  return code;
}

/** With everything that it has started: the executor has made it the leader of a group. */
function end(code: number): never {
  try {
    process.kill(-process.pid, 'SIGKILL');
  } catch {
    // Started by hand, in somebody else's group.
  }
  process.exit(code);
}

try {
  const code = await main();
  // What it has told last is on its way.
  process.stdout.write('', () => (code === EXIT.done ? end(code) : process.exit(code)));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(EXIT.failed);
}
