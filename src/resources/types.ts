/**
 * One thing that must be held exclusively. `acquire`, `release` and `probe` of a kind stand side by side in one file.
 *
 * Resources know nothing of consensus: whether an action is still allowed is decided by whoever hands them their
 * CommandRunner or Ec2Api (O1, O2); a refused command comes back as an error like any other.
 *
 * 1. `acquire` is idempotent: what is held stays untouched.
 * 2. `release` is idempotent and may be called whatever the state is. What it returns is no evidence: who needs that probes
 *    when the last action has ended (R2), so a release does not read back what its commands say they did.
 * 3. `probe` never changes anything, never throws, and says `unknown` for everything it cannot read (H4).
 */
import type { Epoch, Instant } from '../core/index.ts';

export type Probe = 'held' | 'not-held' | 'unknown';

export interface ProbeResult {
  readonly probe: Probe;
  /** One sentence for people. */
  readonly detail: string;
  /**
   * Only with `not-held`: something of it is there. It may be repaired like everything that is not held, but it counts
   * as released only when nothing is left (R2).
   */
  readonly isPartial?: boolean;
}

/** R2: nothing of it is left. */
export function isReleased(result: ProbeResult | undefined): boolean {
  return result?.probe === 'not-held' && result.isPartial !== true;
}

/** Every action has a deadline and can be called off (style 9). */
export interface ActionContext {
  /** Everything must have ended here, on the monotonic clock. */
  readonly deadline: Instant;
  readonly signal: AbortSignal;
}

/**
 * Whether the log shows of *everybody* who has held before that they let go or were stopped (R4, R5). `fresh`: by the takeover that
 * was granted on it; `stale`: later in that tenure, when who was stopped may have been started by hand.
 */
export type Proof = 'none' | 'stale' | 'fresh';

export interface AcquireContext extends ActionContext {
  /** Of the tenure: what is written into the system to say since when this node may have changed something. */
  readonly epoch?: Epoch;
  /** The release of the tenure before ours is proven in the log (H2, R4); decides about AllowReassociation, and about `zpool import -f`. */
  readonly previousReleased: boolean;
  readonly proof?: Proof;
  /** Not had before in this tenure: it was verified as released before (R2), so what is found of it now is somebody else's. */
  readonly isFirst?: boolean;
  /** O3: an operator has accepted the loss that promoting old data means. Without it nothing is ever forced. */
  readonly mayForce?: boolean;
}

export type ReleaseMode = 'planned' | 'abrupt';

export interface ReleaseContext extends ActionContext {
  readonly mode: ReleaseMode;
}

export type ResourceKind =
  | 'drbd'
  | 'mount'
  | 'zfs-pool'
  | 'replicated-pool'
  | 'port'
  | 'route-table'
  | 'virtual-ip'
  | 'elastic-ip'
  | 'vpc-route'
  | 'private-ip'
  | 'target-group'
  | 'service'
  | 'hook'
  | 'port-block'
  | 'inbound';

export interface Resource {
  readonly name: string;
  readonly kind: ResourceKind;
  /** Only local facts count for a release (R2): a cloud resource is reported, never required. */
  readonly scope: 'local' | 'cloud';
  /** Returns one sentence about what was done; throws a QuorateError. */
  acquire(context: AcquireContext): Promise<string>;
  release(context: ReleaseContext): Promise<string>;
  probe(context: ActionContext): Promise<ProbeResult>;
  /** What a holder repeats as long as it holds, where there is such a thing. */
  refresh?(context: ActionContext): Promise<Refreshed>;
}

export interface Refreshed {
  /** `trouble`: told once, and looked at. What is not `well` is repeated soon. */
  readonly outcome: 'well' | 'unclear' | 'trouble';
  /** One sentence. */
  readonly said: string;
}

export type CommandResult =
  | { readonly kind: 'exited'; readonly code: number; readonly stdout: string; readonly stderr: string }
  | { readonly kind: 'missing' }
  | { readonly kind: 'timed-out'; readonly limitMs: number }
  | { readonly kind: 'aborted' }
  /** Killed by a signal from elsewhere or for too much output, or it could not be started. */
  | { readonly kind: 'died'; readonly why: string; readonly isTooMuch?: true };

export interface CommandOptions {
  /** The command and all its descendants in the group are killed then. */
  readonly deadline: Instant;
  readonly signal: AbortSignal;
  /** O1: under what it may be started; whoever starts it asks again right before. */
  readonly startLimit?: StartLimit;
  /** Marks the processes that it starts, so that they can be found later. */
  readonly marker?: string;
  /** Added to the environment of the executor. */
  readonly environment?: Readonly<Record<string, string>>;
  /** What it reads on its standard input; without it there is none. */
  readonly input?: string;
  /** It changes nothing: whoever asks the same in the same moment, with the same deadline and signal, gets the same answer. */
  readonly isReading?: boolean;
  /** For each of stdout and stderr; 256 KiB where absent. Whoever says more is killed. */
  readonly maxOutputBytes?: number;
}

export interface StartLimit {
  readonly until: Instant;
  /** CLOCK_BOOTTIME − CLOCK_MONOTONIC in ms when the lease was last confirmed (T3). */
  readonly distanceMs: number;
}

/** Runs one command as a killable child in a process group of its own; never rejects for what the command did. */
export interface CommandRunner {
  run(command: readonly string[], options: CommandOptions): Promise<CommandResult>;
  /**
   * Kills every process that still carries the marker, wherever it went; resolves with how many there were, at the
   * deadline also when one of them is still there (uninterruptible in the kernel).
   */
  killMarked(marker: string, deadline: Instant): Promise<number>;
  /** Follows a long-lived command's lines until it ends or the returned function is called. */
  follow(command: readonly string[], handlers: FollowHandlers): () => void;
}

export interface FollowHandlers {
  onLine(line: string): void;
  onEnd(why: string): void;
}
