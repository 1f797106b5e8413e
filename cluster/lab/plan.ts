/** The agents' configs, DRBD's resource, and the first state of the cloud. Pure. */
import { leastPromiseMs } from '../../src/core/index.ts';
import { renderDrbdFile } from '../../src/resources/index.ts';
import type { ControllerStateInput } from '../local/controller/index.ts';
import type { Patience } from '../local/demo/writer.ts';
import type { StandbyOptions, StoreScripts } from '../local/store/index.ts';
import type { RouterOptions } from '../network/index.ts';
import { type Export, fileServices } from './file-services.ts';
import {
  CONTROLLER,
  DATA_NODES,
  type DataNode,
  ELASTIC_IP,
  gatewayOf,
  managementAddress,
  NODES,
  type NodeName,
  PORT,
  replAddress,
  routerPort,
  serviceAddress,
  zoneOf,
} from './hosts.ts';

export const ALLOCATION = 'eipalloc-0a10c001';
export const REGION = 'us-east-1';
const INTERFACES: Readonly<Record<DataNode, string>> = { a: 'eni-0000000a', b: 'eni-0000000b' };
const INSTANCES: Readonly<Record<NodeName, string>> = { a: 'i-0000000a', b: 'i-0000000b', w: 'i-0000000c' };
/** By the number of the volume, which is the minor number too. */
export const drbdDevice = (volume: number): string => `/dev/drbd${volume}`;
const dataDisk = (volume: number): string => `/dev/lab/data${volume}`;
const MIB = 1024 * 1024;

/**
 * What is on DRBD: ext4, a pool of ZFS, or nothing: the store's records lie on the device itself, as a database or a disk for iSCSI
 * would. A file system has the same mount point either way, and its resource the same name.
 */
export const STORAGES = {
  raw: { volumes: 1, disks: 1, diskBytes: 64 * MIB },
  ext4: { volumes: 1, disks: 1, diskBytes: 64 * MIB },
  /** Over two volumes of one resource. A pool takes no device below 64 MiB, and keeps some of it back. */
  zfs: { volumes: 2, disks: 2, diskBytes: 128 * MIB },
  /** The store on ext4 as usual; and on a disk of each node's own a pool that snapshots keep alike (docs/replication.md). */
  replicated: { volumes: 1, disks: 2, diskBytes: 2048 * MIB },
} as const;
/** Those that need ZFS in the guests. */
export const isOnZfs = (storage: StorageName): boolean => storage === 'zfs' || storage === 'replicated';
export type StorageName = keyof typeof STORAGES;
export const POOL = 'tank';
export const MOUNT_POINT = '/srv/data';
/** Of the pool's volume that is an iSCSI disk: without udev there is no other name. */
export const VOLUME_DEVICE = '/dev/zd0';
const STORE_BLOCKS = 4096;
/** Of the store, and of somebody who is in the way of a release. */
export const fileOn = (storage: StorageName, name: string): string =>
  storage === 'raw' ? drbdDevice(0) : `${MOUNT_POINT}/${name}`;

export const interfaceOf = (node: DataNode): string => INTERFACES[node];
export const instanceOf = (node: NodeName): string => INSTANCES[node];
export const nodeOfInterface = (id: string | null | undefined): DataNode | null =>
  DATA_NODES.find((node) => INTERFACES[node] === id) ?? null;

/** The names of the resources, by what they are: for the split of a takeover. */
export const RESOURCES = {
  drbd: ['block'],
  pool: ['data', 'tank'],
  address: ['port2', 'eip'],
  service: ['store', 'nfs', 'target', 'door'],
} as const;

/**
 * `product`: heartbeat and lease are the product's own defaults. `patient`: for a machine that is slow, or busy with other
 * things. D was measured, as an installation must: on a kernel that is itself a process every page fault costs 0.1 ms, and
 * a fork of a Node process a thousand of them. W covers a start's verification, during which it is not petted. `emulated`: for
 * guests whose processor is a program: starting any command takes half a second there, Node.js with the product ten.
 */
export const TIMINGS = {
  product: { heartbeatMs: 100, leaseMs: 600, releaseMs: 3_000, watchdogS: 2 },
  patient: { heartbeatMs: 250, leaseMs: 3_000, releaseMs: 8_000, watchdogS: 4 },
  emulated: { heartbeatMs: 1_000, leaseMs: 15_000, releaseMs: 30_000, watchdogS: 10 },
} as const;
export type TimingName = keyof typeof TIMINGS;
/** Of the product, where the config says nothing. */
const GUARD_MS = 25;
const CLOCK_ERROR_RATE = 0.005;

/** L5. */
export function promiseMs(name: TimingName, watchdog: WatchdogName): number {
  const { watchdogS, ...timing } = TIMINGS[name];
  return leastPromiseMs({
    ...timing,
    guardMs: GUARD_MS,
    watchdogTimeoutMs: watchdog === 'off' ? null : watchdogS * 1_000,
    clockErrorRate: CLOCK_ERROR_RATE,
  });
}

