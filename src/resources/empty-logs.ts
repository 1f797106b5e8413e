/**
 * Whether anything can be in the intent logs of a replicated pool's datasets, told by a word on the pool: what is in such a log, and cannot
 * be replayed because its key is not loaded or it has no device, no stream may throw away (replication/receiver/replay.ts).
 *
 * 1. The tenure began with all of them empty: this node has received since everything was in common, or has closed them itself. A
 *    takeover replays what it mounts; what stays locked may have the log of an earlier tenure, whatever this one does.
 * 2. Its orderly release has ended: what is unmounted, and closed by everybody, has an empty log. After an abrupt one nothing is said.
 * 3. The word has the epoch of `quorate:written`, and holds for that alone. What opens the pool takes it away in the same command.
 * 4. (1) is remembered by the process that opened the pool: after a power cut nobody says it.
 */
import type { Clock } from '../clock.ts';
import { type Epoch, instant } from '../core/index.ts';
import type { LinuxTools } from './linux-tools.ts';
import { WRITTEN } from './replicated-datasets.ts';
import type { ActionContext } from './types.ts';

/** On the pool's own file system, beside `quorate:written`: of that epoch (2), or `no`. */
export const CLOSED = 'quorate:closed';
/** Of the holder's order after everything has arrived (replication/roles/complete.ts). */
export const COMPLETE = 'quorate:complete';

/** (3) */
export const NOT_CLOSED = `${CLOSED}=no`;

/** The word only spares a tail that has nothing: no release waits longer for it. */
const LIMIT_MS = 5000;

export interface EmptyLogsParts {
  readonly pool: string;
  readonly tools: LinuxTools;
  readonly clock: Clock;
  /** (4) Of the tenure that began so. */
  readonly memory: { emptyLogsIn: Epoch | null };
}

export class EmptyLogs {
  readonly #parts: EmptyLogsParts;

  constructor(parts: EmptyLogsParts) {
    this.#parts = parts;
  }

  /** Before anything is opened. */
  async begin(epoch: Epoch | undefined, context: ActionContext): Promise<void> {
    const { pool, tools, memory } = this.#parts;
    if (epoch !== undefined && memory.emptyLogsIn === epoch) return;
    memory.emptyLogsIn = null;
    const words = await tools.read(wordsCommand(pool), this.#shortly(context), areEmpty);
    if (epoch !== undefined && words.kind === 'read' && words.value) memory.emptyLogsIn = epoch;
  }

  /** When an orderly release has ended. Its failure is no failure of that. */
  async close(context: ActionContext): Promise<void> {
    const { pool, tools, memory } = this.#parts;
    if (memory.emptyLogsIn === null) return;
    await tools.run(['zfs', 'set', `${CLOSED}=${memory.emptyLogsIn}`, pool], this.#shortly(context));
  }

  /** In an abrupt release. */
  forget(): void {
    this.#parts.memory.emptyLogsIn = null;
  }

  #shortly({ deadline, signal }: ActionContext): ActionContext {
    return { deadline: instant(Math.min(deadline, this.#parts.clock.now() + LIMIT_MS)), signal };
  }
}

const WORDS = [WRITTEN, CLOSED, COMPLETE] as const;

const wordsCommand = (pool: string): string[] => [
  ...['zfs', 'get', '-H', '-p', '-o', 'property,value,source', WORDS.join(',')],
  pool,
];

/** (1) Null where it is not understood. Only what was set here counts. */
export function areEmpty(text: string): boolean | null {
  const lines = text.endsWith('\n') ? text.slice(0, -1).split('\n') : [];
  const cells = lines.map((line) => line.split('\t'));
  if (cells.length !== WORDS.length || cells.some(([name], at) => name !== WORDS[at])) return null;
  const [written, closed, complete] = cells.map(([, value = '', source]) =>
    source === 'local' ? value : null,
  );
  return written === null ? complete !== null : closed === written;
}
