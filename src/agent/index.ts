import { pino } from 'pino';
import type { Config } from '../config/index.ts';
import { EXIT } from '../errors.ts';
import { Agent } from './agent.ts';
import { systemParts } from './system-parts.ts';

export { type NewClusterPlan, planNewCluster } from './force-new-cluster.ts';
export { reasonOf } from './reason.ts';

/**
 * Runs a node until SIGTERM or SIGINT; resolves with the exit code. Rejects with a QuorateError where it cannot start.
 * Logs are JSON lines on stderr; stdout stays empty.
 */
export async function runAgent(config: Config, selfFence: 'off' | 'sysrq'): Promise<number> {
  const log = pino(
    { base: { node: config.node }, level: process.env.QUORATE_LOG_LEVEL ?? 'info' },
    pino.destination({ fd: 2, sync: true }),
  );
  let agent: Agent | null = null;
  // Before there is an agent nothing is open and nothing held.
  const onSignal = () => (agent === null ? process.exit(EXIT.done) : void agent.shutdown());
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  // Style 5: a broken invariant, or an error that nobody handled, ends the process; the executor releases.
  process.on('uncaughtException', (error) => {
    log.fatal({ event: 'fatal', error: error.stack ?? String(error) }, error.message);
    process.exit(EXIT.invariant);
  });
  agent = new Agent(config, log, await systemParts(config, log, selfFence));
  return agent.run();
}
