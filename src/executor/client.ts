/**
 * The agent's side of the executor. Small on purpose: no cloud SDK, no child processes but the executor itself.
 *
 * `start` finds an executor on its socket or spawns one; `replace` spawns one that first makes sure that the old one is
 * gone (O1). Orders go over the channel, renewals over the guard's own socket (T4).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../clock.ts';
import type { Epoch, Instant, NodeId, Term, Timing } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { readLines } from '../lines.ts';
import { lockOwner } from './lock.ts';
import { NEWER_FIELDS } from './newer-fields.ts';
import { ownProcess, type ProcessId } from './processes.ts';
import {
  type ExecutorEvent,
  eventSchema,
  type Greeting,
  greetingSchema,
  type OrderText,
  PROTOCOL_VERSION,
} from './protocol.ts';
import type { ExecutorTap, Renewal } from './tap.ts';
import { channelSocket, guardSocket } from './unix-path.ts';

export interface TakeOrder {
  readonly epoch: Epoch;
  readonly term: Term;
  /** End of the lease. */
  readonly until: Instant;
  /** The release of the tenure before is proven in the log. */
  readonly previousReleased: boolean;
  /** The log proves it of everybody who has held before (R4, R5); only where `true`. */
  readonly hasProof?: boolean;
  /** O3: an operator's override lets this tenure promote old data; only where `true`. */
  readonly isForced?: boolean;
}

export interface FenceOrder {
  readonly id: number;
  readonly node: NodeId;
  /** End of the caller's lease, and when the newest round that it rests on was sent (L1). */
  readonly until: Instant;
  readonly confirmedAt: Instant;
}

export interface ExecutorClient {
  /**
   * `adopt` (L7): what the process before may have left to this one. Where the executor keeps that, the first event is `kept`
   * and nothing is released; otherwise it is a start like any other.
   */
  start(onEvent: (event: ExecutorEvent) => void, adopt?: Epoch | null): Promise<void>;
  /** O1: after `gone`. A new executor that takes over from the dead one, releases and verifies; then `ready`. */
  replace(): Promise<void>;
  /** Answered by `armed` or `arm-failed` with the same number. */
  arm(id: number): void;
  /** Nothing was taken after `arm`: closes the watchdog in order. A release does so by itself. */
  disarm(): void;
  take(order: TakeOrder): void;
  /** To the guard's own socket, with every confirmed round. */
  renew(epoch: Epoch, until: Instant): void;
  release(epoch: Epoch, mode: 'planned' | 'abrupt'): void;
  /** H6: keep what a failed takeover has got, and repair the rest. */
  keep(epoch: Epoch): void;
  /** R5; answered by `fence-ended` with the same number and node. */
  fence(order: FenceOrder): void;
  resumeIo(epoch: Epoch): void;
  /** Reads the replicated data now; answered by `data-read`. */
  look(): void;
  /** Answered by `copies-read` with the same number. */
  readCopies(id: number): void;
  /** Answered by `pools-read`, in pieces, or `pools-unread`, with the same number. */
  readPools(id: number): void;
  /** A round of snapshot replication now; null: of everything. */
  replicate(dataset: string | null): void;
  /** `dataNodes`: the others that a block layer mirrors; null: those of the config file. */
  setMembers(members: ReadonlyMap<NodeId, string>, dataNodes: readonly NodeId[] | null): void;
  /** Answered by `timing-applied` with the same values. */
  setTiming(timing: Timing): void;
  /** L7: can it keep a tenure while its agent is restarted? One of an older version cannot. */
  canKeep(): Promise<boolean>;
  /** L7: it keeps everything until then without an agent. Answered by `handed-over` or `hand-over-refused`. */
  handOver(epoch: Epoch, until: Instant): void;
  /** L7: what it has kept is bound to this term's lease. Answered by `bound`. */
  bind(epoch: Epoch, term: Term, until: Instant): void;
  /** L7: the adoption is committed. */
  adopt(epoch: Epoch, until: Instant): void;
  /**
   * `farewell`: no statement, and the executor ends too (unless it was told to stay). `abandon` breaks the channel as a
   * crash does: the executor releases, kills this process and tells the members (R4).
   */
  close(how?: 'farewell' | 'abandon'): Promise<void>;
  readonly connected: boolean;
}

export interface ExecutorClientOptions {
  readonly node: NodeId;
  readonly cluster: string;
  readonly configFile: string;
  readonly dataDir: string;
  /** Peer addresses of the other members. */
  readonly members: ReadonlyMap<NodeId, string>;
  readonly timing: Timing;
  /** dist/executor.mjs; found beside the running bundle where absent. */
  readonly program?: string;
  /** Further arguments for the executor, as `--self-fence sysrq`. */
  readonly args?: readonly string[];
  /** The process whose death the executor makes sure of; this one where absent. */
  readonly agentProcess?: ProcessId;
  /** Told of every order and report while somebody looks. */
  readonly tap?: ExecutorTap;
}

const START_LIMIT_MS = 15_000;
const RETRY_MS = 20;
const GREETING_LIMIT_MS = 5000;
const CLOSE_LIMIT_MS = 2000;
const FEATURES_LIMIT_MS = 2000;
/** An executor of before answers none of them, in the first seconds of its agent only. */
const FEATURES_TRIES = 5;
const FEATURES_PAUSE_MS = 3000;
/** How long the process before may still take to end (L7). */
const COME_BACK_LIMIT_MS = 5000;
/** A guard that does not read gets no more: an old renewal is worth nothing. */
const MAX_UNSENT_BYTES = 16 * 1024;

export function createExecutorClient(options: ExecutorClientOptions): ExecutorClient {
  return new Client(options);
}

