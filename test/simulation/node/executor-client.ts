/** The agent's side of the channel in a simulation: what `src/executor/client.ts` does with sockets and processes. */

import type { Config } from '../../../src/config/index.ts';
import type { Epoch, Instant, NodeId, Term, Timing } from '../../../src/core/index.ts';
import { QuorateError } from '../../../src/errors.ts';
import type { ExecutorClient, ExecutorEvent } from '../../../src/executor/index.ts';
import type { Order } from '../../../src/executor/protocol.ts';
import type { Thread } from '../engine/host.ts';
import { between } from '../engine/world.ts';
import type { ConnectedAgent, ExecutorProcess } from './executor-process.ts';

const SPAWN_MS = [30, 200] as const;
const CONNECT_MS = [0.1, 1] as const;
const GREETING_LIMIT_MS = 5_000;
const FEATURES_LIMIT_MS = 2_000;

/** The processes of one host, as far as an agent can reach them. */
export interface ExecutorHost {
  current(): ExecutorProcess | null;
  /** Kills the one before where that is asked for; null where another one is there. */
  spawn(mayReplace: boolean): ExecutorProcess | null;
}

export class SimulatedExecutorClient implements ExecutorClient {
  readonly #thread: Thread;
  readonly #pid: number;
  readonly #config: Config;
  readonly #host: ExecutorHost;
  readonly #random: () => number;
  #members: ReadonlyMap<NodeId, string>;
  #timing: Timing;
  #onEvent: (event: ExecutorEvent) => void = () => undefined;
  #process: ExecutorProcess | null = null;
  #session: string | null = null;
  #isClosing = false;
  #agent: ConnectedAgent | null = null;

  constructor(
    thread: Thread,
    pid: number,
    config: Config,
    members: ReadonlyMap<NodeId, string>,
    timing: Timing,
    host: ExecutorHost,
  ) {
    this.#thread = thread;
    this.#pid = pid;
    this.#config = config;
    this.#members = members;
    this.#timing = timing;
    this.#host = host;
    this.#random = thread.host.world.random(`client ${thread.host.id}`);
  }

  get connected(): boolean {
    return this.#process !== null;
  }

  async start(onEvent: (event: ExecutorEvent) => void, adopt: Epoch | null = null): Promise<void> {
    this.#onEvent = onEvent;
    const kept = this.#host.current();
    if (adopt !== null && kept?.isAlive === true && (await this.#ask(kept))?.kept === adopt) {
      try {
        return await this.#greet(kept, adopt);
      } catch {
        // Given up meanwhile; or the process before is still there, which a supervisor waits for here.
      }
    }
    const found = this.#host.current();
    await this.#greet(found?.isAlive === true ? found : await this.#spawn(false));
  }
  async replace(): Promise<void> {
    this.#drop();
    await this.#greet(await this.#spawn(true));
  }

  async canKeep(): Promise<boolean> {
    return this.#process !== null && (await this.#ask(this.#process)) !== null;
  }

  /** On a connection of its own. Null: no answer. */
  #ask(process: ExecutorProcess): Promise<{ readonly kept: Epoch | null } | null> {
    const thread = this.#thread;
    return new Promise((resolve) => {
      const timer = thread.clock.after(FEATURES_LIMIT_MS, () => resolve(null));
      process.main.post(between(this.#random, CONNECT_MS), () => {
        const { kept } = process;
        thread.post(between(this.#random, CONNECT_MS), () => {
          timer.cancel();
          resolve({ kept });
        });
      });
    });
  }

