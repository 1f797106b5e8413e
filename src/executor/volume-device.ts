/** Whether the device of a ZFS volume is open, as the kernel answers who wants it alone. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import type { ActionContext, DeviceUse, VolumeDevice } from '../resources/index.ts';

/** An open of a volume waits for locks of the pool; in the thread pool, so that nobody else waits with it. */
const OPEN_LIMIT_MS = 2000;

export async function volumeDevice(
  volume: string,
  { deadline, signal }: ActionContext,
  clock: Clock,
  directory = '/dev/zvol',
): Promise<VolumeDevice> {
  const path = `${directory}/${volume}`;
  const limitMs = Math.min(OPEN_LIMIT_MS, Math.max(0, deadline - clock.now()));
  const over = new AbortController();
  const late = clock.sleep(limitMs, AbortSignal.any([signal, over.signal])).then((): DeviceUse => 'unknown');
  const use = await Promise.race([useOf(path), late]);
  over.abort();
  return { path, use };
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
