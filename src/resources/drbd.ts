/**
 * A DRBD resource's role, driven by `drbdadm` and read by `drbdsetup events2` (never `--json`: 8.4 has none).
 *
 * 1. `--force` only where an operator's override allows it, and only after a plain promotion was refused for want of
 *    up-to-date data (O3). Otherwise exit codes 11 (state change refused) and 17 (no up-to-date data) are final answers.
 * 2. Released means read back: role not Primary, from a fresh `events2 --now`, not from memory (R2).
 * 3. A time-out, an unreadable answer and exit code 20 are `unknown`.
 */

import type { Clock } from '../clock.ts';
import { QuorateError } from '../errors.ts';
import { commandError, exitError, firstWords } from './command-error.ts';
import { type DrbdState, parseEvents } from './drbd-events.ts';
import {
  connectionOf,
  hasWholeData,
  isAmbiguous,
  isSuspended,
  type OwnDisk,
  ownDisk,
  type PeerData,
  peerData,
  roleProbe,
} from './drbd-view.ts';
import type {
  AcquireContext,
  ActionContext,
  CommandResult,
  CommandRunner,
  ProbeResult,
  ReleaseContext,
  Resource,
} from './types.ts';

/** drbdsetup's exit codes (drbd-utils `drbdsetup.c`). */
const NO_SUCH_RESOURCE = 10;
const STATE_CHANGE_REFUSED = 11;
const NO_UP_TO_DATE_DISK = 17;

/** How long to wait before asking again for Secondary while somebody holds the device open. */
const HELD_OPEN_RETRY_MS = 20;
/** Between two looks at a disk that is being detached: DRBD calls a helper first. */
const DETACH_POLL_MS = 20;

export interface DrbdData {
  readonly peers: ReadonlyMap<string, PeerData>;
  readonly disk: OwnDisk;
  /** The own data, however old, is of one moment on every device; null where that is not known. */
  readonly isWhole: boolean | null;
}

export interface DrbdOptions {
  readonly name: string;
  readonly resource: string;
  readonly runner: CommandRunner;
  readonly clock: Clock;
  /** The last state that a follower of `events2` has seen, null when there is none. Good enough to look before acting. */
  readonly lastSeen?: () => DrbdState | null;
}

export class DrbdResource implements Resource {
  readonly kind = 'drbd';
  readonly scope = 'local';
  readonly name: string;
  readonly #resource: string;
  readonly #runner: CommandRunner;
  readonly #clock: Clock;
  readonly #lastSeen: () => DrbdState | null;
  #isDetached = false;

  constructor(options: DrbdOptions) {
    this.name = options.name;
    this.#resource = options.resource;
    this.#runner = options.runner;
    this.#clock = options.clock;
    this.#lastSeen = options.lastSeen ?? (() => null);
  }

