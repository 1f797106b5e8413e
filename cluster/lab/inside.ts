/** The process in the namespace of the switch: makes the lab and does what was asked, or keeps it up. */
import { setPriority } from 'node:os';
import type { LabCommand } from './arguments.ts';
import type { EngineName } from './engine.ts';
import { engineNamed } from './engines.ts';
import { Lab } from './lab.ts';
import { type Output, perform } from './perform.ts';
import type { ChannelName, ServiceName, StorageName, TimingName, WatchdogName } from './plan.ts';
import { serveLab } from './server.ts';

export interface Task {
  readonly owner: number;
  readonly folder: string;
  readonly dist: string;
  readonly checkout: string;
  readonly seed: number;
  readonly engine: EngineName;
  readonly timing: TimingName;
  readonly storage: StorageName;
  readonly services: ServiceName;
  readonly watchdog: WatchdogName;
  readonly channel: ChannelName;
  readonly isBare: boolean;
  /** `up`: keep it until `down`. */
  readonly command: LabCommand;
}

/**
 * Of the guests and of those who watch them: a kernel that waits for a batch job of its host loses its lease, and its
 * watchdog resets it, as they should. What is tested here is not the host's scheduler.
 */
const NICENESS = -10;

/** Resolves with the exit code. */
export async function inside(task: Task, output: Output): Promise<number> {
  setPriority(NICENESS);
  const engine = await engineNamed(task.engine, output.say);
  const {
    owner,
    folder,
    dist,
    checkout,
    seed,
    timing,
    storage,
    services,
    watchdog,
    channel,
    isBare,
    command,
  } = task;
  const lab = await Lab.create({
    owner,
    folder,
    dist,
    checkout,
    engine,
    timing,
    storage,
    services,
    watchdog,
    channel,
    isBare,
    seed,
    say: output.say,
  });
  try {
    if (command.kind !== 'up') return await perform(lab, command, output);
    output.print('ready');
    await serveLab(lab, folder);
    return 0;
  } finally {
    await lab.close();
  }
}
