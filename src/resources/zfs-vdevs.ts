/**
 * What a pool on DRBD stands on besides.
 *
 * By its name alone a pool may be another one, of other disks; and `zpool add`, `attach` or `replace` may have given ours a disk that
 * is not replicated: what is acknowledged on that alone is lost with this host (O3).
 */
import { QuorateError } from '../errors.ts';
import type { LinuxTools, Reading } from './linux-tools.ts';
import type { DeviceIdentity } from './mount.ts';
import type { ActionContext } from './types.ts';

export interface VdevOptions {
  readonly pool: string;
  /** The paths of the DRBD devices below; rejects where they are not known. */
  readonly devicesBelow: (context: ActionContext) => Promise<readonly string[]>;
  /** What a path leads to; throws where it leads nowhere. */
  readonly readDevice: (path: string) => DeviceIdentity;
}

/** Nothing where it does not stand on DRBD. Not to be asked of a suspended pool: the command would hang. */
export async function readBeside(
  { pool, devicesBelow, readDevice }: VdevOptions,
  tools: LinuxTools,
  context: ActionContext,
): Promise<Reading<readonly string[]>> {
  try {
    const below = await devicesBelow(context);
    if (below.length === 0) return { kind: 'read', value: [] };
    return await tools.read(['zpool', 'list', '-v', '-H', '-P', pool], context, (text) => {
      const leaves = parseLeaves(text, pool);
      return leaves === null ? null : beside(leaves, below, readDevice);
    });
  } catch (error) {
    if (error instanceof QuorateError) return { kind: 'unknown', why: error.message };
    throw error;
  }
}

/**
 * Disks and files, by their paths; a missing one by its number. Null where the text is not as `print_list_stats` of openzfs's
 * zpool_main.c writes it: a line of the pool, one per vdev with a tab before it, and headings of classes without one.
 */
export function parseLeaves(text: string, pool: string): readonly string[] | null {
  if (!text.endsWith('\n')) return null;
  const [first = '', ...lines] = text.slice(0, -1).split('\n');
  if (first.split('\t')[0] !== pool) return null;
  const leaves: string[] = [];
  let isCache = false;
  for (const line of lines) {
    const [before, name = '', ...columns] = line.split('\t');
    const heading = /^(dedup|special|logs|cache|spare) +-/.exec(line)?.[1];
    if (heading !== undefined) isCache = heading === 'cache';
    else if (before !== '' || columns.length === 0) return null;
    // A cache has copies only. Of what is made of others (mirror-0) the others are listed too.
    else if (!isCache && /^(\/|\d+$)/.test(name)) leaves.push(name);
  }
  return leaves.length > 0 ? leaves : null;
}

/** Those that are none of these devices, nor a partition of one. */
function beside(
  leaves: readonly string[],
  devices: readonly string[],
  readDevice: (path: string) => DeviceIdentity,
): readonly string[] {
  const pathOf = (path: string): string => {
    try {
      return readDevice(path).path;
    } catch {
      return path;
    }
  };
  const own = new Set(devices.map(pathOf));
  return leaves.filter((leaf) => {
    const path = pathOf(leaf);
    return !own.has(path) && !own.has(path.replace(/p\d+$/, ''));
  });
}
