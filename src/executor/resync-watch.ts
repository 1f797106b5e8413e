/**
 * Tells the agent how far resyncs of DRBD are, for people only: nothing is decided by it, and the log never has it (D4).
 *
 * 1. Nothing is asked while none runs (the guard's followers of `events2` say whether one does), or while no agent wants to know.
 * 2. At most one report a second; a host on which asking takes long is asked less often.
 * 3. What cannot be read is null, never zero: that a resync runs is told all the same.
 * 4. Where one runs the report is repeated, changed or not, so that the agent can tell an old one from silence.
 */
import { type Clock, type Timer, timeoutSignal } from '../clock.ts';
import type { Config } from '../config/index.ts';
import { instant } from '../core/index.ts';
import {
  type CommandRunner,
  type Progress,
  parseProgress,
  progressCommand,
  type SyncingVolume,
} from '../resources/index.ts';
import { MAX_RESYNCS, type SentEvent } from './protocol.ts';

const PACE_MS = 1000;
const MAX_PACE_MS = 15_000;
/** Times its own duration: looking must not take the processor from heartbeats. */
const SHARE_OF_TIME = 10;
const READ_LIMIT_MS = 3000;
const REPEAT_MS = 10_000;

/** As the guard's followers tell it. */
export interface Syncing extends SyncingVolume {
  /** The name in the config. */
  readonly name: string;
}

type Told = Extract<SentEvent, { kind: 'resync' }>['volumes'];

export interface ResyncWatchOptions {
  /** DRBD's names by those of the config. */
  readonly resources: ReadonlyMap<string, string>;
  /** Of its own. `inFlight`: processes that have not ended, also those whose caller waits no more. */
  readonly runner: Pick<CommandRunner, 'run'> & { readonly inFlight: number };
  readonly clock: Clock;
  readonly send: (event: SentEvent) => void;
}

export class ResyncWatch {
  readonly #options: ResyncWatchOptions;
  #syncing: readonly Syncing[] = [];
  #isFollowed = false;
  #isReading = false;
  #isStopped = false;
  #pause: Timer | null = null;
  #told = '[]';
  #toldAt = 0;

  constructor(options: ResyncWatchOptions) {
    this.#options = options;
  }

  onSyncing(syncing: readonly Syncing[]): void {
    this.#syncing = syncing.slice(0, MAX_RESYNCS);
    this.#soon();
  }

  /** An agent has come that wants to know. */
  follow(): void {
    this.#isFollowed = true;
    this.#told = '[]';
    this.#soon();
  }

  /** It has gone. */
  unfollow(): void {
    this.#isFollowed = false;
  }

  stop(): void {
    this.#isStopped = true;
    this.#pause?.cancel();
  }

  #soon(): void {
    const isDue = this.#syncing.length > 0 || this.#told !== '[]';
    if (!isDue || !this.#isFollowed || this.#isReading || this.#isStopped || this.#pause !== null) return;
    void this.#report();
  }

  async #report(): Promise<void> {
    const { clock } = this.#options;
    const startedAt = clock.now();
    this.#isReading = true;
    const volumes = await this.#read();
    this.#isReading = false;
    if (this.#isStopped) return;
    const now = clock.now();
    const pauseMs = Math.min(Math.max((now - startedAt) * SHARE_OF_TIME, PACE_MS), MAX_PACE_MS);
    this.#pause = clock.after(pauseMs, () => {
      this.#pause = null;
      this.#soon();
    });
    this.#tell(volumes, now);
  }

  #tell(volumes: Told, now: number): void {
    const text = JSON.stringify(volumes);
    const isNews = text !== this.#told || (volumes.length > 0 && now - this.#toldAt >= REPEAT_MS);
    if (!this.#isFollowed || !isNews) return;
    this.#told = text;
    this.#toldAt = now;
    this.#options.send({ kind: 'resync', volumes });
  }

  async #read(): Promise<Told> {
    const syncing = this.#syncing;
    // One that hangs in the kernel cannot be killed: until it has ended no other is started, and nothing is known.
    const hangs = this.#options.runner.inFlight > 0;
    const names = hangs ? [] : [...new Set(syncing.map(({ name }) => name))];
    const read = new Map(
      await Promise.all(names.map(async (name) => [name, await this.#progress(name)] as const)),
    );
    return syncing.flatMap(({ name, connName, volume, peer, role, paused }) => {
      const known = read.get(name)?.find((one) => one.connName === connName && one.volume === volume) ?? null;
      if (known?.isSyncing === false) return [];
      const { donePercent, outOfSyncBytes } = known ?? { donePercent: null, outOfSyncBytes: null };
      return [{ resource: name, volume, peer, role, paused, donePercent, outOfSyncBytes }];
    });
  }

  async #progress(name: string): Promise<readonly Progress[] | null> {
    const { resources, runner, clock } = this.#options;
    const resource = resources.get(name);
    if (resource === undefined) return null;
    const limit = timeoutSignal(clock, READ_LIMIT_MS);
    const deadline = instant(clock.now() + READ_LIMIT_MS);
    const result = await runner
      .run(progressCommand(resource), { deadline, signal: limit.signal, isReading: true })
      .finally(limit.cancel);
    return result.kind === 'exited' && result.code === 0 ? parseProgress(result.stdout, resource) : null;
  }
}

export const drbdResourcesOf = ({ resources }: Pick<Config, 'resources'>): ReadonlyMap<string, string> =>
  new Map(resources.flatMap((one) => (one.kind === 'drbd' ? [[one.name, one.resource] as const] : [])));
