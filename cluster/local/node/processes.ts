/**
 * All processes of one local node, found by a variable in their environment that every child inherits: what a
 * node's kernel would take with it. Everything here is synchronous, so that it also runs in an exit handler.
 *
 * A process is gone when its entry in /proc is, or when it is a zombie without further threads: by then the
 * kernel has closed its files.
 */
import { readdirSync, readFileSync } from 'node:fs';

export const NODE_VARIABLE = 'QUORATE_LOCAL_NODE';

const SCANS_LIMIT = 1_000;
const GONE_TIMEOUT_MS = 5_000;

const now = (): number => Number(process.hrtime.bigint()) / 1e6;

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function readProc(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}

/** Process ids whose environment says that they belong to `tag` (`<cluster>/<node>`). */
export function findProcesses(tag: string): number[] {
  const needle = `${NODE_VARIABLE}=${tag}`;
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    if (readProc(`/proc/${name}/environ`)?.split('\0').includes(needle)) found.push(Number(name));
  }
  return found;
}

export function isGone(pid: number): boolean {
  const stat = readProc(`/proc/${pid}/stat`);
  if (stat === null) return true;
  const state = stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  if (state === 'X') return true;
  if (state !== 'Z') return false;
  try {
    return readdirSync(`/proc/${pid}/task`).length <= 1;
  } catch {
    return true;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Already gone.
  }
}

/** Signals every process of the node until a scan finds no new one: a process may fork just before it stops. */
function signalUntilStable(tag: string, name: NodeJS.Signals): Set<number> {
  const seen = new Set<number>();
  for (let scans = 0; scans < SCANS_LIMIT; scans += 1) {
    const fresh = findProcesses(tag).filter((pid) => !seen.has(pid));
    if (fresh.length === 0) return seen;
    for (const pid of fresh) {
      signal(pid, name);
      seen.add(pid);
    }
  }
  throw new Error(`the processes of ${tag} did not become stable`);
}

export function stopProcesses(tag: string): number {
  return signalUntilStable(tag, 'SIGSTOP').size;
}

export function continueProcesses(tag: string): number {
  return signalUntilStable(tag, 'SIGCONT').size;
}

/** Cuts the node's power. Nothing of it runs any more when this returns; throws if something survives. */
export function killProcesses(tag: string): number {
  const pids = signalUntilStable(tag, 'SIGSTOP');
  for (const pid of pids) signal(pid, 'SIGKILL');
  const deadline = now() + GONE_TIMEOUT_MS;
  while (now() < deadline) {
    const late = findProcesses(tag);
    if ([...pids].every(isGone) && late.length === 0) return pids.size;
    // Whoever supervises the node may start something again before it hears of the power cut.
    for (const pid of late) signal(pid, 'SIGKILL');
    sleep(1);
  }
  throw new Error(`processes of ${tag} outlived their power cut: ${findProcesses(tag).join(' ')}`);
}
