/** All checks, in the order of the report. */
import { QuorateError } from '../errors.ts';
import { certificatesCheck } from './certificates.ts';
import { clockCheck } from './clock.ts';
import { cloudCheck } from './cloud.ts';
import type { Check } from './context.ts';
import { diskCheck } from './disk.ts';
import { drbdCheck } from './drbd.ts';
import { membersCheck } from './members.ts';
import { networkCheck } from './network.ts';
import { peersCheck } from './peers.ts';
import { protectionCheck } from './protection.ts';
import { releasesCheck } from './releases.ts';
import { replicatedCheck } from './replicated.ts';
import { replicationCheck } from './replication.ts';
import { versionsCheck } from './versions.ts';
import { watchdogCheck } from './watchdog.ts';
import { zfsCheck } from './zfs.ts';

export const CHECKS: readonly Check[] = [
  versionsCheck,
  clockCheck,
  watchdogCheck,
  diskCheck,
  networkCheck,
  certificatesCheck,
  peersCheck,
  membersCheck,
  drbdCheck,
  zfsCheck,
  replicationCheck,
  replicatedCheck,
  cloudCheck,
  protectionCheck,
  releasesCheck,
];

/** What the executor runs by itself. */
export const HARMLESS_CHECKS: readonly Check[] = CHECKS.filter(({ isHarmless }) => isHarmless);

/** Throws `usage` for a name that is none. */
export function checksNamed(names: readonly string[]): readonly Check[] {
  const known = CHECKS.map(({ name }) => name);
  const stranger = names.find((name) => !known.includes(name));
  if (stranger !== undefined)
    throw new QuorateError(
      'usage',
      `--checks: there is no check "${stranger}"; there are ${known.join(', ')}`,
    );
  return CHECKS.filter(({ name }) => names.includes(name));
}
