/** What the executor's two threads say to each other. Both ends are our own code: typed, not parsed. */

import type { LocalResourceConfig } from '../config/index.ts';
import type { Epoch, Instant, NodeId, Term, Timing } from '../core/index.ts';
import { type ErrorCode, QuorateError } from '../errors.ts';
import type { DrbdData, PeerData, ProbeResult, Proof, Refreshed, ReleaseMode } from '../resources/index.ts';
import type { PlanResource } from '../takeover/index.ts';
import type { Syncing } from './resync-watch.ts';
import type { LeaseBuffer } from './shared-lease.ts';
import type { Finding } from './verified-release.ts';

export interface GuardData {
  readonly dataDir: string;
  /** Marks the children of this node's executor. */
  readonly mark: string;
  readonly socketPath: string;
  /** All resources, for the graph. */
  readonly graph: readonly PlanResource[];
  readonly resources: readonly LocalResourceConfig[];
  readonly otherDataNodes: readonly NodeId[];
  readonly watchdog: {
    readonly device: string;
    readonly mode: 'required' | 'automatic';
    /** `watchdog.timeout`, for a device that does not say its own. */
    readonly statedMs: number | null;
  } | null;
  readonly selfFence: 'off' | 'sysrq';
  /** R1: processes of others that keep a mount busy may be killed. */
  readonly mayKill: boolean;
  readonly releaseMs: number;
  /** There may be a replicator. */
  readonly sendsReplicas: boolean;
  /** No agent can order anything: only for that may `executor-state.json` be damaged. */
  readonly isReleaseOnly: boolean;
  readonly lease: LeaseBuffer;
}

export type GuardOrder =
  /** A new agent is there: only renewals with its session count, and its timing. Then release and verify (L4). */
  | { readonly op: 'hello'; readonly session: string; readonly timing: Timing }
  | { readonly op: 'timing'; readonly timing: Timing }
  /** The other nodes that DRBD mirrors; until then those of the config file. */
  | { readonly op: 'others'; readonly ids: readonly NodeId[] }
  | { readonly op: 'arm' }
  | { readonly op: 'disarm' }
  | { readonly op: 'begin'; readonly epoch: Epoch; readonly term: Term; readonly until: Instant }
  | {
      readonly op: 'acquire';
      readonly name: string;
      readonly epoch: Epoch;
      readonly previousReleased: boolean;
      readonly proof: Proof;
      readonly isForced: boolean;
      readonly limitMs: number;
    }
  | { readonly op: 'release'; readonly name: string; readonly epoch: Epoch; readonly limitMs: number }
  | { readonly op: 'refresh'; readonly name: string; readonly epoch: Epoch; readonly limitMs: number }
  /**
   * A planned release begins: announcements and what else an acquire has left running end now, beside its first steps, and not only
   * before its verification: a raw socket takes the kernel 10 ms to close (measured, `arping`).
   */
  | { readonly op: 'call-off'; readonly epoch: Epoch }
  | { readonly op: 'probe'; readonly name: string; readonly isFresh: boolean; readonly limitMs: number }
  | { readonly op: 'resume-io'; readonly epoch: Epoch; readonly limitMs: number }
  /** Reads every DRBD resource now, by a command that begins after the order. */
  | { readonly op: 'look'; readonly limitMs: number }
  /** The planned plan has ended: verify, and the epoch is dead. */
  | { readonly op: 'finish'; readonly epoch: Epoch }
  /** L7: the agent goes and means to come back; until then nobody renews. */
  | { readonly op: 'hand-over'; readonly epoch: Epoch; readonly until: Instant }
  /** L7: instead of `hello`: a new agent, for an epoch that was kept. */
  | { readonly op: 'come-back'; readonly session: string; readonly timing: Timing; readonly epoch: Epoch }
  | { readonly op: 'bind'; readonly epoch: Epoch; readonly term: Term; readonly until: Instant }
  | { readonly op: 'adopt'; readonly epoch: Epoch; readonly until: Instant }
  /** The process ends: nothing that only watches may outlive it. */
  | { readonly op: 'close' }
  /** Something reads as held although nothing should be: release and verify again. */
  | { readonly op: 'verify'; readonly why: string }
  /** Release everything now; `null`: whatever there is. */
  | { readonly op: 'abrupt'; readonly epoch: Epoch | null; readonly why: string };

export interface Released {
  /** Null: there was no tenure. */
  readonly epoch: Epoch | null;
  readonly term: Term | null;
  readonly evidence: string;
  /** Of each local resource; empty where it is a repeat. */
  readonly findings: readonly Finding[];
  readonly ms: number;
  readonly mode: ReleaseMode;
  /** Nothing was done: it had been released before. */
  readonly isRepeat: boolean;
}

/** What DRBD said to commands that began at `readAt` or later: never older than that, however late it is heard. */
export interface FreshData {
  readonly readAt: Instant;
  readonly peers: Readonly<Record<string, PeerData>>;
  readonly disk: DrbdData['disk'];
  readonly isWhole: DrbdData['isWhole'];
}

export interface GuardAnswers {
  hello: Released;
  timing: null;
  others: null;
  arm: null;
  disarm: null;
  begin: null;
  acquire: string;
  release: string;
  refresh: Refreshed;
  'call-off': null;
  probe: ProbeResult;
  'resume-io': string;
  look: FreshData;
  'hand-over': null;
  /** The deadline. */
  'come-back': Instant;
  bind: null;
  adopt: null;
  close: null;
  finish: Released;
  verify: Released;
  abrupt: Released;
}

export type GuardRequest =
  | { readonly kind: 'order'; readonly id: number; readonly order: GuardOrder }
  | { readonly kind: 'cancel'; readonly id: number };

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** The first message to the thread: until then it has only been loaded. */
export const BEGIN = 'begin';

export type GuardReport =
  | { readonly kind: 'loaded' }
  | { readonly kind: 'listening' }
  | { readonly kind: 'answer'; readonly id: number; readonly value: GuardAnswers[GuardOrder['op']] }
  | { readonly kind: 'refusal'; readonly id: number; readonly error: WireError }
  /** The epoch's right to act has ended: drop everything that was in progress for it. */
  | { readonly kind: 'revoked'; readonly epoch: Epoch; readonly why: string }
  /** The guard has released by itself, or as ordered. */
  | { readonly kind: 'released'; readonly released: Released }
  | {
      readonly kind: 'data';
      readonly peers: Readonly<Record<string, string>>;
      readonly disk: DrbdData['disk'];
      /** Some device's I/O waits for a fencing decision (H3). */
      readonly ioSuspended: boolean;
      /** Volumes whose resync runs, by the name of their resource in the config. */
      readonly syncing: readonly Syncing[];
    }
  /** Something happened to an interface of a resource, or to an address on it. */
  | { readonly kind: 'network' }
  | { readonly kind: 'log'; readonly level: LogLevel; readonly fields: Readonly<Record<string, unknown>> };

/** An error that survives the way between threads. */
export interface WireError {
  readonly code: ErrorCode | null;
  readonly message: string;
  readonly context: Readonly<Record<string, unknown>>;
}

export function toWire(error: unknown): WireError {
  if (error instanceof QuorateError)
    return { code: error.code, message: error.message, context: error.context };
  return { code: null, message: error instanceof Error ? error.message : String(error), context: {} };
}

export function fromWire(error: WireError): Error {
  return error.code === null
    ? new Error(error.message)
    : new QuorateError(error.code, error.message, { context: { ...error.context } });
}
