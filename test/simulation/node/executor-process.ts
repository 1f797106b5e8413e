/**
 * One executor process: the real executor, guard, planner, runner, reconcile loop and resources, in two threads.
 *
 * Modelled: the way between the threads, the agent's channel and the guard's socket as messages with a short delay that arrive
 * in order; the lock (one executor a host; a successor kills the one before); that it ends some seconds after its agent.
 * Not modelled: sockets, JSON and its validation (test/executor has them).
 */
import { type Config, graphOf } from '../../../src/config/index.ts';
import { type Epoch, InvariantError, type NodeId, type Released } from '../../../src/core/index.ts';
import { cloudResources } from '../../../src/executor/cloud-resources.ts';
import { Executor } from '../../../src/executor/executor.ts';
import { FenceOrders } from '../../../src/executor/fence-orders.ts';
import type { GuardReport, GuardRequest } from '../../../src/executor/guard-protocol.ts';
import { GuardProxy } from '../../../src/executor/guard-proxy.ts';
import type { GuardSocketHandlers } from '../../../src/executor/guard-socket.ts';
import { GuardWorker } from '../../../src/executor/guard-worker.ts';
import type { Hello, SentEvent } from '../../../src/executor/protocol.ts';
import { localResources, otherDataNodes, resourcesOf } from '../../../src/executor/settings.ts';
import { leaseGate, newLeaseBuffer, SharedLease } from '../../../src/executor/shared-lease.ts';
import { SuspendCheck } from '../../../src/executor/suspend-check.ts';
import type { Host, Thread } from '../engine/host.ts';
import { between } from '../engine/world.ts';
import type { Cloud } from '../models/cloud.ts';
import type { HostPrograms } from '../models/commands.ts';
import type { Disk } from '../models/disk.ts';
import type { WatchdogDevice } from '../models/watchdog.ts';

const IPC_MS = [0.02, 0.3] as const;
/** As `--wait-ms`: an executor without an agent ends. */
const WAIT_MS = 10_000;

export interface ExecutorSetting {
  readonly host: Host;
  readonly config: Config;
  readonly disk: Disk;
  readonly programs: HostPrograms;
  readonly watchdog: WatchdogDevice | null;
  readonly cloud: Cloud;
  readonly sendStatement: (to: NodeId, statement: Released) => Promise<void>;
  readonly isRunning: (pid: number) => boolean;
  readonly killAgent: (pid: number) => Promise<boolean>;
  readonly onEnd: (process: ExecutorProcess) => void;
}

/** The other end of the channel. */
export interface ConnectedAgent {
  readonly thread: Thread;
  onEvent(event: SentEvent): void;
  onClosed(): void;
}

export class ExecutorProcess {
  readonly setting: ExecutorSetting;
  readonly main: Thread;
  readonly guardThread: Thread;
  readonly lease: SharedLease;
  readonly #executor: Executor;
  readonly #guard: GuardWorker;
  readonly #ipc: () => number;
  #handlers: GuardSocketHandlers | null = null;
  #session: string | null = null;
  #agent: ConnectedAgent | null = null;
  #lastAt = new Map<string, number>();
  #waiting: { cancel(): void } | null = null;
  /** What the guard believes, for the checks. */
  isListening = false;