  async #spawn(mayReplace: boolean): Promise<ExecutorProcess> {
    await this.#thread.clock.sleep(between(this.#random, SPAWN_MS));
    const process = this.#host.spawn(mayReplace);
    if (process === null) throw new QuorateError('executor-unreachable', 'another executor has the lock');
    return process;
  }

  #greet(process: ExecutorProcess, adopt: Epoch | null = null): Promise<void> {
    const thread = this.#thread;
    return new Promise((resolve, reject) => {
      let isOver = false;
      const fail = (why: string): void => {
        if (isOver) return;
        isOver = true;
        timer.cancel();
        reject(new QuorateError('executor-unreachable', `the executor ${why}`));
      };
      const timer = thread.clock.after(GREETING_LIMIT_MS, () => fail('did not answer'));
      const agent: ConnectedAgent = {
        thread,
        onEvent: (event) => {
          if (this.#agent === agent) this.#onEvent(event);
        },
        onClosed: () => {
          fail('closed the connection');
          if (this.#agent === agent) this.#gone();
        },
      };
      const hello = {
        kind: 'hello',
        version: 1,
        node: this.#config.node,
        cluster: this.#config.cluster,
        config: this.#config.file,
        pid: this.#pid,
        startTime: String(this.#pid),
        members: new Map(this.#members),
        timing: this.#timing,
        ...(adopt === null ? {} : { adopt }),
      } as const;
      process.main.post(between(this.#random, CONNECT_MS), () => {
        if (isOver || !thread.isAlive) return;
        const answer = process.greet(hello, agent);
        if ('refusal' in answer) return void thread.post(0.1, () => fail(`refused: ${answer.refusal}`));
        // Known from here on: what the executor says next follows on the same channel.
        this.#agent = agent;
        this.#process = process;
        this.#session = answer.session;
        thread.post(between(this.#random, CONNECT_MS), () => {
          if (isOver) return;
          isOver = true;
          timer.cancel();
          resolve();
        });
      });
      if (!process.isAlive) fail('is gone');
    });
  }

  #send(
    order: Exclude<Order, { kind: 'hello' | 'features' | 'knows' | 'read-pools' | 'read-copies' }>,
  ): void {
    if (this.#agent !== null) this.#process?.order(order, this.#agent);
  }
  arm(id: number): void {
    this.#send({ kind: 'arm', id });
  }
  disarm(): void {
    this.#send({ kind: 'disarm' });
  }
  take(order: Parameters<ExecutorClient['take']>[0]): void {
    this.#send({ kind: 'take', hasProof: false, isForced: false, ...order });
  }
  renew(...lease: Parameters<ExecutorClient['renew']>): void {
    if (this.#session !== null) this.#process?.renew(this.#session, ...lease);
  }
  keep(epoch: Parameters<ExecutorClient['keep']>[0]): void {
    this.#send({ kind: 'keep', epoch });
  }
  fence(order: Parameters<ExecutorClient['fence']>[0]): void {
    this.#send({ kind: 'fence', ...order });
  }
  release(...release: Parameters<ExecutorClient['release']>): void {
    this.#send({ kind: 'release', epoch: release[0], mode: release[1] });
  }
  resumeIo(epoch: Parameters<ExecutorClient['resumeIo']>[0]): void {
    this.#send({ kind: 'resume-io', epoch });
  }
  look(): void {
    this.#send({ kind: 'look' });
  }

  readCopies(): void {
    throw new Error('no simulated pool is replicated by snapshots');
  }

  readPools(): void {
    throw new Error('the modelled clusters have no pools that are replicated by snapshots');
  }
  replicate(dataset: string | null): void {
    this.#send({ kind: 'replicate', dataset });
  }

  setMembers(members: ReadonlyMap<NodeId, string>, dataNodes: readonly NodeId[] | null): void {
    this.#members = members;
    const others = dataNodes === null ? {} : { dataNodes: [...dataNodes] };
    this.#send({ kind: 'members', members: new Map(members), ...others });
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
    if (how === 'farewell') this.#send({ kind: 'bye' });
    this.#drop();
  }

  #gone(): void {
    this.#drop();
    if (!this.#isClosing) this.#onEvent({ kind: 'gone' });
  }

  /** Also what the kernel does when the agent's process ends. */
  drop(): void {
    this.#drop();
  }
  #drop(): void {
    const [process, agent, session] = [this.#process, this.#agent, this.#session];
    this.#process = null;
    this.#agent = null;
    this.#session = null;
    if (process !== null && agent !== null) process.closed(agent, session);
  }
}
