/**
 * The agent's side of the executor. Small on purpose: no cloud SDK, no child processes but the executor itself.
 *
 * `start` finds an executor on its socket or spawns one; `replace` spawns one that first makes sure that the old one is
 * gone (O1). Orders go over the channel, renewals over the guard's own socket (T4).
 */
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { systemClock } from '../clock.ts';
import type { Epoch, Instant, NodeId, Term, Timing } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { readLines } from '../lines.ts';
import type { ExecutorClient, ExecutorClientOptions, FenceOrder, TakeOrder } from './client-contract.ts';
import { askFeatures, featuresOfBusy, helloOf, parse } from './client-greeting.ts';
import { NEWER_FIELDS } from './newer-fields.ts';
import { type ExecutorEvent, eventSchema, greetingSchema, type OrderText } from './protocol.ts';
import { ShownLines } from './shown-lines.ts';
import { startExecutor, tryConnect } from './start-executor.ts';
import { channelSocket, guardSocket } from './unix-path.ts';

const RETRY_MS = 20;
const GREETING_LIMIT_MS = 5000;
const CLOSE_LIMIT_MS = 2000;
/** How long the process before may still take to end (L7). */
const COME_BACK_LIMIT_MS = 5000;
/** A guard that does not read gets no more: an old renewal is worth nothing. */
const MAX_UNSENT_BYTES = 16 * 1024;

export function createExecutorClient(options: ExecutorClientOptions): ExecutorClient {
  return new Client(options);
}

class Client implements ExecutorClient {
  readonly #options: ExecutorClientOptions;
  readonly #shown: ShownLines;
  #members: ReadonlyMap<NodeId, string>;
  #dataNodes: readonly NodeId[] | null = null;
  #timing: Timing;
  #onEvent: (event: ExecutorEvent) => void = () => undefined;
  #channel: Socket | null = null;
  #guard: Socket | null = null;
  #child: ChildProcess | null = null;
  #isClosing = false;

  constructor(options: ExecutorClientOptions) {
    this.#options = options;
    this.#shown = new ShownLines(options.tap);
    this.#members = options.members;
    this.#timing = options.timing;
  }

  get connected(): boolean {
    return this.#channel !== null;
  }