/** How hard the lab itself may press its guests, which have one processor each, and how long it waits for them. */
export interface Pace {
  /** Without one the writer keeps that of both data nodes busy, and nothing else runs in time. */
  readonly writePauseMs: number;
  /** So many make sure that the client is served. */
  readonly someWrites: number;
  /** Of the writer: then it connects anew and asks again. */
  readonly patience: Patience;
  /** Of the observer, between two looks. */
  readonly lookPauseMs: number;
  /** A guest that has not answered a look by then is not heard of. */
  readonly lookLimitMs: number;
  /** An agent that answers in that time is through with its start. */
  readonly quickMs: number;
  /** Between two looks for what a scenario waits for: a status, or a list of ZFS's, that takes a guest's processor from what is waited for. */
  readonly waitPauseMs: number;
}

const LIVELY: Pace = {
  writePauseMs: 20,
  someWrites: 20,
  patience: { answerMs: 1_000, connectMs: 250 },
  lookPauseMs: 100,
  lookLimitMs: 500,
  quickMs: 300,
  waitPauseMs: 300,
};
export const PACES: Readonly<Record<TimingName, Pace>> = {
  product: LIVELY,
  patient: LIVELY,
  emulated: {
    writePauseMs: 1_000,
    someWrites: 5,
    patience: { answerMs: 10_000, connectMs: 3_000 },
    lookPauseMs: 500,
    lookLimitMs: 3_000,
    quickMs: 2_000,
    waitPauseMs: 3_000,
  },
};

/**
 * `store`: the store alone. `files`: the kernel's NFS server beside it, behind a door (port-block); on DRBD an iSCSI target too.
 */
export const SERVICES = ['store', 'files'] as const;
export type ServiceName = (typeof SERVICES)[number];

/** `off`: what outlives D ends by sysrq alone (R1). */
export const WATCHDOGS = ['softdog', 'off'] as const;
export type WatchdogName = (typeof WATCHDOGS)[number];

/** What carries snapshots, where there are any. */
export const CHANNELS = ['ssh', 'grpc'] as const;
export type ChannelName = (typeof CHANNELS)[number];

/** What all hosts of a lab have in common. */
export interface HostPlan {
  readonly cluster: string;
  readonly timing: TimingName;
  readonly storage: StorageName;
  readonly services: ServiceName;
  readonly watchdog: WatchdogName;
  readonly channel: ChannelName;
}

export function planConfig(
  { cluster, timing: timingName, storage, services, watchdog, channel }: HostPlan,
  node: NodeName,
  scripts: StoreScripts,
): Record<string, unknown> {
  const timing = TIMINGS[timingName];
  const member = (id: NodeName) => ({
    zone: zoneOf(id),
    peer: `${replAddress(id)}:${PORT.peer}`,
    ...(id === 'w' ? { witness: true } : {}),
  });
  return {
    cluster,
    node,
    data_dir: '/var/lib/quorate/data',
    members: Object.fromEntries(NODES.map((id) => [id, member(id)])),
    timing: {
      heartbeat: `${timing.heartbeatMs}ms`,
      lease: `${timing.leaseMs}ms`,
      release: `${timing.releaseMs}ms`,
    },
    tls: { ca: 'ca.pem', cert: 'node.pem', key: 'node.key' },
    // On the management port, where operators are.
    admin: { listen: `${managementAddress(node)}:${PORT.admin}` },
    // softdog; user-mode Linux has no sysfs files for it, so W is said here.
    watchdog:
      watchdog === 'off'
        ? { mode: 'off' }
        : { device: '/dev/lab/watchdog', mode: 'required', timeout: `${timing.watchdogS}s` },
    fencing: { ec2_stop: 'off' },
    cloud: { region: REGION, endpoint: `http://${CONTROLLER.host}:${CONTROLLER.port}` },
    ...(storage === 'replicated' ? replicated(channel) : {}),
    resources: [
      ...resources(storage, scripts),
      ...(storage === 'replicated' ? [{ name: 'tank', kind: 'replicated-pool', pool: POOL, after: [] }] : []),
      ...(services === 'files' ? fileServices(exportOf(storage)) : []),
    ],
  };
}

const FILE_SYSTEM: Readonly<Record<StorageName, Record<string, unknown> | null>> = {
  raw: null,
  ext4: { kind: 'mount', device: drbdDevice(0), mount_point: MOUNT_POINT, fstype: 'ext4' },
  zfs: { kind: 'zfs-pool', pool: POOL },
  replicated: { kind: 'mount', device: drbdDevice(0), mount_point: MOUNT_POINT, fstype: 'ext4' },
};
/** Of the replicated pool's own file system; its children lie below. */
export const REPLICATED_MOUNT = '/srv/tank';
/** What NFS serves of it. */
export const SHARE = `${POOL}/share`;
export const SHARE_MOUNT = `${REPLICATED_MOUNT}/share`;
/** Twice the product's own: a stream of nothing takes an emulated guest four seconds, and a scenario has 22 datasets. */
const REPLICATION_PERIOD = '120s';
/** More than a scenario sees: it looks whether anything was destroyed. */
const KEPT_SNAPSHOTS = 100;

