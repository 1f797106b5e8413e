import type { DurationMs, NodeId } from '../core/index.ts';

/** The checked configuration of one node. Paths are absolute, durations in ms, defaults filled in. */
export interface Config {
  /** The file that it was read from. */
  readonly file: string;
  readonly cluster: string;
  /** This node's own id; always one of `members`. */
  readonly node: NodeId;
  readonly dataDir: string;
  /** In the order of the file. 1 to 7, at most one witness. */
  readonly members: readonly MemberConfig[];
  readonly timing: TimingConfig;
  readonly tls: TlsFiles;
  readonly admin: { readonly listen: string };
  readonly http: { readonly listen: string } | null;
  readonly watchdog: WatchdogConfig;
  readonly fencing: FencingConfig;
  readonly maxDataLossMs: DurationMs;
  readonly cloud: { readonly region: string | null; readonly endpoint: string | null };
  /** In takeover order. */
  readonly resources: readonly ResourceConfig[];
  /** Null: nobody is told. */
  readonly alerts: AlertsConfig | null;
  /** Null: no pool is replicated by snapshots. */
  readonly replication: ReplicationConfig | null;
}

/** Who is told of what happens. Secrets stay in their files, so that a config can be logged. */
export interface AlertsConfig {
  readonly webhooks: readonly WebhookConfig[];
  readonly email: EmailConfig | null;
  /** A condition is told when it has lasted for so long, and as over when it has been away for so long. */
  readonly afterMs: DurationMs;
  /** What lasts is told again after so long. */
  readonly repeatMs: DurationMs;
}

export interface WebhookConfig {
  readonly name: string;
  /** Exactly one of both; the file's where the URL is a secret. */
  readonly url: string | null;
  readonly urlFile: string | null;
  /** Null: not signed. */
  readonly secretFile: string | null;
}

export interface EmailConfig {
  readonly smtp: {
    readonly host: string;
    readonly port: number;
    readonly tls: 'starttls' | 'tls' | 'none';
    readonly user: string | null;
    readonly passwordFile: string | null;
  };
  readonly from: string;
  readonly to: readonly string[];
}

export interface MemberConfig {
  readonly id: NodeId;
  readonly zone: string | null;
  /** HOST:PORT of the agent's peer service, on the replication link. */
  readonly peer: string;
  readonly witness: boolean;
}

/** What an operator writes; `deriveTiming` makes the cluster's `Timing` of it (L5, L8). */
export interface TimingConfig {
  readonly heartbeatMs: DurationMs;
  readonly leaseMs: DurationMs;
  readonly releaseMs: DurationMs;
  readonly guardMs: DurationMs;
  /** 0.005 = 0.5 %. */
  readonly clockErrorRate: number;
  /** Only where it is longer than what L5 derives; null means derived. */
  readonly promiseMs: DurationMs | null;
}

/** PEM files. Their contents are not part of a config, so that a config can be logged. */
export interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface WatchdogConfig {
  /** A character device, or the local cluster's unix socket. */
  readonly device: string;
  readonly mode: 'required' | 'automatic' | 'off';
  /** W, where the operator says it; null means read from the device. */
  readonly timeoutMs: DurationMs | null;
}

export interface FencingConfig {
  readonly ec2Stop: 'off' | 'after' | 'before';
  /** The instance that each data node runs on; empty where nothing can be stopped. */
  readonly instances: Readonly<Record<NodeId, string>>;
  /** A security group that lets nothing in or out, for the old holder's interfaces. */
  readonly isolationGroup: string | null;
}

/** Patterns are names of datasets, in which "*" stands for any characters but "/"; what lies below is meant too. */
export interface ReplicationConfig {
  readonly pools: readonly string[];
  /** Empty: everything. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** How streams and orders get to the other data node. Null: nothing is sent. */
  readonly channel: ReplicationChannelConfig | null;
  /** Null: what there is to replicate is shown, and nothing is sent. */
  readonly send: SendConfig | null;
}

export type ReplicationChannelConfig = SshChannelConfig | GrpcChannelConfig;