  async start(onEvent: (event: ExecutorEvent) => void, adopt: Epoch | null = null): Promise<void> {
    this.#onEvent = onEvent;
    const path = channelSocket(this.#options.dataDir);
    if (adopt !== null && (await this.#comeBack(path, adopt))) return;
    const found = await tryConnect(path);
    await this.#greet(found ?? (await this.#spawnAndConnect([], false)));
  }

  /** L7. False: nothing is kept here for this epoch, or not any more. */
  async #comeBack(path: string, adopt: Epoch): Promise<boolean> {
    const end = systemClock.now() + COME_BACK_LIMIT_MS;
    for (;;) {
      if ((await askFeatures(path))?.kept !== adopt) return false;
      const channel = await tryConnect(path);
      if (channel === null) return false;
      try {
        await this.#greet(channel, adopt);
        return true;
      } catch (error) {
        // The process before is just ending, or what was kept has just been given up: the answer to the question says which.
        if (systemClock.now() >= end) throw error;
        await systemClock.sleep(RETRY_MS);
      }
    }
  }

  async canKeep(): Promise<boolean> {
    return (await askFeatures(channelSocket(this.#options.dataDir)))?.adoption === true;
  }

  async replace(): Promise<void> {
    this.#drop();
    await this.#greet(await this.#spawnAndConnect(['--replace'], true));
  }

  arm(id: number): void {
    this.#send({ kind: 'arm', id });
  }

  disarm(): void {
    this.#send({ kind: 'disarm' });
  }

  take(order: TakeOrder): void {
    this.#send({ kind: 'take', ...order });
  }

  renew(epoch: Epoch, until: Instant): void {
    const guard = this.#guard;
    const isSent = guard !== null && guard.writableLength <= MAX_UNSENT_BYTES;
    const line = `${JSON.stringify({ epoch, until })}\n`;
    if (isSent) guard.write(line);
    this.#shown.sent({ kind: 'renew', epoch, until }, line, isSent);
  }

  keep(epoch: Epoch): void {
    this.#send({ kind: 'keep', epoch });
  }

  fence(order: FenceOrder): void {
    this.#send({ kind: 'fence', ...order });
  }

  release(epoch: Epoch, mode: 'planned' | 'abrupt'): void {
    this.#send({ kind: 'release', epoch, mode });
  }

  resumeIo(epoch: Epoch): void {
    this.#send({ kind: 'resume-io', epoch });
  }

  look(): void {
    this.#send({ kind: 'look' });
  }

  readCopies(id: number): void {
    this.#send({ kind: 'read-copies', id });
  }

  readPools(id: number): void {
    this.#send({ kind: 'read-pools', id });
  }

  replicate(dataset: string | null): void {
    this.#send({ kind: 'replicate', dataset });
  }

  setMembers(members: ReadonlyMap<NodeId, string>, dataNodes: readonly NodeId[] | null): void {
    this.#members = members;
    this.#dataNodes = dataNodes;
    this.#sendMembers();
  }

  #sendMembers(): void {
    const others = this.#dataNodes === null ? {} : { dataNodes: [...this.#dataNodes] };
    this.#send({ kind: 'members', members: Object.fromEntries(this.#members), ...others });
  }

  setTiming(timing: Timing): void {
    this.#timing = timing;
    this.#send({ kind: 'timing', timing });
  }

  handOver(epoch: Epoch, until: Instant): void {
    this.#send({ kind: 'hand-over', epoch, until });
  }

  bind(epoch: Epoch, term: Term, until: Instant): void {
    this.#send({ kind: 'bind', epoch, term, until });
  }

  adopt(epoch: Epoch, until: Instant): void {
    this.#send({ kind: 'adopt', epoch, until });
  }

  async close(how: 'farewell' | 'abandon' = 'farewell'): Promise<void> {
    this.#isClosing = true;
    if (how === 'abandon') return this.#drop();
    const channel = this.#channel;
    this.#send({ kind: 'bye' });
    if (channel !== null) {
      const closed = new Promise<void>((resolve) => channel.once('close', () => resolve()));
      channel.end();
      await Promise.race([closed, systemClock.sleep(CLOSE_LIMIT_MS)]);
    }
    this.#drop();
    this.#child?.unref();
  }

  #send(order: OrderText): void {
    const line = `${JSON.stringify(order)}\n`;
    // A dead channel is told by `gone`; whatever was asked for is void then.
    this.#channel?.write(line);
    this.#shown.sent(order, line, this.#channel !== null);
  }

  #spawnAndConnect(extra: readonly string[], isUrgent: boolean): Promise<Socket> {
    const options = this.#options;
    const args = [...(options.args ?? []), ...extra];
    const onChild = (child: ChildProcess): void => {
      this.#child = child;
    };
    return startExecutor({ ...options, args }, onChild, isUrgent);
  }

  /** Resolves when the executor has said welcome and the guard's socket is connected. */
  #greet(channel: Socket, adopt: Epoch | null = null): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        channel.destroy();
        reject(new QuorateError('executor-unreachable', `the executor ${why}`));
      };
      const timer = setTimeout(() => fail('did not answer'), GREETING_LIMIT_MS);
      let isGreeted = false;
      channel.on('error', () => undefined);
      channel.once('close', () => {
        clearTimeout(timer);
        if (!isGreeted)
          reject(new QuorateError('executor-unreachable', 'the executor closed the connection'));
        if (this.#channel === channel) this.#onGone();
      });
      readLines(channel, {
        onTooLong: () => fail('sent an over-long line'),
        onLine: (line) => {
          if (isGreeted) return this.#onLine(channel, line);
          clearTimeout(timer);
          isGreeted = true;
          const greeting = parse(greetingSchema, line);
          if (greeting === null) return fail('speaks another protocol');
          this.#shown.received(greeting, line);
          if (greeting.kind === 'refused') {
            channel.destroy();
            return reject(new QuorateError('executor-busy', `the executor refused: ${greeting.why}`));
          }
          if (greeting.kind !== 'welcome') return fail('answered another question');
          this.#channel = channel;
          void this.#sayWhatIsKnown(channel);
          // A new one has read the config file only.
          if (this.#dataNodes !== null) this.#sendMembers();
          this.#connectGuard(greeting.session).then(resolve, () => fail("has no guard's socket"));
        },
      });
      const hello = helloOf({ ...this.#options, members: this.#members, timing: this.#timing }, adopt);
      const line = `${JSON.stringify(hello)}\n`;
      channel.write(line);
      this.#shown.sent(hello, line, true);
    });
  }

  /** Not waited for: until it is said, the executor leaves out what is newer. */
  async #sayWhatIsKnown(channel: Socket): Promise<void> {
    const features = await featuresOfBusy(
      channelSocket(this.#options.dataDir),
      () => this.#channel === channel,
    );
    if (this.#channel !== channel) return;
    if (features?.knows === true) this.#send({ kind: 'knows', fields: [...NEWER_FIELDS] });
    if (features?.resync === true) this.#send({ kind: 'follow-resync' });
  }

  async #connectGuard(session: string): Promise<void> {
    const socket = await tryConnect(guardSocket(this.#options.dataDir));
    if (socket === null) throw new QuorateError('executor-unreachable', "the guard's socket refused");
    socket.on('error', () => undefined);
    socket.once('close', () => {
      if (this.#guard !== socket) return;
      this.#guard = null;
      // Without it no lease can be renewed: the executor is dying.
      this.#channel?.destroy();
    });
    socket.resume();
    socket.write(`${JSON.stringify({ session })}\n`);
    this.#guard = socket;
  }

  #onLine(channel: Socket, line: string): void {
    if (channel !== this.#channel) return;
    const event = parse(eventSchema, line);
    if (event === null) return void channel.destroy();
    this.#shown.received(event, line);
    this.#onEvent(event);
  }

  #onGone(): void {
    this.#drop();
    this.#shown.gone();
    if (!this.#isClosing) this.#onEvent({ kind: 'gone' });
  }

  #drop(): void {
    const sockets = [this.#channel, this.#guard];
    this.#channel = null;
    this.#guard = null;
    for (const socket of sockets) socket?.destroy();
  }
}
