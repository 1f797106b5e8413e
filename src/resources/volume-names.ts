/**
 * Which volumes the devices are of, as the kernel says: where nobody makes the links of /dev/zvol, for want of udev or by its delay,
 * a volume's device is found by nothing else.
 */
import { firstWords } from './command-error.ts';
import type { LinuxTools } from './linux-tools.ts';
import type { ActionContext } from './types.ts';
import type { VolumeDevices } from './volume-users.ts';

/** What the rules of udev ask too, from the package of the links themselves; it opens the device, and prints the name for the link. */
export const ZVOL_ID = '/lib/udev/zvol_id';
const LIMITS = { atOnce: 4, devices: 1024 } as const;

export interface VolumeNames {
  /** By the name that a link would have. */
  readonly paths: ReadonlyMap<string, string>;
  /** Why there may be more; null: every device has been asked, and has answered. */
  readonly lacks: string | null;
}

/** In a link's name a blank is "+", which no name of a dataset has. */
export const linkName = (volume: string): string => volume.replaceAll(' ', '+');

export async function volumeNames(
  candidates: readonly string[],
  devices: Pick<VolumeDevices, 'reach' | 'all'>,
  tools: LinuxTools,
  context: ActionContext,
): Promise<VolumeNames> {
  const paths = new Map<string, string>();
  let lacks =
    candidates.length > LIMITS.devices ? `there are more than ${LIMITS.devices} devices of volumes` : null;
  const queue = candidates.slice(0, LIMITS.devices).values();
  const ask = async (): Promise<void> => {
    for (const path of queue) {
      const found = await nameOf(path, devices, tools, context);
      if (found.kind === 'named') paths.set(found.name, path);
      else if (found.kind === 'unknown') lacks ??= found.why;
    }
  };
  await Promise.all(Array.from({ length: LIMITS.atOnce }, ask));
  return { paths, lacks };
}

type Named =
  | { readonly kind: 'named'; readonly name: string }
  | { readonly kind: 'gone' }
  | { readonly kind: 'unknown'; readonly why: string };

/**
 * A device whose pool hangs would keep a process for each time that it is asked, beyond the reach of a kill: so it is opened first
 * by what bears that.
 */
async function nameOf(
  path: string,
  devices: Pick<VolumeDevices, 'reach' | 'all'>,
  tools: LinuxTools,
  context: ActionContext,
): Promise<Named> {
  const first = await devices.reach(path, context);
  if (first === 'absent') return goneOr(path, devices, 'it cannot be opened here');
  if (first === 'unknown') return { kind: 'unknown', why: `${path} cannot be opened in time` };
  const said = await tools.read(
    [ZVOL_ID, path],
    context,
    (text) => /^([^\s/]+(?:\/[^\s/]+)*)\n$/.exec(text)?.[1] ?? null,
  );
  if (said.kind === 'read') return { kind: 'named', name: said.value };
  return (await devices.reach(path, context)) === 'absent'
    ? goneOr(path, devices, said.why)
    : { kind: 'unknown', why: said.why };
}

/** R2: what the kernel lists still has only no node in this /dev. */
function goneOr(path: string, devices: Pick<VolumeDevices, 'all'>, why: string): Named {
  try {
    return devices.all().includes(path) ? { kind: 'unknown', why: `${path}: ${why}` } : { kind: 'gone' };
  } catch (error) {
    return { kind: 'unknown', why: firstWords(String(error)) };
  }
}
