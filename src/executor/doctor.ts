/** Puts the doctor's timer together with this host. Nothing of the checks is loaded before the first time. */
import { systemClock } from '../clock.ts';
import type { Config } from '../config/index.ts';
import type { Timing } from '../core/index.ts';
import type { CloudWatch } from '../resources/index.ts';
import { ChildRunner } from './commands.ts';
import { DoctorTimer, type DoctorTimerOptions } from './doctor-timer.ts';
import { runningExecutor } from './lock.ts';
import { openWatchdog } from './watchdog.ts';

const END_LIMIT_MS = 100;

export interface DoctorOptions extends Pick<DoctorTimerOptions, 'log' | 'onSummary'> {
  readonly config: Config;
  /** What the cluster runs with (L8); null while no agent has said it. */
  readonly timing: () => Timing | null;
  /** Told of the calls to the cloud. */
  readonly cloudWatch: CloudWatch;
}

export function startDoctor({ config, timing, cloudWatch, ...told }: DoctorOptions): {
  stop(): Promise<unknown>;
} {
  // Marked otherwise than the guard's children: one that hangs must not keep a release from being verified.
  const commands = new ChildRunner(`doctor of ${config.dataDir}`, systemClock);
  const timer = new DoctorTimer({
    ...told,
    clock: systemClock,
    examine: async () => {
      const { HARMLESS_CHECKS, hostContext, runDoctor } = await import('../doctor/index.ts');
      const context = hostContext({
        config,
        clock: systemClock,
        commands,
        watchdog: { executor: () => runningExecutor(config.dataDir), open: openWatchdog },
        entries: () => Promise.reject(new Error('the executor has no log')),
        isLogCurrent: async () => false,
        clusterTiming: async () => timing(),
        armWatchdog: false,
        cloudWatch,
      });
      return runDoctor(context, HARMLESS_CHECKS);
    },
  });
  timer.start();
  return {
    stop: () => {
      timer.stop();
      return commands.killInFlight(END_LIMIT_MS);
    },
  };
}
