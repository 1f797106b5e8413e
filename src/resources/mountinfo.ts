/** Reads /proc/self/mountinfo (proc_pid_mountinfo(5)). */
import { firstWords } from './command-error.ts';

export interface MountEntry {
  readonly id: string;
  /** The mount on which it lies. */
  readonly parent: string;
  /** MAJOR:MINOR; 0:N where the file system has no single device of its own (btrfs, tmpfs, NFS). */
  readonly device: string;
  readonly mountPoint: string;
  readonly fstype: string;
  /** Mostly a device's path, as it was when it was mounted. */
  readonly source: string;
}

/** A sentence when it cannot be read. */
export function readMountTable(read: () => string): readonly MountEntry[] | string {
  const cannot = 'the table of mounts cannot be read';
  let text: string;
  try {
    text = read();
  } catch (error) {
    return `${cannot}: ${firstWords(String(error))}`;
  }
  return parseMountinfo(text) ?? `${cannot}: a line is not as documented`;
}

/** In the order of the file, which is the one in which they were made. Null when a line is not as
 * documented, when the last one is cut off, or when not exactly the root lies on nothing in it: then the text is not whole.
 */
export function parseMountinfo(text: string): readonly MountEntry[] | null {
  if (!text.endsWith('\n')) return null;
  const entries = text.slice(0, -1).split('\n').map(readLine);
  const sound = entries.filter((entry) => entry !== null);
  return sound.length === entries.length && rootOf(sound) !== null ? sound : null;
}

/** The first of all mounts: the only one that lies on none of the others. */
function rootOf(entries: readonly MountEntry[]): MountEntry | null {
  const ids = new Set(entries.map(({ id }) => id));
  const [root, ...more] = entries.filter(({ id, parent }) => parent === id || !ids.has(parent));
  return root?.mountPoint === '/' && more.length === 0 ? root : null;
}

/**
 * The mount in which the path lies: walks from the root as the kernel does, and at each component enters what is mounted
 * there. Whatever else has a mount point on the way is covered. Null when the table has no root.
 */
export function mountSeenAt(entries: readonly MountEntry[], path: string): MountEntry | null {
  let seen = rootOf(entries);
  const left = new Set(entries.filter(({ mountPoint }) => isWithin(path, mountPoint)));
  while (seen !== null) {
    left.delete(seen);
    let next: MountEntry | null = null;
    for (const entry of left) {
      if (entry.parent !== seen.id) continue;
      // The nearest one to the root is entered first; of several at one place the last lies on top.
      if (next === null || entry.mountPoint.length <= next.mountPoint.length) next = entry;
    }
    if (next === null) break;
    seen = next;
  }
  return seen;
}

export const isWithin = (path: string, directory: string): boolean =>
  directory === '/' || path === directory || path.startsWith(`${directory}/`);

function readLine(line: string): MountEntry | null {
  const fields = line.split(' ');
  const separator = fields.indexOf('-', 6);
  if (separator < 0 || fields.length !== separator + 4) return null;
  const [id = '', parent = '', device = '', , mountPoint = ''] = fields;
  const [fstype = '', source = ''] = fields.slice(separator + 1);
  const isSound =
    /^\d+$/.test(id) && /^\d+$/.test(parent) && /^\d+:\d+$/.test(device) && mountPoint.startsWith('/');
  if (!isSound || fstype === '') return null;
  return {
    id,
    parent,
    device,
    mountPoint: plain(mountPoint),
    fstype,
    source: plain(source),
  };
}

/** Space, tab, newline and backslash are written as three octal digits. */
function plain(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
