/**
 * Imports a pool, by force only where that destroys nothing.
 *
 * Two hosts that write into one pool destroy it, and ZFS itself knows others only by what their last write has left in the labels:
 * it takes a pool that looks exported, or whose user has its own host id (none, on both; or that of a cloned image), without
 * a word. So, where DRBD does not keep others from writing (O3):
 *
 * 1. Nothing is imported at all without the log's proof that everybody who has held before let go or was stopped (H2, R4).
 * 2. By force only by the takeover that this proof was for: who was stopped may be started again, and then no `-f` is innocent.
 * 3. By force only after a stop: a pool that was released says so, and if it does not, somebody has imported it since.
 *
 * Everywhere, by force only from a member, by name. The reason of a refusal is only in the text (`do_import` of openzfs's
 * zpool_main.c); what is not understood is no reason for force.
 */
import { assert, assertNever } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { commandError, exitError } from './command-error.ts';
import type { LinuxTools } from './linux-tools.ts';
import type { DeviceIdentity } from './mount.ts';
import type { AcquireContext } from './types.ts';

export interface Members {
  readonly ownHost: string;
  /** Host names of the other data nodes. */
  readonly peerHosts: readonly string[];
}

export interface ImportOptions extends Members {
  readonly pool: string;
  /** Devices, or directories of devices: nothing else is looked at. */
  readonly devices: readonly string[];
  /** The DRBD devices that this node is Primary of. */
  readonly below: readonly string[];
  readonly readDevice: (path: string) => DeviceIdentity;
  readonly tools: LinuxTools;
}

interface Judgement {
  readonly mayForce: boolean;
  readonly said: string;
}

export async function importPool(options: ImportOptions, context: AcquireContext): Promise<string> {
  const { pool, devices, tools } = options;
  // Without one, every disk would be read.
  assert(devices.length > 0, `${pool} stands on nothing`);
  const isOnDrbd = areAmong(devices, options);
  const refused = (why: string): QuorateError =>
    new QuorateError('pool-in-use', `${pool} is not imported: ${why}`);
  if (!isOnDrbd && (context.proof ?? 'none') === 'none')
    throw refused(`somebody who has held before ${UNPROVEN}`);
  const words = ['-N', '-o', 'cachefile=none', ...devices.flatMap((device) => ['-d', device]), pool];
  const command = ['zpool', 'import', ...words];
  const result = await tools.run(command, context);
  if (result.kind !== 'exited') throw commandError(command, result);
  const from = `imported from ${devices.join(', ')}`;
  if (result.code === 0) return from;
  const judgement = judge(readRefusal(result.stderr), options, isOnDrbd, context);
  if (judgement === null) throw exitError(command, result.code, result.stderr);
  const { mayForce, said } = judgement;
  if (!mayForce) throw refused(said);
  await tools.must(['zpool', 'import', '-f', ...words], context);
  return `${from} by force: ${said}`;
}

const UNPROVEN =
  'may be writing into it: there is neither DRBD under the pool nor a release or a confirmed stop in the log (R4, R5)';

/** What an import that failed has said. */
type Refusal =
  /** In use, by what was written down last; whether that host is alive, ZFS does not know. */
  | { readonly kind: 'last-used'; readonly host: string; readonly hostId: string }
  /** MMP sees it being written to right now: `-f` would not help, and must not. */
  | { readonly kind: 'active'; readonly said: string }
  | { readonly kind: 'no-host-id' }
  | { readonly kind: 'other' };

function readRefusal(stderr: string): Refusal {
  const active = /pool is imported on .*/.exec(stderr);
  if (active !== null) return { kind: 'active', said: active[0] };
  if (/multihost property on and the\s+system's hostid is not set/.test(stderr))
    return { kind: 'no-host-id' };
  const [, host, hostId] =
    /pool was previously in use from another system\.\nLast accessed by (\S+) \(hostid=([0-9a-f]{1,8})\) at /.exec(
      stderr,
    ) ?? [];
  return host === undefined || hostId === undefined ? { kind: 'other' } : { kind: 'last-used', host, hostId };
}

/** Null: it was not refused for fear of another user. */
function judge(
  refusal: Refusal,
  members: Members,
  isOnDrbd: boolean,
  context: AcquireContext,
): Judgement | null {
  switch (refusal.kind) {
    case 'other':
      return null;
    case 'active':
      return { mayForce: false, said: `${refusal.said}, which writes into it now (multihost)` };
    case 'no-host-id':
      return { mayForce: false, said: 'it is a multihost pool, and this host has no host id (zgenhostid)' };
    case 'last-used': {
      const last = `it was last used by ${refusal.host} (host id ${refusal.hostId})`;
      const why = whyNotMember(refusal.host, members) ?? (isOnDrbd ? null : whyNotStopped(context));
      if (why !== null) return { mayForce: false, said: `${last}: ${why}` };
      return {
        mayForce: true,
        said: `${last}, ${isOnDrbd ? 'and DRBD lets nobody but us write' : 'which was stopped'}`,
      };
    }
    default:
      return assertNever(refusal);
  }
}

function whyNotMember(host: string, { ownHost, peerHosts }: Members): string | null {
  if (host === ownHost)
    return 'that is the name of this host, under another host id: give it a fixed one (zgenhostid), look why, and import the pool by hand once';
  if (peerHosts.includes(host)) return null;
  return `that is no member (${[ownHost, ...peerHosts].join(', ')}): if it is one, its name belongs into "hosts"; if not, it may be using the pool now`;
}

/** Null: the tenure before ours has ended with a confirmed stop (R5), and our takeover is what waited for that. */
function whyNotStopped({ proof, isFirst, previousReleased }: AcquireContext): string | null {
  if (proof !== 'fresh' || isFirst === false)
    return 'it was seen to be stopped before this tenure began, and may have been started since (R5)';
  return previousReleased
    ? 'the release of the tenure before is in the log (R4), and what was released is not in use: somebody has imported it since'
    : null;
}

/** All of them are DRBD's that we are Primary of: nobody else can open them (O3). Not known is not among them. */
function areAmong(devices: readonly string[], { below, readDevice }: ImportOptions): boolean {
  const numberOf = (path: string): string | null => {
    try {
      return readDevice(path).number;
    } catch {
      return null;
    }
  };
  const own = new Set(below.map(numberOf));
  return devices.map(numberOf).every((number) => number !== null && own.has(number));
}
