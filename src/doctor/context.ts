/** What checks need of the world, all of it injected: a check runs the same against a host, a capture, or garbage. */
import type { Clock } from '../clock.ts';
import type { Config } from '../config/index.ts';
import type { Entry, NodeId, Timing } from '../core/index.ts';
import type { FactsAnswer } from '../peer/index.ts';
import type { CommandRunner } from '../resources/index.ts';
import type { CloudProbe } from './cloud-probe.ts';
import type { Finding } from './report.ts';

export interface Check {
  /** For `--checks`. */
  readonly name: string;
  /** In one line, for `--help`. */
  readonly about: string;
  /** Measures time, so that nothing else may run beside it. */
  readonly isAlone: boolean;
  /** Cheap, and changes nothing that anybody else sees: also run in the executor, on a timer. */
  readonly isHarmless: boolean;
  /** Ends it, as unknown. */
  readonly limitMs: number;
  run(context: CheckContext): Promise<readonly Finding[]>;
}

export interface DoctorContext {
  readonly config: Config;
  readonly clock: Clock;
  readonly commands: Pick<CommandRunner, 'run'>;
  readonly files: Files;
  readonly host: Host;
  readonly network: Network;
  /** Asks a peer's agent about itself, several times; throws a QuorateError. */
  readonly askFacts: (member: FactsQuestion) => Promise<readonly FactsAnswer[]>;
  /** Calls to the cloud that leave from this local address or interface; null: from wherever the system chooses. */
  readonly cloud: (localAddress: string | null) => Promise<CloudProbe>;
  readonly watchdog: WatchdogAccess;
  /** The committed log, from the own agent or, where it does not run, from its directory; throws. */
  readonly entries: () => Promise<readonly Entry[]>;
  /** Those entries are the cluster's of now, not of when this node was last heard: its agent leads, or follows, with a majority. */
  readonly isLogCurrent: () => Promise<boolean>;
  /** The timing that the cluster runs with (L8); null where it is not known here. */
  readonly clusterTiming: () => Promise<Timing | null>;
  /** An operator asked for it by name. */
  readonly armWatchdog: boolean;
}

export interface CheckContext extends DoctorContext {
  /** Fires at the check's limit. */
  readonly signal: AbortSignal;
  /** On the monotonic clock. */
  readonly deadline: ReturnType<Clock['now']>;
}

export interface FactsQuestion {
  readonly address: string;
  readonly node: NodeId;
  readonly times: number;
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

export type FileKind = 'file' | 'directory' | 'character' | 'block' | 'socket' | 'other';

/** Every answer may be null: not there, or not readable. The difference is told where a check needs it. */
export interface Files {
  read(path: string): Promise<string | null>;
  list(directory: string): Promise<readonly string[] | null>;
  kindOf(path: string): Promise<FileKind | null>;
  /** Where a symbolic link points, as it is written there. */
  target(path: string): Promise<string | null>;
  /** Of a path with all its links resolved. */
  realPath(path: string): Promise<string | null>;
  /** Bytes of a directory and everything in it; null where it cannot be read. */
  size(directory: string): Promise<number | null>;
  /** Throws with the system's reason. */
  freeBytes(directory: string): Promise<number>;
  /** Writes so many blocks of a file of its own, each synced, and removes it; ms of each sync. Throws. */
  timeSyncs(directory: string, count: number, bytes: number, signal: AbortSignal): Promise<readonly number[]>;
}

export interface LocalInterface {
  readonly name: string;
  readonly addresses: readonly string[];
}

export interface Host {
  /** Of Node.js, as "20.19.0". */
  readonly nodeVersion: string;
  readonly kernelRelease: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Interfaces that are up and have addresses. */
  interfaces(): readonly LocalInterface[];
  /** CLOCK_BOOTTIME in ms (T3). */
  bootMs(): number;
}

export type Reach =
  | {
      readonly kind: 'connected';
      readonly ms: number;
      /** Where the connection left from, and where it arrived. */
      readonly localAddress: string;
      readonly remoteAddress: string;
    }
  | { readonly kind: 'refused' }
  /** The local address is not one of this host now. */
  | { readonly kind: 'no-local-address' }
  | { readonly kind: 'failed'; readonly why: string };

export interface PeerCertificate {
  /** ms since 1970. */
  readonly validToMs: number;
  /** `quorate://CLUSTER/NODE`, or null. */
  readonly identity: string | null;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

export interface Network {
  connect(
    address: { readonly host: string; readonly port: number; readonly localAddress: string | null },
    limitMs: number,
    signal: AbortSignal,
  ): Promise<Reach>;
  /** A TLS handshake with the own certificate; throws with the reason of a refusal. */
  certificateOf(
    address: { readonly host: string; readonly port: number },
    limitMs: number,
    signal: AbortSignal,
  ): Promise<PeerCertificate>;
  /** Throws when there is no whole answer in time. */
  http(
    request: {
      readonly method: 'GET' | 'PUT';
      readonly url: string;
      readonly headers?: Readonly<Record<string, string>>;
    },
    limitMs: number,
    signal: AbortSignal,
  ): Promise<HttpAnswer>;
}

export interface WatchdogAccess {
  /** Pid of this node's executor, which has the device when it is armed; null when none runs. */
  executor(): number | null;
  /** Opening arms it. */
  open(device: string): Promise<ArmedWatchdog>;
}

export interface ArmedWatchdog {
  readonly timeoutMs: number;
  readonly canDisarm: boolean;
  pet(): void;
  /** The orderly close. */
  disarm(): Promise<void>;
}
