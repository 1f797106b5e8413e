/** The next `config` entry: what the newest one says, but for what changes (E5, L8). */
import type { ConfigChange, Entry, EntryBody, Timing } from './entry.ts';
import type { CoreNode, Leadership } from './node.ts';
import { assert } from './types.ts';

type ConfigBody = Extract<EntryBody, { kind: 'config' }>;

/** Members and timing change one at a time: why none may begin now, or null (E5). */
export function whyNoChangeNow(node: Readonly<CoreNode>, leadership: Leadership): string | null {
  if (node.commitIndex < leadership.firstIndex) return 'no entry of this term has committed yet (E5)';
  if (node.log.configIndex > node.commitIndex) return 'another membership change is under way (E5)';
  return null;
}

export function rulingConfig(node: Readonly<CoreNode>): ConfigBody | null {
  const body = node.log.at(node.log.configIndex)?.body;
  return body?.kind === 'config' ? body : null;
}

/**
 * L8: what an executor is told before the core runs; null: the log has no config. The newest one on the disk, committed or not: it
 * stands there only after every voter has the promise that it needs, and how far the log is committed the disk may not know.
 */
export function newestTiming(entries: readonly Entry[]): Timing | null {
  const body = entries.findLast((entry) => entry.body.kind === 'config')?.body;
  return body?.kind === 'config' ? body.timing : null;
}

export interface ConfigUpdate extends Partial<Pick<ConfigBody, 'members' | 'removed' | 'timing'>> {
  /** Not there: as it was; null: none any more. */
  readonly goal?: Timing | null;
  /** Not there: the core goes on by itself with what was ordered before. */
  readonly change?: ConfigChange;
}

export function nextConfig(node: Readonly<CoreNode>, update: ConfigUpdate): ConfigBody {
  const ruling = rulingConfig(node);
  assert(ruling !== null, 'a leader has a config');
  const goal = update.goal === undefined ? ruling.goal : update.goal;
  return {
    kind: 'config',
    members: update.members ?? ruling.members,
    removed: update.removed ?? ruling.removed,
    timing: update.timing ?? ruling.timing,
    inSync: null,
    cluster: ruling.cluster,
    ...(goal === undefined || goal === null ? {} : { goal }),
    ...(update.change === undefined ? {} : { change: update.change }),
  };
}
