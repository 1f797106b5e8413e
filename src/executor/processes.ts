/** Processes by pid and start time: a pid alone may belong to somebody else by now. Reads /proc, so Linux only. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Clock } from '../clock.ts';

export interface ProcessId {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks from boot. */
  readonly startTime: string;
}

const POLL_MS = 5;

export function ownProcess(): ProcessId {
  return { pid: process.pid, startTime: startTimeOf(process.pid) ?? '0' };
}

/** Null when there is no such process. */
export function startTimeOf(pid: number): string | null {
  return readStat(pid)?.startTime ?? null;
}

/**
 * True when the process, with all its threads, is gone. A zombie whose last thread has ended is gone too: only its
 * parent has not asked for the exit code yet.
 */
export function isGone(id: ProcessId): boolean {
  const stat = readStat(id.pid);
  if (stat === null || stat.startTime !== id.startTime) return true;
  return (stat.state === 'Z' || stat.state === 'X') && threadCount(id.pid) <= 1;
}

/** SIGKILL, then wait; false if it is still there at the end (uninterruptible in the kernel). */
export async function killAndWait(id: ProcessId, limitMs: number, clock: Clock): Promise<boolean> {
  const end = clock.now() + limitMs;
  while (!isGone(id)) {
    if (clock.now() >= end) return false;
    signalProcess(id.pid, 'SIGKILL');
    await clock.sleep(POLL_MS);
  }
  return true;
}

/** Negative pids name groups. True when there was somebody to signal. */
export function signalProcess(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** Processes whose environment holds the variable, this one excluded. */
export function processesWith(variable: string, value: string): number[] {
  const wanted = `${variable}=${value}`;
  return readdirSync('/proc').flatMap((entry) => {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
      if (!`\0${environment}`.includes(`\0${Buffer.from(wanted).toString('latin1')}\0`)) return [];
      return readStat(pid)?.state === 'Z' ? [] : [pid];
    } catch {
      return [];
    }
  });
}

export function groupOf(pid: number): number | null {
  return readStat(pid)?.group ?? null;
}

export function parentOf(pid: number): number | null {
  return readStat(pid)?.parent ?? null;
}

/** True when no living process is left in the group; zombies that nobody reaps do not count. */
export function isGroupGone(group: number): boolean {
  if (!signalProcess(-group, 0)) return true;
  return !readdirSync('/proc').some((entry) => {
    const stat = /^\d+$/.test(entry) ? readStat(Number(entry)) : null;
    return stat !== null && stat.group === group && stat.state !== 'Z' && stat.state !== 'X';
  });
}

interface Stat {
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly startTime: string;
}

function readStat(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the name in parentheses and may contain anything, ")" too.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return {
      state: fields[0] ?? '',
      parent: Number(fields[1]),
      group: Number(fields[2]),
      startTime: fields[19] ?? '',
    };
  } catch {
    return null;
  }
}

function threadCount(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).length;
  } catch {
    return 0;
  }
}