  constructor(setting: ExecutorSetting) {
    const { host, config, disk, programs, watchdog, cloud } = setting;
    this.setting = setting;
    const leaseBuffer = newLeaseBuffer();
    this.lease = new SharedLease(leaseBuffer);
    this.#ipc = host.world.random(`ipc ${host.id}`);
    const suspendCheck = (thread: Thread): SuspendCheck =>
      new SuspendCheck(
        () => thread.clock.now(),
        () => host.bootMs,
      );
    this.main = host.thread('executor');
    this.guardThread = host.thread('guard');
    const guardThread = this.guardThread;
    this.#guard = new GuardWorker(
      {
        dataDir: config.dataDir,
        mark: host.id,
        socketPath: '',
        graph: graphOf(resourcesOf(config)),
        resources: localResources(resourcesOf(config)),
        otherDataNodes: otherDataNodes(config),
        watchdog:
          watchdog === null || config.watchdog.mode === 'off'
            ? null
            : { device: config.watchdog.device, mode: config.watchdog.mode, statedMs: null },
        selfFence: 'off',
        mayKill: false,
        releaseMs: config.timing.releaseMs,
        sendsReplicas: false,
        isReleaseOnly: false,
        lease: leaseBuffer,
      },
      {
        clock: guardThread.clock,
        runner: programs.runner(guardThread),
        state: disk.executorState(guardThread),
        suspendCheck: () => suspendCheck(guardThread),
        openWatchdog: () => (watchdog as WatchdogDevice).open(guardThread),
        fatal: (error) => {
          if (error instanceof InvariantError) host.world.fail('invariant', `${host.id}: ${error.message}`);
          host.world.marks.add('guard-ends-the-process');
          this.end();
        },
        selfFence: () => undefined,
        listen: async (handlers) => {
          this.#handlers = handlers;
          return {
            setSession: (session) => {
              this.#session = session;
            },
            close: () => undefined,
          };
        },
        report: (report) => this.#fromGuard(report),
      },
    );
    const proxy = new GuardProxy(
      { send: (request) => this.#toGuard(request), end: () => Promise.resolve() },
      { onReport: (report) => this.#executor.onGuardReport(report) },
    );
    this.#proxy = proxy;
    const resources = resourcesOf(config);
    const mayMutate = leaseGate(
      this.lease,
      () => this.main.clock.now(),
      () => host.bootMs,
    );
    this.#executor = new Executor({
      node: config.node,
      cluster: config.cluster,
      graph: graphOf(resources),
      cloud: cloudResources(config, {
        clock: this.main.clock,
        random: host.world.random(`eip ${host.id}`),
        mayMutate,
        apis: {
          ec2: () => cloud.api(this.main),
          elb: () => notModelled('load balancers'),
          fencing: () => notModelled('fencing'),
        },
      }),
      otherDataNodes: otherDataNodes(config),
      hasReplication: resources.some(({ kind }) => kind === 'drbd'),
      guard: proxy,
      // The modelled clusters have no instances to stop.
      fences: new FenceOrders({ clock: this.main.clock, bootMs: () => host.bootMs, fencer: () => null }),
      lease: this.lease,
      clock: this.main.clock,
      send: (event) => this.#toAgent(event),
      sendStatement: (_address, statement) => setting.sendStatement(statement.to, statement),
      isRunning: ({ pid }) => setting.isRunning(pid),
      killProcess: ({ pid }) => setting.killAgent(pid),
      log: (_level, fields) => {
        if (host.world.isVerbose) host.say(`executor ${JSON.stringify(fields)}`);
      },
    });
    this.#executor.start();
    this.#waitForAgent();
    void this.#guard.start().then(() => {
      this.isListening = true;
    });
  }
  readonly #proxy: GuardProxy;

  get isAlive(): boolean {
    return this.main.isAlive;
  }

  // --- between the threads ---

  #toGuard(request: GuardRequest): void {
    this.#inOrder('guard', this.guardThread, () => this.#guard.onRequest(request));
  }
  #fromGuard(report: GuardReport): void {
    if (report.kind === 'listening' || report.kind === 'loaded') return;
    this.#inOrder('main', this.main, () => this.#proxy.onReport(report));
  }
  #inOrder(way: string, thread: Thread, act: () => void): void {
    const { now } = this.setting.host.world;
    const at = Math.max(now + between(this.#ipc, IPC_MS), this.#lastAt.get(way) ?? 0);
    this.#lastAt.set(way, at);
    thread.post(at - now, act);
  }

  // --- the agent's channel ---

  /** L7: the epoch that waits for a new agent. */
  get kept(): Epoch | null {
    return this.#executor.kept;
  }

  get hasAgent(): boolean {
    return this.#agent !== null;
  }

  /** In the main thread. The session, or why not. */
  greet(hello: Hello, agent: ConnectedAgent): { session: string } | { refusal: string } {
    if (this.#agent !== null) return { refusal: 'another agent is connected' };
    const answer = this.#executor.onHello(hello);
    if ('session' in answer) {
      this.#agent = agent;
      this.#waiting?.cancel();
    }
    return answer;
  }

  order(order: Parameters<Executor['onOrder']>[0], agent: ConnectedAgent): void {
    this.#inOrder('orders', this.main, () => {
      if (this.#agent === agent) this.#executor.onOrder(order);
    });
  }
  renew(session: string, ...lease: Parameters<GuardSocketHandlers['onRenew']>): void {
    this.#inOrder('renewals', this.guardThread, () => {
      if (session === this.#session) this.#handlers?.onRenew(...lease);
    });
  }
  #toAgent(event: SentEvent): void {
    const agent = this.#agent;
    if (agent !== null) this.#inOrder('events', agent.thread, () => agent.onEvent(event));
  }

  /** The agent is gone, or has closed its sockets: the kernel tells both threads at once. */
  closed(agent: ConnectedAgent, session: string | null): void {
    this.#inOrder('renewals', this.guardThread, () => {
      if (session !== null && session === this.#session) this.#handlers?.onClosed();
    });
    this.#inOrder('orders', this.main, () => {
      if (this.#agent !== agent) return;
      this.#agent = null;
      const { saidBye } = this.#executor;
      this.#executor.onClosed();
      void this.#executor.ending.then(() => {
        if (this.#agent !== null) return;
        if (saidBye) this.end();
        else this.#waitForAgent();
      });
    });
  }

  #waitForAgent(): void {
    this.#waiting?.cancel();
    this.#waiting = this.main.clock.after(WAIT_MS, () => {
      if (this.#agent === null) this.end();
    });
  }

  /** Killed, or at its end; what it has started goes on. */
  end(): void {
    if (!this.isAlive) return;
    this.main.end();
    this.guardThread.end();
    const agent = this.#agent;
    this.#agent = null;
    if (agent !== null) agent.thread.post(between(this.#ipc, IPC_MS), () => agent.onClosed());
    this.setting.onEnd(this);
  }
}

function notModelled(what: string): never {
  throw new Error(`the simulation has no ${what}`);
}
