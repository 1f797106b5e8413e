/** H2 where no watchdog is armed: what else shows that nobody can still write. */
import type { Config } from '../config/index.ts';
import { type ClusterState, unprovenClaims } from '../core/index.ts';

/**
 * DRBD refuses to promote while the old holder can write, or the log proves that the last tenure was released or its node
 * stopped (R5). `mode: off` gives that up by name. A promotion by force asks nobody, so for a node that an operator has forced
 * DRBD is no proof (O3): then every holder must be shown to have stopped, back to one whose takeover DRBD has agreed to, because
 * with DRBD a tenure is granted without a proof about the one before.
 */
export function whyNotUnwatched(config: Config, state: ClusterState, isForced: boolean): string | null {
  if (config.watchdog.mode === 'required')
    return 'watchdog.mode is required, but the cluster was set up without one';
  if (config.watchdog.mode === 'off') return null;
  const hasDrbd = config.resources.some(({ kind }) => kind === 'drbd');
  if (hasDrbd && !isForced) return null;
  const claims = unprovenClaims(state);
  if (claims.length === 0) return null;
  const why = hasDrbd ? 'no watchdog, DRBD is overridden' : 'no watchdog, no DRBD';
  const which = claims.map(({ node, epoch }) => `${node} has released epoch ${epoch}`).join(', nor that ');
  return `${why}, and no proof that ${which} (H2)`;
}
