/** One interface, read by `ip -j addr`. */
import { type LinkState, parseLink } from './ip-json.ts';
import type { LinuxTools, Reading } from './linux-tools.ts';
import type { ActionContext } from './types.ts';

export interface LinkReading {
  /** Null where the interface does not exist. */
  readonly link: LinkState | null;
}

export function readLink(
  tools: LinuxTools,
  name: string,
  context: ActionContext,
): Promise<Reading<LinkReading>> {
  return tools.read<LinkReading>(
    ['ip', '-j', 'addr', 'show', 'dev', name],
    context,
    (text) => {
      const link = parseLink(text, name);
      return link === null ? null : { link };
    },
    ({ stderr }) => (isNoSuchDevice(stderr, name) ? { link: null } : null),
  );
}

/** `ip addr` and `ip link` say it differently. */
export function isNoSuchDevice(stderr: string, name: string): boolean {
  return [`Device "${name}" does not exist.`, `Cannot find device "${name}"`].includes(stderr.trim());
}
