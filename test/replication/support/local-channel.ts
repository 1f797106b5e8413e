/** A receiver on the same host, for tests: `zfs receive` as a child that gets the stream by its standard input. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { PassThrough, type Writable } from 'node:stream';
import { systemClock } from '../../../src/clock.ts';
import { type Epoch, instant } from '../../../src/core/index.ts';
import {
  type CallOptions,
  FEATURES,
  type Feature,
  type ReceiveEnd,
  type ReceiveOrder,
  type ReceiverChannel,
  type ReceiverOrder,
  type Receiving,
} from '../../../src/replication/channel.ts';
import { markComplete, type PoolsReading, readPools, setAside } from '../../../src/replication/index.ts';
import { whyNotReplayed } from '../../../src/replication/intent-log.ts';
import { commandsOf, type Host, KERNEL } from './stand-in.ts';

export interface LocalChannelOptions {
  /** The receiving host. */
  readonly host: Pick<Host, 'bin' | 'directory'>;
  /** After how many bytes a receive is killed; null: never. */
  readonly breaksAt?: () => number | null;
  /** As a channel does through which every byte passes this process. */
  readonly throughProcess?: boolean;
  /** None: as a receiver of the first version. */
  readonly features?: readonly Feature[];
}

export class LocalChannel implements ReceiverChannel {
  readonly name = 'local';
  readonly features: ReadonlySet<Feature>;
  readonly orders: (ReceiverOrder | ReceiveOrder)[] = [];
  readonly #options: LocalChannelOptions;
  #newest = 0;
  /** Set to a sentence, every call fails by it. */
  isDown: string | null = null;

  constructor(options: LocalChannelOptions) {
    this.#options = options;
    this.features = new Set(options.features ?? FEATURES);
  }

  async read({ signal }: CallOptions): Promise<PoolsReading> {
    if (this.isDown !== null) throw new Error(this.isDown);
    const commands = commandsOf(this.#options.host);
    return readPools(['tank'], { commands, kernel: KERNEL, clock: systemClock, signal });
  }

  async perform(epoch: Epoch, order: ReceiverOrder, options: CallOptions): Promise<void> {
    this.#check(epoch);
    this.orders.push(order);
    const parts = { commands: commandsOf(this.#options.host), clock: systemClock, signal: options.signal };
    if (order.kind === 'set-aside')
      await setAside({ ...order, epoch }, { ...parts, mayChange: () => true, hasDevice: async () => true });
    else if (order.kind === 'complete') await markComplete(order.pool, { ...order, epoch }, parts);
    else for (const command of commandsFor(order)) await this.#zfs(command, options);
  }

  async receive(epoch: Epoch, order: ReceiveOrder, options: CallOptions): Promise<Receiving> {
    this.#check(epoch);
    this.orders.push(order);
    if (this.features.has('replays') && order.kind !== 'full') {
      const { signal, limitMs } = options;
      const deadline = instant(systemClock.now() + limitMs);
      const run = (words: readonly string[]) =>
        commandsOf(this.#options.host).run(words, { deadline, signal });
      const of = { name: order.dataset, kind: 'filesystem' } as const;
      await whyNotReplayed(of, { hasDevice: async () => true, command: run }, signal);
    }
    const args = ['receive', '-s', '-u', '-o', 'readonly=on', order.dataset];
    const breakAt = this.#options.breaksAt?.() ?? null;
    const env = { ...process.env, ...(breakAt === null ? {} : { STAND_IN_BREAK_AT: String(breakAt) }) };
    const child = spawn(join(this.#options.host.bin, 'zfs'), args, {
      stdio: ['pipe', 'ignore', 'pipe'],
      env,
    });
    let said = '';
    child.stderr.on('data', (text: Buffer) => {
      said = (said + text.toString('utf8')).slice(-1000);
    });
    child.stdin.on('error', () => undefined);
    const closed = new Promise<number | null>((resolve) => {
      child.once('close', (code) => resolve(code));
    });
    const ended = closed.then(async (code): Promise<ReceiveEnd> => {
      if (code !== 0) return { kind: 'broken', code: 'stream', why: said.trim() };
      const { snapshot: keep, letGo } = order;
      if (letGo === undefined) return { kind: 'received' };
      for (const command of commandsFor({ kind: 'hold', keep, letGo })) await this.#zfs(command, options);
      return { kind: 'received' };
    });
    let sink: Writable = child.stdin;
    if (this.#options.throughProcess === true) {
      const through = new PassThrough();
      through.pipe(child.stdin);
      sink = through;
    }
    return { sink, ended, abort: () => void child.kill('SIGKILL') };
  }

  async close(): Promise<void> {}

  #check(epoch: Epoch): void {
    if (this.isDown !== null) throw new Error(this.isDown);
    if (epoch < this.#newest) throw new Error(`epoch ${epoch} is over, ${this.#newest} has begun`);
    this.#newest = epoch;
  }

  async #zfs(args: readonly string[], { signal, limitMs }: CallOptions): Promise<void> {
    const deadline = instant(systemClock.now() + limitMs);
    const result = await commandsOf(this.#options.host).run(['zfs', ...args], { deadline, signal });
    if (result.kind === 'exited' && (result.code === 0 || IS_DONE.test(result.stderr))) return;
    throw new Error(result.kind === 'exited' ? result.stderr : result.kind);
  }
}

type DatasetOrder = Exclude<ReceiverOrder, { kind: 'set-aside' | 'complete' }>;

const IS_DONE = /tag already exists|no such tag|could not find any snapshots|dependent clones/;

export function commandsFor(order: DatasetOrder): readonly (readonly string[])[] {
  switch (order.kind) {
    case 'rename':
      return [['rename', order.from, order.to]];
    case 'abandon':
      return [['receive', '-A', order.dataset]];
    case 'hold':
      return [
        ['hold', 'quorate', `${order.keep.dataset}@${order.keep.name}`],
        ...order.letGo.map(({ dataset, name }) => ['release', 'quorate', `${dataset}@${name}`]),
      ];
    case 'prune':
      return order.snapshots.map(({ dataset, name }) => ['destroy', `${dataset}@${name}`]);
  }
}
