/** The commands of `support/zfs-verbs.ts` on a pool in memory: each call is written down, with a power cut before any of them. */

import { type ModelPool, ZfsRefusal } from '../../cluster/zfs-model/index.ts';
import type { CommandResult, CommandRunner } from '../../src/resources/index.ts';
import { runOn } from './support/zfs-verbs.ts';

export class PowerCut extends Error {}

export class ZfsCommand implements Pick<CommandRunner, 'run'> {
  readonly #pool: ModelPool;
  readonly calls: string[] = [];
  /** What a rename would mount where it is shared: file systems without -u. */
  readonly mounted: string[] = [];
  /** Changes that are still made; then the power goes. */
  changesLeft = Number.POSITIVE_INFINITY;

  constructor(pool: ModelPool) {
    this.#pool = pool;
  }

  readonly run = async (command: readonly string[]): Promise<CommandResult> => {
    const [program = '', verb = ''] = command;
    const isChange = program === 'unshare' || (program === 'zfs' && !READING.has(verb));
    if (isChange && this.changesLeft <= 0) throw new PowerCut();
    if (isChange) {
      this.changesLeft -= 1;
      this.calls.push(command.join(' '));
    }
    if (
      verb === 'rename' &&
      command[2] !== '-u' &&
      this.#pool.get(command.at(-2) ?? '').kind === 'filesystem'
    )
      this.mounted.push(command.at(-1) ?? '');
    try {
      const stdout = runOn(this.#pool, program, command.slice(1));
      return { kind: 'exited', code: 0, stdout, stderr: '' };
    } catch (error) {
      if (!(error instanceof ZfsRefusal)) throw error;
      return { kind: 'exited', code: 1, stdout: '', stderr: `${error.message}\n` };
    }
  };
}

const READING: ReadonlySet<string> = new Set(['list', 'get', 'holds']);
