/**
 * Imports a pool, by force only where that destroys nothing.
 *
 * `-f` imports whatever another host does with the pool at this moment: two hosts that write into one pool destroy it. So it takes
 * both: that the pool was last used by a member, by name; and that this member can write into it no more. The reason of a
 * refusal is only in the text (`do_import` of openzfs's zpool_main.c); what is not understood is no reason for force.
 */
import { assert, assertNever } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { commandError, exitError } from './command-error.ts';
import type { LinuxTools } from './linux-tools.ts';
import type { DeviceIdentity } from './mount.ts';
import type { AcquireContext } from './types.ts';

/** Of the kernel's list of block devices. */
const DRBD_NUMBER = /^147:/;

export interface Members {
  readonly ownHost: string;
  /** Host names of the other data nodes. */
  readonly peerHosts: readonly string[];
}

export interface ImportOptions extends Members {
  readonly pool: string;
  /** Devices, or directories of devices: nothing else is looked at. */
  readonly devices: readonly string[];
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
  const words = ['-N', '-o', 'cachefile=none', ...devices.flatMap((device) => ['-d', device]), pool];
  const command = ['zpool', 'import', ...words];
  const result = await tools.run(command, context);
  if (result.kind !== 'exited') throw commandError(command, result);
  const from = `imported from ${devices.join(', ')}`;
  if (result.code === 0) return from;
  const judgement = judge(readRefusal(result.stderr), options, context);
  if (judgement === null) throw exitError(command, result.code, result.stderr);
  const { mayForce, said } = judgement;
  if (!mayForce) throw new QuorateError('pool-in-use', `${pool} is not imported: ${said}`);
  await tools.must(['zpool', 'import', '-f', ...words], context);
  return `${from} by force: ${said}`;
}

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
  options: ImportOptions,
  { hasProof = false }: AcquireContext,
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
      const isOnDrbd = options.devices.every((device) => isDrbd(device, options));
      const why = whyNotByForce(refusal.host, options, isOnDrbd || hasProof);
      if (why !== null) return { mayForce: false, said: `${last}: ${why}` };
      return {
        mayForce: true,
        said: `${last}, ${isOnDrbd ? 'and DRBD lets nobody but us write' : 'which has let go'}`,
      };
    }
    default:
      return assertNever(refusal);
  }
}

/** Null: it may. `isOver`: DRBD opens its devices for the Primary only (O3), or the log has the proof (R4, R5). */
function whyNotByForce(host: string, { ownHost, peerHosts }: Members, isOver: boolean): string | null {
  if (host === ownHost)
    return 'that is the name of this host, under another host id: give it a fixed one (zgenhostid), look why, and import the pool by hand once';
  if (!peerHosts.includes(host))
    return `that is no member (${[ownHost, ...peerHosts].join(', ')}): if it is one, its name belongs into "hosts"; if not, it may be using the pool now`;
  if (isOver) return null;
  return 'nothing shows that it has let go: neither DRBD under the pool nor a release or a confirmed stop in the log (R4, R5)';
}

/** Not known is not DRBD's. */
function isDrbd(device: string, { readDevice }: ImportOptions): boolean {
  try {
    return DRBD_NUMBER.test(readDevice(device).number ?? '');
  } catch {
    return false;
  }
}
