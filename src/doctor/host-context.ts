/** Puts the real host together for the checks: what a command and the executor have in common. */
import type { Clock } from '../clock.ts';
import type { Config } from '../config/index.ts';
import type { CloudWatch, CommandRunner } from '../resources/index.ts';
import type { DoctorContext, FactsQuestion } from './context.ts';
import { systemFiles, systemHost, systemNetwork } from './system.ts';

/** What differs between a command and the executor. */
export interface HostParts
  extends Pick<DoctorContext, 'watchdog' | 'entries' | 'isLogCurrent' | 'clusterTiming' | 'armWatchdog'> {
  readonly config: Config;
  readonly clock: Clock;
  readonly commands: Pick<CommandRunner, 'run'>;
  /** Told of the calls to the cloud. */
  readonly cloudWatch?: CloudWatch;
}

export function hostContext(parts: HostParts): DoctorContext {
  const { cloudWatch, ...rest } = parts;
  const { config } = rest;
  return {
    ...rest,
    files: systemFiles,
    host: systemHost(),
    network: systemNetwork(config.tls),
    askFacts: (question) => askPeer(config, question),
    // The SDK comes with it (0.1 s, 30 MB), unless the executor has it already.
    cloud: async (localAddress) =>
      (await import('./cloud-adapter.ts')).cloudProbe(config, localAddress, cloudWatch),
  };
}

async function askPeer(config: Config, { address, node, times, limitMs, signal }: FactsQuestion) {
  const { askFacts, readTls } = await import('../peer/index.ts');
  return askFacts(address, {
    tls: await readTls(config.tls),
    cluster: config.cluster,
    from: config.node,
    to: node,
    times,
    deadlineMs: limitMs,
    signal,
  });
}