/** Snapshots in the config's words: as long as the newest copy is no older than that, a failover goes on by itself. */
const replicated = (channel: ChannelName): Record<string, unknown> => ({
  max_data_loss: '1h',
  replication: {
    pools: [POOL],
    // An emulated guest takes a third of a second for ten snapshots, and its receiver ends a set-aside before it answers.
    send: { period: REPLICATION_PERIOD, keep: { last: KEPT_SNAPSHOTS }, answer: '4min' },
    channel:
      channel === 'ssh'
        ? { kind: channel, host_keys: ['/var/lib/quorate/ssh/host_key.pub'] }
        : { kind: channel },
  },
});

function resources(
  storage: StorageName,
  { start, stop, probe }: StoreScripts,
): readonly Record<string, unknown>[] {
  const gateway = each((id) => gatewayOf('svc', id));
  const fileSystem = FILE_SYSTEM[storage];
  return [
    { name: 'block', kind: 'drbd', resource: 'r0' },
    ...(fileSystem === null ? [] : [{ name: 'data', ...fileSystem }]),
    {
      name: 'port2',
      kind: 'port',
      interface: 'eth1',
      addresses: each((node) => [`${serviceAddress(node)}/24`]),
      gateway,
      after: [],
    },
    {
      name: 'eip',
      kind: 'elastic-ip',
      allocation: ALLOCATION,
      interfaces: INTERFACES,
      via: 'port2',
      after: ['port2'],
    },
    // It listens on the second port's address: the kernel must have it.
    {
      name: 'store',
      kind: 'service',
      start: [start],
      stop: [stop],
      probe: [probe],
      after: [fileSystem === null ? 'block' : 'data', 'port2'],
    },
  ];
}

/** What the file services serve: a file system of what the storage is about. */
const exportOf = (storage: StorageName): Export =>
  storage === 'replicated'
    ? { folder: SHARE_MOUNT, after: 'tank', hasDisk: false }
    : { folder: MOUNT_POINT, after: 'data', hasDisk: true };

function each<Value>(of: (node: DataNode) => Value): Readonly<Record<string, Value>> {
  return Object.fromEntries(DATA_NODES.map((node) => [node, of(node)]));
}

export const STORE_CONTROL = { host: '127.0.0.1', port: PORT.storeControl } as const;

export function planStore(node: DataNode, storage: StorageName): StandbyOptions {
  return {
    control: STORE_CONTROL,
    device: { kind: 'file', path: fileOn(storage, 'records'), blocks: STORE_BLOCKS },
    service: { host: serviceAddress(node), port: PORT.store },
  };
}

/** As `quorate drbd-config` writes it for hosts, with this lab's addresses and disks. */
export function planDrbd(timingName: TimingName, storage: StorageName): string {
  const { volumes } = STORAGES[storage];
  return renderDrbdFile({
    resource: 'r0',
    version: '8.4',
    hosts: DATA_NODES.map((node) => ({
      name: node,
      address: replAddress(node),
      volumes: Array.from({ length: volumes }, (_, volume) => ({
        disk: dataDisk(volume),
        metaDisk: 'internal',
      })),
    })),
    tieBreaker: null,
    port: PORT.drbd,
    minor: 0,
    handler: '/usr/local/bin/quorate fence-peer --config /etc/quorate/quorate.yaml',
    leaseMs: TIMINGS[timingName].leaseMs,
  });
}

/** Nobody has the address at first. */
export function planController(): ControllerStateInput {
  return {
    region: REGION,
    subnets: [
      ...NODES.map((node) => ({ id: `subnet-${node}0`, zone: zoneOf(node) })),
      ...DATA_NODES.map((node) => ({ id: `subnet-${node}1`, zone: zoneOf(node) })),
    ],
    instances: NODES.map((node) => ({ id: INSTANCES[node], zone: zoneOf(node), tags: { Name: node } })),
    interfaces: DATA_NODES.map((node) => ({
      id: INTERFACES[node],
      instance: INSTANCES[node],
      subnet: `subnet-${node}1`,
      privateIps: [serviceAddress(node)],
      description: `port 2 of ${node}`,
    })),
    addresses: [{ allocationId: ALLOCATION, publicIp: ELASTIC_IP }],
  };
}

export const ROUTER: RouterOptions = {
  devices: { [INTERFACES.a]: routerPort('svc', 'a'), [INTERFACES.b]: routerPort('svc', 'b') },
  subnets: {},
  outside: 'net',
};
