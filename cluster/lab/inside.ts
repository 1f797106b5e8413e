/** The process in the namespace of the switch: makes the lab and does what was asked, or keeps it up. */
import type { LabCommand } from './arguments.ts';
import { Lab } from './lab.ts';
import { unpackedPackages } from './packages.ts';
import { type Output, perform } from './perform.ts';
import { serveLab } from './server.ts';
import { UmlEngine } from './uml.ts';

export interface Task {
  readonly owner: number;
  readonly folder: string;
  readonly dist: string;
  readonly checkout: string;
  readonly seed: number;
  /** `up`: keep it until `down`. */
  readonly command: LabCommand;
}

/** Resolves with the exit code. */
export async function inside(task: Task, output: Output): Promise<number> {
  const engine = new UmlEngine(await unpackedPackages(output.say));
  const { owner, folder, dist, checkout, seed, command } = task;
  const lab = await Lab.create({ owner, folder, dist, checkout, engine, seed, say: output.say });
  try {
    if (command.kind !== 'up') return await perform(lab, command, output);
    output.print('ready');
    await serveLab(lab, folder);
    return 0;
  } finally {
    await lab.close();
  }
}
