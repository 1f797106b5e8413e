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
  readonly fencing: { readonly ec2Stop: 'off' | 'after' | 'before' };
  readonly maxDataLossMs: DurationMs;
  readonly cloud: { readonly region: string | null; readonly endpoint: string | null };
  /** In takeover order. */
  readonly resources: readonly ResourceConfig[];
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

interface ResourceCommon {
  readonly name: string;
  /** Names of the resources that must be held before this one; the file's order where it says nothing. */
  readonly after: readonly string[];
}

export interface DrbdResourceConfig extends ResourceCommon {
  readonly kind: 'drbd';
  readonly resource: string;
}

export interface ElasticIpResourceConfig extends ResourceCommon {
  readonly kind: 'elastic-ip';
  readonly allocation: string;
  /** Network interface id of every data node. */
  readonly interfaces: Readonly<Record<NodeId, string>>;
  /** Local address of this node that cloud calls leave from; null means the system's choice. */
  readonly via: string | null;
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

export type ResourceConfig = DrbdResourceConfig | ElasticIpResourceConfig | ServiceResourceConfig;

/** Members that may hold: everybody but the witness (W1). */
export function dataNodes(config: Config): readonly MemberConfig[] {
  return config.members.filter((member) => !member.witness);
}

export function memberOf(config: Config, id: NodeId): MemberConfig | null {
  return config.members.find((member) => member.id === id) ?? null;
}

/** The admin socket for commands of this host that must start fast (DRBD's handlers). */
export function agentSocket(dataDir: string): string {
  return `${dataDir}/agent.sock`;
}
