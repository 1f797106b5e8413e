/** An engine over two stand-ins for ZFS, one for each node: real processes, two directories for two pools. */
import { delimiter } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import type { KeepConfig, SendConfig } from '../../../src/config/index.ts';
import { durationMs, epoch } from '../../../src/core/index.ts';
import { Board, Engine, LocalPool } from '../../../src/replication/engine/index.ts';
import { LocalChannel, type LocalChannelOptions } from './local-channel.ts';
import { commandsOf, KERNEL, type StandIn, standIn } from './stand-in.ts';

export const KEEP: KeepConfig = { last: 1000, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
export const POLICY = { periodMs: durationMs(3_600_000), keep: KEEP, keepCopy: KEEP, windows: [] };
const SEND: SendConfig = { policy: POLICY, overrides: [], bytesPerSecond: null, answerMs: 30_000 };
export const LIMIT_MS = 60_000;
export const FILLER = 1024 * 1024;

/** Of the test that runs. */
export let world: StandIn;

export function startWorld(): void {
  const path = process.env.PATH;
  beforeAll(() => {
    process.env.STAND_IN_FILLER = '1000';
  });
  beforeEach(async () => {
    world = await standIn();
    process.env.PATH = `${world.a.bin}${delimiter}${path}`;
  });
  afterEach(() => world.remove());
  afterAll(() => {
    process.env.PATH = path;
    delete process.env.STAND_IN_FILLER;
  });
}

export class Bench {
  readonly board = new Board();
  readonly channel: LocalChannel;
  readonly stop = new AbortController();
  readonly broken: unknown[] = [];
  /** Those of the sending side that are no streams. */
  readonly commands: string[] = [];
  readonly engine: Engine;
  #count = 0;

  constructor(send: Partial<SendConfig> = {}, options: Partial<LocalChannelOptions> = {}, tenure = 5) {
    this.channel = new LocalChannel({ host: world.b, ...options });
    this.engine = new Engine({
      ends: { from: 'a', to: 'b' },
      replication: { pools: ['tank'], include: [], exclude: [], send: { ...SEND, ...send } },
      drbdBelow: () => [],
      epoch: epoch(tenure),
      local: new LocalPool({
        pools: ['tank'],
        commands: {
          run: (command, limits) => {
            this.commands.push(command.slice(0, 2).join(' '));
            return commandsOf(world.a).run(command, limits);
          },
        },
        kernel: KERNEL,
        clock: systemClock,
        signal: this.stop.signal,
      }),
      channel: this.channel,
      board: this.board,
      clock: systemClock,
      signal: this.stop.signal,
      onBroken: (error) => this.broken.push(error),
    });
  }

  /** And everything that it has begun. */
  async round(): Promise<void> {
    this.#count += 1;
    await this.engine.round(this.#count);
    await this.engine.settled();
    expect(this.broken).toEqual([]);
  }

  state(dataset: string): string | undefined {
    return this.board.get(dataset)?.state;
  }
}

export const wordOf = (host: 'a' | 'b'): string | undefined =>
  world[host].pool().get('tank').properties.get('quorate:complete');

export const snapshotsOf = (host: 'a' | 'b', dataset: string) =>
  world[host].pool().datasets.get(dataset)?.snapshots ?? [];
export const guidsOf = (host: 'a' | 'b', dataset: string): string[] =>
  snapshotsOf(host, dataset).map(({ guid }) => guid);
export const heldOf = (host: 'a' | 'b', dataset: string): string[] =>
  snapshotsOf(host, dataset).flatMap(({ name, tags }) => (tags?.includes('quorate') ? [name] : []));
