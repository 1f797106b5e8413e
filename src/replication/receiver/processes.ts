/**
 * Processes by pid and start time, and by a mark in their environment: a pid alone may belong to somebody else by now.
 * (`src/executor` has its own, which what is here may not import: the executor ends receives itself.)
 */
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessId {
  readonly pid: number;
  /** Clock ticks from boot, field 22 of /proc/PID/stat. */
  readonly startTime: string;
}

interface Stat {
  readonly state: string;
  readonly startTime: string;
}

/** Null when there is no such process. Throws where that cannot be found out: too many open files are not "gone". */
function statOf(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the name in parentheses and may contain anything, ")" too.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', startTime: fields[19] ?? '' };
  } catch (error) {
    if (isOneOf(error, GONE)) return null;
    throw error;
  }
}

/** ESRCH: it has ended between the open and the read. */
const GONE = ['ENOENT', 'ESRCH'];
const HIDDEN = ['EACCES', 'EPERM'];

const isOneOf = (error: unknown, codes: readonly string[]): boolean =>
  codes.includes((error as NodeJS.ErrnoException).code ?? '');

export function processOf(pid: number): ProcessId | null {
  const stat = statOf(pid);
  return stat === null ? null : { pid, startTime: stat.startTime };
}

/** A zombie has let go of everything: only its parent has not asked for its end yet. */
export function isAlive({ pid, startTime }: ProcessId): boolean {
  const stat = statOf(pid);
  return stat !== null && stat.startTime === startTime && stat.state !== 'Z' && stat.state !== 'X';
}

export function kill(id: ProcessId, signal: NodeJS.Signals): void {
  if (!isAlive(id)) return;
  try {
    process.kill(id.pid, signal);
  } catch {
    // It has just ended.
  }
}

/** Living processes whose environment has `NAME=value`, this one excluded. Throws where one cannot be looked at. */
export function markedProcesses(name: string, value: string): readonly ProcessId[] {
  const mark = `\0${Buffer.from(`${name}=${value}`).toString('latin1')}\0`;
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) return [];
    try {
      if (!`\0${readFileSync(`/proc/${entry}/environ`, 'latin1')}`.includes(mark)) return [];
    } catch (error) {
      // Not ours to see: then it is not ours either.
      if (isOneOf(error, [...GONE, ...HIDDEN])) return [];
      throw error;
    }
    const id = processOf(Number(entry));
    return id !== null && isAlive(id) ? [id] : [];
  });
}
