/**
 * What runs already when a tenure starts it was started by somebody else, on what was there instead of its data. A start would
 * leave it so (`systemctl start` says that all is well), and it would write beside its data for the whole tenure: it is ended first.
 */
import type { Clock } from '../clock.ts';
import { instant } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { AcquireContext, ProbeResult, Resource } from './types.ts';

/** For the look before the first start: a probe that hangs must not cost the takeover. */
const LOOK_LIMIT_MS = 3000;

/** Before the first start of a tenure. Throws `release-unverified` where it cannot be ended. */
export async function endStray(
  resource: Pick<Resource, 'name' | 'probe' | 'release'>,
  { deadline, signal, isFirst = false }: AcquireContext,
  clock: Clock,
): Promise<void> {
  if (!isFirst) return;
  const look = (): Promise<ProbeResult> =>
    resource.probe({ deadline: instant(Math.min(deadline, clock.now() + LOOK_LIMIT_MS)), signal });
  if ((await look()).probe !== 'held') return;
  // mark: stray-service-ended
  const said = await resource.release({ mode: 'abrupt', deadline, signal });
  const { probe, detail } = await look();
  if (probe === 'not-held') return;
  throw new QuorateError(
    'release-unverified',
    `${resource.name} ran before it was started, and cannot be stopped: ${detail} (${said})`,
  );
}
