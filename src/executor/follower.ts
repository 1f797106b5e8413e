/** A long-lived child that tells of changes line by line; started again, later and later, when it ends. */
import type { Clock, Timer } from '../clock.ts';
import type { CommandRunner } from '../resources/index.ts';

const RESTART_MS = { first: 500, most: 30_000 } as const;
/** A child that has run this long was fine: the next restart is quick again. */
const STEADY_MS = 10_000;

export interface FollowerHandlers {
  /** A new child: what the one before has said may be out of date. */
  onStart?(): void;
  onLine(line: string): void;
  onEnd?(): void;
}

export class Follower {
  readonly #command: readonly string[];
  readonly #runner: Pick<CommandRunner, 'follow'>;
  readonly #clock: Clock;
  readonly #handlers: FollowerHandlers;
  #stop: (() => void) | null = null;
  #restartMs: number = RESTART_MS.first;
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(
    command: readonly string[],
    runner: Pick<CommandRunner, 'follow'>,
    clock: Clock,
    handlers: FollowerHandlers,
  ) {
    this.#command = command;
    this.#runner = runner;
    this.#clock = clock;
    this.#handlers = handlers;
  }

  start(): void {
    const startedAt = this.#clock.now();
    this.#handlers.onStart?.();
    this.#stop = this.#runner.follow(this.#command, {
      onLine: (line) => this.#handlers.onLine(line),
      onEnd: () => {
        this.#stop = null;
        if (this.#isClosed) return;
        if (this.#clock.now() - startedAt > STEADY_MS) this.#restartMs = RESTART_MS.first;
        this.#timer = this.#clock.after(this.#restartMs, () => this.start());
        this.#restartMs = Math.min(this.#restartMs * 2, RESTART_MS.most);
        this.#handlers.onEnd?.();
      },
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#stop?.();
    this.#stop = null;
  }
}
