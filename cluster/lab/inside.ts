/** The process in the namespace of the switch: makes the lab and does what was asked, or keeps it up. */
import { setPriority } from 'node:os';
import type { LabCommand } from './arguments.ts';
import { Lab } from './lab.ts';
import { unpackedPackages } from './packages.ts';
import { type Output, perform } from './perform.ts';
import type { TimingName } from './plan.ts';
import { serveLab } from './server.ts';
import { UmlEngine } from './uml.ts';

export interface Task {
  readonly owner: number;
  readonly folder: string;
  readonly dist: string;
  readonly checkout: string;
  readonly seed: number;
  readonly timing: TimingName;
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
  const packages = await unpackedPackages(output.say);
  const engine = new UmlEngine(packages);
  const { kit } = packages;
  const { owner, folder, dist, checkout, seed, timing, isBare, command } = task;
  const lab = await Lab.create({
    owner,
    folder,
    dist,
    checkout,
    engine,
    kit,
    timing,
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