  async acquire(context: AcquireContext): Promise<string> {
    const { mayForce = false } = context;
    const state = this.#lastSeen() ?? (await this.look(context)).state;
    // The role in memory may be a moment old; `primary` on a Primary changes nothing, so it is never skipped.
    if (
      state?.kind === 'present' &&
      ownDisk(state) === 'failed' &&
      !(mayForce && hasWholeData(state) === true)
    )
      throw new QuorateError(
        'drbd-refused',
        `${this.#resource}: the own disk is ${disks(state)}, not UpToDate`,
      );
    const command = ['drbdadm', 'primary', this.#resource];
    const result = await this.#runner.run(command, context);
    if (result.kind === 'exited' && result.code === 0) return 'Primary';
    const lacksData = result.kind === 'exited' && result.code === NO_UP_TO_DATE_DISK;
    if (mayForce && lacksData) return this.#promoteOldData(context);
    throw this.#failure(command, result);
  }

  /** O3. What it was is read anew: a resync's target (`Inconsistent` while its source is there) is nothing to promote. */
  async #promoteOldData(context: AcquireContext): Promise<string> {
    const { state, detail } = await this.look(context);
    if (state === null || hasWholeData(state) !== true) {
      const why = state === null ? detail : `the own disk is ${disks(state) || 'absent'}`;
      throw new QuorateError('drbd-refused', `${this.#resource}: not promoted by force: ${why}`);
    }
    const command = ['drbdadm', 'primary', '--force', this.#resource];
    const result = await this.#runner.run(command, context);
    if (result.kind === 'exited' && result.code === 0)
      return `Primary, forced (the disk was ${disks(state)})`;
    throw this.#failure(command, result);
  }

  /**
   * `drbdadm secondary`, again and again while the device is held open: the users before us in the plan are being
   * killed, and the kernel needs a moment to see the last one go. The deadline bounds it (D).
   */
  async release(context: ReleaseContext): Promise<string> {
    const command = ['drbdadm', 'secondary', this.#resource];
    for (;;) {
      const result = await this.#runner.run(command, context);
      if (result.kind === 'exited' && result.code === 0) return 'Secondary';
      if (result.kind === 'exited' && isDown(result.code, result.stderr)) return 'is down';
      const mayRetry =
        result.kind === 'exited' &&
        /held open/i.test(result.stderr) &&
        !context.signal.aborted &&
        this.#clock.now() + HELD_OPEN_RETRY_MS < context.deadline;
      if (!mayRetry) throw this.#failure(command, result);
      await this.#clock.sleep(HELD_OPEN_RETRY_MS, context.signal);
    }
  }

  async probe(context: ActionContext): Promise<ProbeResult> {
    const { state, detail } = await this.look(context);
    return DrbdResource.probeOf(state, detail);
  }

  /** What a state says about holding; `detail` is the reason where there is none. */
  static probeOf(state: DrbdState | null, detail = ''): ProbeResult {
    return state === null && detail !== '' ? { probe: 'unknown', detail } : roleProbe(state);
  }

  /** H3: if I/O is suspended although the peer is committed as outdated, the holder resumes it. */
  async resumeIo(context: ActionContext): Promise<string> {
    const { state, detail } = await this.look(context);
    if (state === null) throw new QuorateError('command-failed', `${this.#resource}: ${detail}`);
    if (!isSuspended(state)) return 'I/O is not suspended';
    const command = ['drbdadm', 'resume-io', this.#resource];
    const result = await this.#runner.run(command, context);
    if (result.kind === 'exited' && result.code === 0) return 'I/O resumed';
    throw this.#failure(command, result);
  }

  /**
   * R1: an isolated Primary's I/O is frozen by the fencing policy, and 8.4 knows no `secondary --force`: whoever waits for a
   * write cannot be killed, keeps the file system busy, and with it the role. Without its disk the device can complete no
   * write any more; then what is frozen may end, most of it as an error.
   *
   * Only for an abrupt release, when every user has been killed and no answer can leave this host any more: a write that
   * had reached the own disk may end as if it were replicated, and nobody may be told so.
   */
  async abandonIo(context: ActionContext): Promise<string> {
    const { state, detail } = await this.look(context);
    if (state === null) throw new QuorateError('release-unverified', `${this.#resource}: ${detail}`);
    // With its peer there is no reason to wait for: the writes will be replicated.
    if (state.connections.some(({ connection }) => connection === 'Connected'))
      throw new QuorateError(
        'release-unverified',
        `${this.#resource} is connected: its disk is not detached`,
      );
    if (!isDiskless(state)) {
      // Before it is known to have worked: a command that is killed may have.
      this.#isDetached = true;
      await this.#must(['drbdadm', 'detach', '--force', this.#resource], context);
    }
    // It returns while the disk still fails. Resumed then, DRBD would give the disk a new data generation, as to one that went
    // on alone, and its return would end in a split brain (seen in the lab).
    while (!isDiskless((await this.look(context)).state)) {
      if (context.signal.aborted || this.#clock.now() + DETACH_POLL_MS >= context.deadline)
        throw new QuorateError(
          'release-unverified',
          `${this.#resource}: the own disk is not detached in time`,
        );
      await this.#clock.sleep(DETACH_POLL_MS, context.signal);
    }
    await this.#must(['drbdadm', 'resume-io', this.#resource], context);
    return 'frozen I/O was abandoned, the own disk detached';
  }

  async #must(command: readonly string[], context: ActionContext): Promise<void> {
    const result = await this.#runner.run(command, context);
    if (result.kind !== 'exited' || result.code !== 0) throw this.#failure(command, result);
  }

  /** What `abandonIo` detached, once everything is verified as released: the disk is resynced, not used (H3). */
  async reattach(context: ActionContext): Promise<string | null> {
    if (!this.#isDetached) return null;
    const { state, detail } = await this.look(context);
    if (state === null) throw new QuorateError('command-failed', `${this.#resource}: ${detail}`);
    if (isDiskless(state)) await this.#must(['drbdadm', 'attach', this.#resource], context);
    // Somebody else has attached it, or it was never detached.
    this.#isDetached = false;
    return isDiskless(state) ? 'the own disk is attached again' : 'the own disk is attached';
  }

  /** Paths of its devices. They are there without udev, unlike those under /dev/drbd. */
  async devices(context: ActionContext): Promise<readonly string[]> {
    const seen = this.#lastSeen();
    const { state, detail } = seen === null ? await this.look(context) : { state: seen, detail: '' };
    const minors = (state?.volumes ?? []).map(({ minor }) => minor);
    if (minors.length > 0 && minors.every((minor) => /^\d+$/.test(minor)))
      return minors.map((minor) => `/dev/drbd${minor}`);
    const why = detail || (state?.kind === 'absent' ? 'it is down' : 'DRBD does not say their numbers');
    throw new QuorateError('command-failed', `${this.#resource}: its devices are not known: ${why}`);
  }

  /** A fresh reading; `state` is null where it is unknown, and `detail` says why. */
  async look(context: ActionContext): Promise<{ state: DrbdState | null; detail: string }> {
    const command = ['drbdsetup', 'events2', '--now', this.#resource];
    const result = await this.#runner.run(command, context);
    if (result.kind !== 'exited') return { state: null, detail: this.#failure(command, result).message };
    if (result.code === 0) {
      const state = parseEvents(result.stdout, this.#resource);
      return { state, detail: state === null ? 'drbdsetup events2 ended early' : '' };
    }
    if (isDown(result.code, result.stderr)) return { state: ABSENT, detail: '' };
    return { state: null, detail: this.#failure(command, result).message };
  }

  #failure(command: readonly string[], result: CommandResult): QuorateError {
    if (result.kind === 'missing') {
      return new QuorateError('drbd-tools-missing', `${command[0]} is not installed or not in PATH`);
    }
    if (result.kind !== 'exited') return commandError(command, result);
    const isRefused = result.code === STATE_CHANGE_REFUSED || result.code === NO_UP_TO_DATE_DISK;
    if (!isRefused) return exitError(command, result.code, result.stderr);
    return new QuorateError(
      'drbd-refused',
      `"${command.join(' ')}" was refused (code ${result.code}): ${firstWords(result.stderr)}`,
      { context: { code: result.code } },
    );
  }
}

const ABSENT: DrbdState = {
  kind: 'absent',
  role: '',
  suspended: '',
  mayPromote: null,
  volumes: [],
  connections: [],
};

/** Code 10 is every "Failure: (n)": only the two that say that nothing is there mean "not held" (lab.md 5). */
function isDown(code: number, stderr: string): boolean {
  return (
    code === NO_SUCH_RESOURCE && /No such resource|minor not allocated|unknown (minor|resource)/i.test(stderr)
  );
}

function isDiskless(state: DrbdState | null): boolean {
  return state !== null && state.volumes.length > 0 && state.volumes.every(({ disk }) => disk === 'Diskless');
}

function disks({ volumes }: DrbdState): string {
  return volumes.map(({ disk }) => disk).join('/');
}

/** H3 for all replicated devices at once: the worst one counts. Without any device there is nothing to lose. */
export function replicatedData(
  states: readonly (DrbdState | null)[],
  otherDataNodes: readonly string[],
): DrbdData {
  const peers = new Map<string, PeerData>();
  for (const peer of otherDataNodes) {
    peers.set(
      peer,
      worst<PeerData>(
        states.map((state) => peerOf(state, peer, otherDataNodes)),
        ['not-in-sync', 'unknown', 'in-sync'],
      ),
    );
  }
  const disk = worst<OwnDisk>(
    states.map((state) => ownDisk(state)),
    ['failed', 'unknown', 'up-to-date'],
  );
  const whole = states.map((state) => hasWholeData(state));
  const isWhole = whole.includes(false) ? false : whole.includes(null) ? null : true;
  return { peers, disk, isWhole };
}

function peerOf(state: DrbdState | null, peer: string, otherDataNodes: readonly string[]): PeerData {
  if (state === null) return 'unknown';
  const connection = connectionOf(state, peer, otherDataNodes);
  if (connection === null && isAmbiguous(state, otherDataNodes)) return 'unknown';
  return peerData(state, connection);
}

function worst<Value extends string>(
  values: readonly Value[],
  worstFirst: readonly [Value, Value, Value],
): Value {
  return worstFirst.find((value) => values.includes(value)) ?? worstFirst[2];
}
