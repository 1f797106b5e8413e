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
  const limitMs = Math.min(LIMITS.openMs, Math.max(0, deadline - clock.now()));
  const over = new AbortController();
  let isLate = false;
  const late = clock.sleep(limitMs, AbortSignal.any([signal, over.signal])).then((): DeviceUse => {
    isLate = true;
    return 'unknown';
  });
  try {
    // What an earlier one for the same volume will say is of an earlier moment: it is waited for, and asked again.
    while (!isLate && (underWay.has(path) || underWay.size >= LIMITS.atOnce)) {
      const own = underWay.get(path);
      await Promise.race([...(own === undefined ? underWay.values() : [own]), late]);
    }
    if (isLate) return { path, use: 'unknown' };
    const asking = ask(path).finally(() => underWay.delete(path));
    underWay.set(path, asking);
    return { path, use: await Promise.race([asking, late]) };
  } finally {
    over.abort();
  }
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
