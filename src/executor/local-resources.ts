/** From a resource's config to what acquires, releases and probes it on this host. */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../clock.ts';
import type { LocalResourceConfig } from '../config/index.ts';
import { assertNever, type Instant, type NodeId } from '../core/index.ts';
import { endAside } from '../replication/index.ts';
import { endReceives as endRegisteredReceives } from '../replication/receiver/index.ts';
import {
  type ActionContext,
  type CommandRunner,
  type DeviceIdentity,
  DrbdResource,
  type DrbdState,
  type FrozenIo,
  type GatewayMemory,
  HookResource,
  InboundResource,
  MountResource,
  type PoolMemory,
  PortBlockResource,
  PortResource,
  ReplicatedPoolResource,
  type Resource,
  RouteTableResource,
  ServiceResource,
  VirtualIpResource,
  ZfsPoolResource,
} from '../resources/index.ts';
import { kernelFiles } from './kernel-files.ts';
import { endReceives } from './receives.ts';
import { volumeDevices } from './volume-device.ts';

export interface LocalParts {
  readonly runner: CommandRunner;
  readonly clock: Clock;
  /** Names this node on this host; a resource's own processes carry it with the resource's name. */
  readonly mark: string;
  /** R1: processes of others that keep a mount busy. Off outside real hosts. */
  readonly mayKill: boolean;
  /** Of the replicated devices that a mount or pool stands on. */
  readonly frozenIo: FrozenIo | null;
  /** Paths of those devices. */
  readonly devicesBelow: (context: ActionContext) => Promise<readonly string[]>;
  readonly otherDataNodes: readonly NodeId[];
  /** What the follower of a DRBD resource has seen last. */
  readonly lastSeen: () => DrbdState | null;
  /** Of a port; one for all objects that are made for it. */
  readonly gatewayMemory: GatewayMemory;
  /** Of a pool; likewise. */
  readonly poolMemory: PoolMemory;
  readonly dataDir: string;
}

const readMounts = (): string => readFileSync('/proc/self/mountinfo', 'utf8');

/** Of `st_rdev`, as glibc's `gnu_dev_major` and `gnu_dev_minor` take it apart. */
export function readDevice(path: string): DeviceIdentity {
  const real = realpathSync(path);
  const status = statSync(real, { bigint: true });
  if (!status.isBlockDevice()) return { path: real, number: null };
  const { rdev } = status;
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return { path: real, number: `${major}:${minor}` };
}

export function localResource(config: LocalResourceConfig, parts: LocalParts): Resource {
  const { runner, clock, lastSeen, mayKill, frozenIo } = parts;
  const shared = { runner, clock };
  const marker = `${parts.mark}#${config.name}`;
  switch (config.kind) {
    case 'drbd':
      return new DrbdResource({ ...shared, name: config.name, resource: config.resource, lastSeen });
    case 'mount':
      return new MountResource({ ...config, ...shared, mayKill, frozenIo, readMounts, readDevice });
    case 'zfs-pool':
      return zfsPool(config, parts);
    case 'replicated-pool': {
      const { poolMemory: memory } = parts;
      return new ReplicatedPoolResource({
        ...{ ...config, ...shared, mayKill, memory, kernel: kernelFiles, readMounts },
        ownPaths: ownPathsOf(parts),
        endReceives: (pool, context) => {
          const endRegistered = (deadline: Instant) => endRegisteredReceives(parts.dataDir, deadline, clock);
          return endReceives(pool, context, { clock, endRegistered });
        },
        endAside: async (pool, { signal }) => {
          const done = await endAside(pool, { commands: runner, clock, signal, mayChange: () => true });
          return done.commands.length === 0 ? null : `ended a set-aside by ${done.commands.length} commands`;
        },
        devices: volumeDevices(clock),
      });
    }
    case 'port':
      return new PortResource({ ...config, ...shared, gatewayMemory: parts.gatewayMemory });
    case 'route-table':
      return new RouteTableResource({ ...config, ...shared });
    case 'virtual-ip':
      return new VirtualIpResource({ ...config, ...shared });
    case 'service':
      return new ServiceResource({ ...config, ...shared, marker });
    case 'hook':
      return new HookResource({ ...config, ...shared, marker });
    case 'port-block':
      return new PortBlockResource({ ...config, ...shared });
    case 'inbound':
      return new InboundResource({ ...config, ...shared });
    default:
      return assertNever(config);
  }
}

/** As it is where it is not there yet. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

const ownPathsOf = ({ dataDir }: Pick<LocalParts, 'dataDir'>): readonly string[] =>
  ['/', dataDir, process.execPath, fileURLToPath(import.meta.url)].map(realPath);

function zfsPool(
  config: Extract<LocalResourceConfig, { kind: 'zfs-pool' }>,
  { runner, clock, mayKill, frozenIo, devicesBelow, otherDataNodes, poolMemory, dataDir }: LocalParts,
): Resource {
  const ownPaths = ownPathsOf({ dataDir });
  const isOther = (id: string): boolean => otherDataNodes.some((other) => other === id);
  const hosts = Object.entries(config.hosts);
  const peerHosts = hosts.flatMap(([id, host]) => (isOther(id) ? [host] : []));
  const ownHost = hosts.find(([id]) => !isOther(id))?.[1] ?? '';
  const shared = {
    runner,
    clock,
    mayKill,
    frozenIo,
    devicesBelow,
    kernel: kernelFiles,
    readMounts,
    readDevice,
  };
  return new ZfsPoolResource({ ...config, ...shared, memory: poolMemory, ownPaths, ownHost, peerHosts });
}