export interface SshChannelConfig {
  readonly kind: 'ssh';
  /** Whom both nodes log in as. */
  readonly user: string;
  readonly port: number;
  /** Of each data node, on the replication link. */
  readonly hosts: Readonly<Record<NodeId, string>>;
  /** Absolute. Null: that in the user's home. */
  readonly authorizedKeys: string | null;
  /** Public host keys of this node's sshd, absolute. Null: those in /etc/ssh. */
  readonly hostKeys: readonly string[] | null;
  /** How `quorate` is called on the receiving node. Null: as on the one that is running. */
  readonly command: readonly string[] | null;
}

export interface GrpcChannelConfig {
  readonly kind: 'grpc';
  readonly port: number;
  readonly hosts: Readonly<Record<NodeId, string>>;
}

export interface SendConfig {
  readonly policy: ReplicationPolicy;
  /** The first that matches counts. */
  readonly overrides: readonly { readonly datasets: readonly string[]; readonly policy: ReplicationPolicy }[];
  /** Of everything that is sent; null: as fast as it goes. */
  readonly bytesPerSecond: number | null;
  /** What the other node has for an answer: to read its pools, or to begin with a stream. */
  readonly answerMs: number;
}

export interface ReplicationPolicy {
  readonly periodMs: DurationMs;
  /** Of the snapshots that replication takes: on the side that sends, and on the other. */
  readonly keep: KeepConfig;
  readonly keepCopy: KeepConfig;
  /** When something may be sent, by the clock of the host; empty: always. */
  readonly windows: readonly TimeWindow[];
}

/** Minutes of the day; `to` before `from`: past midnight. */
export interface TimeWindow {
  readonly fromMinute: number;
  readonly toMinute: number;
}

export interface KeepConfig {
  readonly last: number;
  readonly hourly: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly yearly: number;
}

interface ResourceCommon {
  readonly name: string;
  /** Names of the resources that must be held before this one; the file's order where it says nothing. */
  readonly after: readonly string[];
}

export interface DrbdResourceConfig extends ResourceCommon {
  readonly kind: 'drbd';
  readonly resource: string;
}

export interface MountResourceConfig extends ResourceCommon {
  readonly kind: 'mount';
  readonly device: string;
  /** Absolute. */
  readonly mountPoint: string;
  /** Null: the kernel finds out. */
  readonly fstype: string | null;
  readonly options: string | null;
}

export interface ZfsPoolResourceConfig extends ResourceCommon {
  readonly kind: 'zfs-pool';
  readonly pool: string;
  /** Where it is looked for: devices, or directories of them. Null: on the DRBD devices that it stands on. */
  readonly devices: readonly string[] | null;
  readonly loadKeys: boolean;
  /** The host name of every data node, as ZFS writes it into the pool. */
  readonly hosts: Readonly<Record<NodeId, string>>;
}

/** A pool that each data node has for itself, and that snapshots keep alike (`replication.pools`). */
export interface ReplicatedPoolResourceConfig extends ResourceCommon {
  readonly kind: 'replicated-pool';
  readonly pool: string;
  readonly loadKeys: boolean;
}

/** The second port. */
export interface PortResourceConfig extends ResourceCommon {
  readonly kind: 'port';
  readonly interface: string;
  /** As "10.0.1.11/24". Empty where something else configures them. */
  readonly addresses: readonly string[];
  /** Must answer before the port counts as up. */
  readonly gateway: string | null;
}

export interface RouteTableResourceConfig extends ResourceCommon {
  readonly kind: 'route-table';
  /** This one and the next number are used in turn. */
  readonly table: number;
  readonly interface: string;
  readonly gateway: string | null;
  /** Whose packets use the table: addresses or networks, at least one. Null: what addresses the interface has when the table is taken. */
  readonly from: readonly string[] | null;
  /** `to` is a network or "default"; without `via` it is on the link. */
  readonly routes: readonly { readonly to: string; readonly via: string | null }[];
  /** Of the rule, as in `ip rule`. */
  readonly priority: number;
}

export interface VirtualIpResourceConfig extends ResourceCommon {
  readonly kind: 'virtual-ip';
  /** As "10.0.0.50/24". */
  readonly address: string;
  readonly interface: string;
  /** By gratuitous ARP or unsolicited neighbour advertisements, again and again. */
  readonly announce: boolean;
}

interface CloudCommon extends ResourceCommon {
  /**
   * Local address of this node that cloud calls leave from, or an interface, for the address that it has at the moment of a call; null means
   * the system's choice.
   */
  readonly via: string | null;
}

