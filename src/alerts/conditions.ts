/** The warnings of the status page as conditions to tell. Pure. */
import type { PageNews } from '../http/index.ts';
import type { Condition } from './tracker.ts';

/** By the beginning of a warning's key: what the leader tells of the cluster. */
const OF_THE_CLUSTER = /^(nobody|outdated-|redundancy|mirror-|link-|silent-|damaged-)/;
/** Told in another way (a takeover is an event), or no news to anybody. */
const NOT_TOLD = /^(new$|failed-)/;

/**
 * A node that hears no leader knows nothing of the cluster: it says that, and what it knows of itself. Which nodes it cannot
 * reach belongs to that sentence and is no alert of its own.
 */
export function conditionsOf({ state }: Pick<PageNews, 'state'>): Condition[] {
  const { observer } = state;
  return state.warnings.flatMap(({ key, severity, text }): Condition[] => {
    if (severity === 'note' || NOT_TOLD.test(key)) return [];
    const isOwn = !OF_THE_CLUSTER.test(key) || key === `damaged-${observer}`;
    return [{ key: isOwn ? `${observer}/${key}` : key, severity, text, isOwn }];
  });
}
