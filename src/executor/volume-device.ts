/**
 * Whether the device of a ZFS volume is open, as the kernel answers who wants it alone; and whether it can be opened at all.
 *
 * An open of a volume waits in the kernel for locks of its pool, and takes one of the process's few threads (libuv's pool) with it;
 * the executor's own files need those. So few are under way at once, also of those that nobody waits for any more, and never two
 * for one volume. And none while somebody looks for who has it open, and kills them: that would be this process too.
 */
import { constants, readdirSync, realpathSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import type { ActionContext, DeviceUse, VolumeDevices } from '../resources/index.ts';

const LIMITS = {
  /** Of one; and of the wait for others, as long as none of them ends. */
  openMs: 2000,
  /** That one of ours is closed again. */
  closeMs: 200,
  /** Of four threads. */
  atOnce: 2,
} as const;

/** For reading only: that a device is read-only must not look like that somebody has it. */
const BESIDE = constants.O_RDONLY | constants.O_NONBLOCK;

/** By the device's own path; until the kernel has answered. */
const underWay = new Map<string, Promise<DeviceUse>>();
/** Likewise; until who looks for others has found them. */
const leftAlone = new Map<string, Promise<unknown>>();

/** `blocks`: where the kernel lists every device of its own, whoever makes links. */
export function volumeDevices(clock: Clock, blocks = '/sys/block'): VolumeDevices {
  return {
    use: (path, context) => askDevice(path, context, clock, (at) => opened(at, BESIDE | constants.O_EXCL)),
    reach: async (path, context) => {
      const said = await askDevice(path, context, clock, (at) => opened(at, BESIDE));
      return said === 'free' ? 'there' : said === 'absent' ? 'absent' : 'unknown';
    },
    leaveAlone: (paths, context, action) => leaveAlone(paths, context, clock, action),
    all: () => readdirSync(blocks).flatMap((name) => (/^zd\d+$/.test(name) ? [`/dev/${name}`] : [])),
    real: realDevice,
  };
}

export async function askDevice(
  path: string,
  context: ActionContext,
  clock: Clock,
  ask: (path: string) => Promise<DeviceUse>,
): Promise<DeviceUse> {
  const device = realDevice(path);
  // As long as others come to an end. What an earlier one for the same volume will say is of an earlier moment: it is asked again.
  for (;;) {
    const isFull = underWay.size >= LIMITS.atOnce;
    const others = inTheWay(device) ?? (isFull ? Promise.race(underWay.values()) : undefined);
    if (others === undefined) break;
    if (context.signal.aborted || (await within(others, context, clock)) === 'late') return 'unknown';
  }
  const asking = ask(path).finally(() => underWay.delete(device));
  underWay.set(device, asking);
  const use = await within(asking, context, clock);
  return use === 'late' ? 'unknown' : use;
}

export async function leaveAlone<Value>(
  paths: readonly string[],
  context: ActionContext,
  clock: Clock,
  action: (paths: readonly string[]) => Promise<Value>,
): Promise<Value> {
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const mine = new Map<string, string>();
  try {
    for (const path of paths) {
      const device = realDevice(path);
      if (mine.has(device)) continue;
      let others = inTheWay(device);
      while (others !== undefined && (await within(others, context, clock, LIMITS.closeMs)) !== 'late')
        others = inTheWay(device);
      // Where the kernel does not answer even us, nobody is looked for.
      if (others !== undefined) continue;
      leftAlone.set(device, ended);
      mine.set(device, path);
    }
    return await action([...mine.values()]);
  } finally {
    for (const device of mine.keys()) leftAlone.delete(device);
    end();
  }
}

const inTheWay = (device: string): Promise<unknown> | undefined =>
  leftAlone.get(device) ?? underWay.get(device);

async function within<Value>(
  waitedFor: Promise<Value>,
  { deadline, signal }: ActionContext,
  clock: Clock,
  mostMs: number = LIMITS.openMs,
): Promise<Value | 'late'> {
  const limitMs = Math.min(mostMs, Math.max(0, deadline - clock.now()));
  const over = new AbortController();
  const late = clock.sleep(limitMs, AbortSignal.any([signal, over.signal])).then(() => 'late' as const);
  const first = await Promise.race([waitedFor, late]);
  over.abort();
  return first;
}

function realDevice(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

async function opened(path: string, flags: number): Promise<DeviceUse> {
  try {
    const handle = await open(path, flags);
    await handle.close();
    return 'free';
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'EBUSY') return 'taken';
    return code === 'ENOENT' || code === 'ENXIO' ? 'absent' : 'unknown';
  }
}
