/**
 * Whether the device of a ZFS volume is open, as the kernel answers who wants it alone.
 *
 * An open of a volume waits in the kernel for locks of its pool, and takes one of the process's few threads (libuv's pool) with it;
 * the executor's own files need those. So few are under way at once, also of those that nobody waits for any more, and never two
 * for one volume.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import type { ActionContext, DeviceUse, VolumeDevice } from '../resources/index.ts';

const LIMITS = {
  /** Of one; and of the wait for others, as long as none of them ends. */
  openMs: 2000,
  /** Of four threads. */
  atOnce: 2,
} as const;

/** By path; until the kernel has answered. */
const underWay = new Map<string, Promise<DeviceUse>>();

export async function volumeDevice(
  volume: string,
  { deadline, signal }: ActionContext,
  clock: Clock,
  directory = '/dev/zvol',
  ask: (path: string) => Promise<DeviceUse> = useOf,
): Promise<VolumeDevice> {
  const path = `${directory}/${volume}`;
  const within = async <Value>(waitedFor: Promise<Value>): Promise<Value | 'late'> => {
    const limitMs = Math.min(LIMITS.openMs, Math.max(0, deadline - clock.now()));
    const over = new AbortController();
    const late = clock.sleep(limitMs, AbortSignal.any([signal, over.signal])).then(() => 'late' as const);
    const first = await Promise.race([waitedFor, late]);
    over.abort();
    return first;
  };
  // As long as others come to an end. What an earlier one for the same volume will say is of an earlier moment: it is asked again.
  while (underWay.has(path) || underWay.size >= LIMITS.atOnce) {
    const others = underWay.get(path) ?? Promise.race(underWay.values());
    if (signal.aborted || (await within(others)) === 'late') return { path, use: 'unknown' };
  }
  const asking = ask(path).finally(() => underWay.delete(path));
  underWay.set(path, asking);
  const use = await within(asking);
  return { path, use: use === 'late' ? 'unknown' : use };
}

/** For reading only: that a device is read-only must not look like that somebody has it. */
async function useOf(path: string): Promise<DeviceUse> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_EXCL | constants.O_NONBLOCK);
    await handle.close();
    return 'free';
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'EBUSY') return 'taken';
    return code === 'ENOENT' || code === 'ENXIO' ? 'absent' : 'unknown';
  }
}
