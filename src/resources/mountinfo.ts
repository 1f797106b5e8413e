/** Reads /proc/self/mountinfo (proc_pid_mountinfo(5)). */

export interface MountEntry {
  readonly mountPoint: string;
  readonly fstype: string;
  /** Mostly a device's path. */
  readonly source: string;
}

/**
 * In the order of the file: of several at one mount point the last is the one that is seen. Null when a line is not as
 * documented, when the last one is cut off, or when there is no root: then the text is not whole.
 */
export function parseMountinfo(text: string): readonly MountEntry[] | null {
  if (!text.endsWith('\n')) return null;
  const entries = text.slice(0, -1).split('\n').map(readLine);
  const isWhole =
    entries.every((entry) => entry !== null) && entries.some((entry) => entry?.mountPoint === '/');
  return isWhole ? entries.filter((entry) => entry !== null) : null;
}

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