class Client implements ExecutorClient {
  readonly #options: ExecutorClientOptions;
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
    await this.#greet(found ?? (await this.#spawnAndConnect([])));
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
    await this.#greet(await this.#spawnAndConnect(['--replace']));
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
    if (this.#options.tap?.isWatched === true) this.#show({ kind: 'renew', epoch, until }, line, isSent);
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
    if (this.#options.tap?.isWatched === true) this.#show(order, line, this.#channel !== null);
  }

  #show(content: OrderText | Renewal, line: string, isSent: boolean): void {
    const bytes = Buffer.byteLength(line);
    this.#options.tap?.line({ direction: 'sent', content, bytes, outcome: isSent ? null : 'not sent' });
  }

  #showReport(content: ExecutorEvent | Greeting, line: string): void {
    const bytes = Buffer.byteLength(line) + 1;
    this.#options.tap?.line({ direction: 'received', content, bytes, outcome: null });
  }

  async #spawnAndConnect(extra: readonly string[]): Promise<Socket> {
    const { node, configFile, dataDir, args = [] } = this.#options;
    const program = this.#options.program ?? findProgram();
    const child = spawn(
      process.execPath,
      [program, '--config', configFile, '--node', node, ...args, ...extra],
      {
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    );
    this.#child = child;
    let failure: string | null = null;
    child.once('error', (error) => {
      failure = error.message;
    });
    child.once('exit', (code, signal) => {
      failure ??= `it ended with ${code === null ? signal : `code ${code}`}`;
    });
    const end = systemClock.now() + START_LIMIT_MS;
    for (;;) {
      // The old one may still listen, or hang with its socket open: only the child counts, once it has the lock.
      const isChildThere = lockOwner(dataDir)?.pid === child.pid;
      const socket = isChildThere ? await tryConnect(channelSocket(dataDir)) : null;
      if (socket !== null) return socket;
      if (failure !== null)
        throw new QuorateError('executor-unreachable', `the executor did not start: ${failure}`);
      if (systemClock.now() >= end) {
        throw new QuorateError(
          'executor-unreachable',
          `no executor on ${dataDir} after ${START_LIMIT_MS} ms`,
        );
      }
      await systemClock.sleep(RETRY_MS);
    }
  }

  /** Resolves when the executor has said welcome and the guard's socket is connected. */
  #greet(channel: Socket, adopt: Epoch | null = null): Promise<void> {
    const { node, cluster, configFile, agentProcess = ownProcess() } = this.#options;
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
          if (this.#options.tap?.isWatched === true) this.#showReport(greeting, line);
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
      const hello = {
        kind: 'hello',
        version: PROTOCOL_VERSION,
        node,
        cluster,
        config: configFile,
        ...agentProcess,
        members: Object.fromEntries(this.#members),
        timing: this.#timing,
        // Never there otherwise: an executor of before would not know it.
        ...(adopt === null ? {} : { adopt }),
      } satisfies OrderText;
      const line = `${JSON.stringify(hello)}\n`;
      channel.write(line);
      if (this.#options.tap?.isWatched === true) this.#show(hello, line, true);
    });
  }

  /** Not waited for: until it is said, the executor leaves out what is newer. */
  async #sayWhatIsKnown(channel: Socket): Promise<void> {
    let features = await askFeatures(channelSocket(this.#options.dataDir));
    // One that has just been started may be too busy to answer in time.
    for (
      let again = 0;
      features === null && again < FEATURES_TRIES && this.#channel === channel;
      again += 1
    ) {
      await systemClock.sleep(FEATURES_PAUSE_MS);
      if (this.#channel === channel) features = await askFeatures(channelSocket(this.#options.dataDir));
    }
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
    if (this.#options.tap?.isWatched === true) this.#showReport(event, line);
    this.#onEvent(event);
  }

  #onGone(): void {
    this.#drop();
    if (this.#options.tap?.isWatched === true)
      this.#options.tap.line({ direction: 'received', content: { kind: 'gone' }, bytes: 0, outcome: null });
    if (!this.#isClosing) this.#onEvent({ kind: 'gone' });
  }

  #drop(): void {
    const sockets = [this.#channel, this.#guard];
    this.#channel = null;
    this.#guard = null;
    for (const socket of sockets) socket?.destroy();
  }
}

function parse<Output>(
  schema: { safeParse(value: unknown): { success: true; data: Output } | { success: false } },
  line: string,
): Output | null {
  try {
    const result = schema.safeParse(JSON.parse(line));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}

/** Null: nobody is there, or one of a version that closes the connection at what it does not know. */
async function askFeatures(path: string): Promise<Extract<Greeting, { kind: 'features' }> | null> {
  const socket = await tryConnect(path);
  if (socket === null) return null;
  return new Promise((resolve) => {
    const answer = (greeting: Greeting | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(greeting?.kind === 'features' ? greeting : null);
    };
    const timer = setTimeout(() => answer(null), FEATURES_LIMIT_MS);
    socket.once('close', () => answer(null));
    readLines(socket, {
      onTooLong: () => answer(null),
      onLine: (line) => answer(parse(greetingSchema, line)),
    });
    socket.write(`${JSON.stringify({ kind: 'features' } satisfies OrderText)}\n`);
  });
}

function tryConnect(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      socket.on('error', () => undefined);
      resolve(socket);
    });
    socket.once('error', () => resolve(null));
  });
}

/** Bundled, this code is in dist/ or in dist/chunks/. */
export function findProgram(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const found = [here, dirname(here), join(here, '../../dist')]
    .map((directory) => join(directory, 'executor.mjs'))
    .find((path) => existsSync(path));
  if (found === undefined)
    throw new QuorateError('executor-unreachable', 'executor.mjs is not beside this program');
  return found;
}
