/** Processes by pid and start time: a pid alone may belong to somebody else by now. Reads /proc, so Linux only. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Clock } from '../clock.ts';

export interface ProcessId {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks from boot. */
  readonly startTime: string;
}

/** USER_HZ: of start times in /proc, on every architecture that Node runs on. */
export const TICKS_PER_SECOND = 100;
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

/** SIGKILL until it is gone, with the group that it leads; never before, however long the kernel keeps it. */
export async function killUntilGone(id: ProcessId, clock: Clock): Promise<void> {
  while (!isGone(id)) {
    signalProcess(-id.pid, 'SIGKILL');
    signalProcess(id.pid, 'SIGKILL');
    await clock.sleep(POLL_MS);
  }
}

export function childrenOf(parent: number): ProcessId[] {
  return allPids().flatMap((pid) => {
    const stat = readStat(pid);
    return stat?.parent === parent ? [{ pid, startTime: stat.startTime }] : [];
  });
}

/** By a signal, and not only asked to. */
export function isStopped(pid: number): boolean {
  return readStat(pid)?.state === 'T';
}

/**
 * `marked`: whose environment has one of these `NAME=value`. `unknown`: who shows none and may have been started since then,
 * as a process in the middle of an exec.
 */
export function processesWithAny(
  marks: readonly string[],
  sinceTicks: number,
): { readonly marked: number[]; readonly unknown: number[] } {
  const marked: number[] = [];
  const unknown: number[] = [];
  for (const pid of allPids()) {
    if (pid === process.pid) continue;
    const stat = readStat(pid);
    if (stat === null || stat.state === 'Z' || stat.state === 'X') continue;
    const environment = readEnvironment(pid);
    if (marks.some((mark) => environment?.includes(`\0${mark}\0`))) marked.push(pid);
    // Kernel threads have no memory, and no environment.
    else if (environment === '\0' && stat.hasMemory && Number(stat.startTime) >= sinceTicks)
      unknown.push(pid);
  }
  return { marked, unknown };
}

/** Processes whose environment holds the variable, this one excluded. */
export function processesWith(variable: string, value: string): number[] {
  const wanted = `${variable}=${value}`;
  const mark = `\0${Buffer.from(wanted).toString('latin1')}\0`;
  return allPids().filter(
    (pid) =>
      pid !== process.pid && readEnvironment(pid)?.includes(mark) === true && readStat(pid)?.state !== 'Z',
  );
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
  return !allPids().some((pid) => {
    const stat = readStat(pid);
    return stat !== null && stat.group === group && stat.state !== 'Z' && stat.state !== 'X';
  });
}

export function allPids(): number[] {
  return readdirSync('/proc').flatMap((entry) => (/^\d+$/.test(entry) ? [Number(entry)] : []));
}

/** Each variable between two zero bytes; null when there is no such process, or it is not ours to see. */
function readEnvironment(pid: number): string | null {
  try {
    return `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}`;
  } catch {
    return null;
  }
}

interface Stat {
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly startTime: string;
  readonly hasMemory: boolean;
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
      hasMemory: Number(fields[20]) > 0,
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