interface CloudInterfaces extends CloudCommon {
  /** Network interface id of every data node. */
  readonly interfaces: Readonly<Record<NodeId, string>>;
}

export interface ElasticIpResourceConfig extends CloudInterfaces {
  readonly kind: 'elastic-ip';
  readonly allocation: string;
  /** Of this node's interface; null means its primary one. */
  readonly privateIp: string | null;
}

export interface VpcRouteResourceConfig extends CloudInterfaces {
  readonly kind: 'vpc-route';
  readonly tables: readonly string[];
  /** As "192.168.77.77/32". */
  readonly destination: string;
}

export interface PrivateIpResourceConfig extends CloudInterfaces {
  readonly kind: 'private-ip';
  readonly address: string;
}

export interface TargetGroupResourceConfig extends CloudCommon {
  readonly kind: 'target-group';
  /** Its ARN. */
  readonly group: string;
  readonly mode: 'role-checks' | 'move';
  /** Instance id or IP address of every data node. */
  readonly targets: Readonly<Record<NodeId, string>>;
  /** Null: the group's own. */
  readonly port: number | null;
}

export interface ServiceResourceConfig extends ResourceCommon {
  readonly kind: 'service';
  /** A systemd unit, or three commands as argument vectors. */
  readonly service:
    | { readonly kind: 'unit'; readonly unit: string }
    | {
        readonly kind: 'commands';
        readonly start: readonly string[];
        readonly stop: readonly string[];
        readonly probe: readonly string[];
      };
}

/** A script of the user's own, called with start, stop or monitor. */
export interface HookResourceConfig extends ResourceCommon {
  readonly kind: 'hook';
  readonly script: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** Held means open: on a node that does not hold, the ports are dropped. */
export interface PortBlockResourceConfig extends ResourceCommon {
  readonly kind: 'port-block';
  readonly ports: readonly { readonly protocol: 'tcp' | 'udp'; readonly port: number }[];
  /** Empty: whatever address they come for. */
  readonly addresses: readonly string[];
  readonly resetConnections: boolean;
}

/** The takeover's last step: data comes in. */
export interface InboundResourceConfig extends ResourceCommon {
  readonly kind: 'inbound';
  readonly interface: string;
  /** That clients' packets arrive for, at least one. */
  readonly addresses: readonly string[];
  readonly withinMs: DurationMs;
  /** Whether a takeover without any counts as failed. */
  readonly required: boolean;
}

export type ResourceConfig =
  | DrbdResourceConfig
  | MountResourceConfig
  | ZfsPoolResourceConfig
  | ReplicatedPoolResourceConfig
  | PortResourceConfig
  | RouteTableResourceConfig
  | VirtualIpResourceConfig
  | ElasticIpResourceConfig
  | VpcRouteResourceConfig
  | PrivateIpResourceConfig
  | TargetGroupResourceConfig
  | ServiceResourceConfig
  | HookResourceConfig
  | PortBlockResourceConfig
  | InboundResourceConfig;

const CLOUD_KINDS = ['elastic-ip', 'vpc-route', 'private-ip', 'target-group'] as const;
export type CloudResourceConfig = Extract<ResourceConfig, { kind: (typeof CLOUD_KINDS)[number] }>;
export type LocalResourceConfig = Exclude<ResourceConfig, CloudResourceConfig>;

/** Only local facts count for a release (R2); what is in the cloud is reported, never required. */
export function isCloud(resource: ResourceConfig): resource is CloudResourceConfig {
  return (CLOUD_KINDS as readonly string[]).includes(resource.kind);
}

/** Members that may hold: everybody but the witness (W1). */
export function dataNodes(config: Config): readonly MemberConfig[] {
  return config.members.filter((member) => !member.witness);
}

/** Pools that this config takes over as each node has them. */
export function replicatedPools({ resources }: Pick<Config, 'resources'>): readonly string[] {
  return resources.flatMap((one) => (one.kind === 'replicated-pool' ? [one.pool] : []));
}

export function memberOf(config: Config, id: NodeId): MemberConfig | null {
  return config.members.find((member) => member.id === id) ?? null;
}

/** The admin socket for commands of this host that must start fast (DRBD's handlers). */
export function agentSocket(dataDir: string): string {
  return `${dataDir}/agent.sock`;
}
