/** H2 where no watchdog is armed: what else shows that nobody can still write. */
import type { Config } from '../config/index.ts';
import type { ClusterState } from '../core/index.ts';

/**
 * DRBD refuses to promote while the old holder can write, or the log proves that the last tenure was released or its node
 * stopped (R5). `mode: off` gives that up by name. A promotion by force asks nobody, so for a node that an operator has forced
 * DRBD is no proof (O3).
 */
export function whyNotUnwatched(config: Config, state: ClusterState, isForced: boolean): string | null {
  if (config.watchdog.mode === 'required')
    return 'watchdog.mode is required, but the cluster was set up without one';
  if (config.watchdog.mode === 'off') return null;
  const hasDrbd = config.resources.some(({ kind }) => kind === 'drbd');
  if (hasDrbd && !isForced) return null;
  if (state.tenure === null || state.tenure.released || state.tenure.fenced) return null;
  const why = hasDrbd ? 'no watchdog, DRBD is overridden' : 'no watchdog, no DRBD';
  return `${why}, and no proof that ${state.tenure.node} has released epoch ${state.tenure.epoch} (H2)`;
}
