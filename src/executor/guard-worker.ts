/** The guard's thread: its resources, its socket, its orders. What may happen when is decided in `guard-core.ts`. */
import type { Clock } from '../clock.ts';
import type { LocalResourceConfig } from '../config/index.ts';
import { assert, assertNever, type Epoch, type Instant, instant } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import {
  type ActionContext,
  type CommandRunner,
  DrbdResource,
  GatewayMemory,
  PoolMemory,
  type Resource,
  type StartLimit,
} from '../resources/index.ts';
import { DrbdWatches } from './drbd-watches.ts';
import { FrozenIoRelease } from './frozen-io.ts';
import { GuardCore } from './guard-core.ts';
import type { GuardOptions } from './guard-options.ts';
import {
  type GuardAnswers,
  type GuardData,
  type GuardOrder,
  type GuardReport,
  type GuardRequest,
  toWire,
} from './guard-protocol.ts';
import type { GuardSocket, GuardSocketHandlers } from './guard-socket.ts';
import { localResource } from './local-resources.ts';
import { NetworkFollower } from './network-follower.ts';
import type { SelfFence } from './self-fence.ts';
import { SharedLease } from './shared-lease.ts';
import type { SuspendCheck } from './suspend-check.ts';
import type { VerifiedReleaseOptions } from './verified-release.ts';
import type { WatchdogKeeperOptions } from './watchdog-keeper.ts';

const REATTACH_LIMIT_MS = 30_000;

/** Everything outside that the guard is put together from: the real things in production, models in a simulation. */
export interface GuardParts {
  readonly clock: Clock;
  readonly runner: CommandRunner & VerifiedReleaseOptions['children'];
  readonly state: GuardOptions['state'];
  readonly suspendCheck: () => SuspendCheck;
  readonly openWatchdog: WatchdogKeeperOptions['open'];
  readonly selfFence: SelfFence;
  readonly fatal: GuardOptions['fatal'];
  /** The agent's renewals (T4). */
  readonly listen: (handlers: GuardSocketHandlers) => Promise<Pick<GuardSocket, 'setSession' | 'close'>>;
  /** To the main thread. */
  readonly report: (report: GuardReport) => void;
}

export class GuardWorker {
  readonly #data: GuardData;
  readonly #parts: GuardParts;
  readonly #core: GuardCore;
  readonly #lease: SharedLease;
  readonly #local = new Map<string, Resource>();
  readonly #gated = new Map<string, (epoch: Epoch) => Resource>();
  readonly #drbd: DrbdWatches;
  #tried: { readonly epoch: Epoch; readonly names: Set<string> } | null = null;
  #had: { readonly epoch: Epoch; readonly names: Set<string> } | null = null;
  /** For what may run on when its order has been answered. */
  #upkeep: { readonly epoch: Epoch; readonly abort: AbortController } | null = null;
  readonly #running = new Map<number, AbortController>();
  readonly #network: NetworkFollower | null;
  readonly #frozenIo: FrozenIoRelease;
  #socket: Pick<GuardSocket, 'setSession' | 'close'> | null = null;

  constructor(data: GuardData, parts: GuardParts) {
    this.#data = data;
    this.#parts = parts;
    this.#drbd = new DrbdWatches({
      ...{ runner: parts.runner, clock: parts.clock, local: this.#local, report: parts.report },
      otherDataNodes: data.otherDataNodes,
    });
    this.#frozenIo = new FrozenIoRelease({
      graph: data.graph,
      local: this.#local,
      lastSeen: (name) => this.#drbd.lastSeen(name),
      log: (level, fields) => parts.report({ kind: 'log', level, fields }),
    });
    for (const config of data.resources) this.#addResource(config);
    const interfaces = new Set(data.resources.flatMap((one) => ('interface' in one ? [one.interface] : [])));
    this.#network =
      interfaces.size === 0
        ? null
        : new NetworkFollower(interfaces, parts.runner, parts.clock, () => parts.report({ kind: 'network' }));
    const { watchdog } = data;
    this.#lease = new SharedLease(data.lease);
    this.#core = new GuardCore({
      graph: data.graph,
      local: this.#local,
      clock: parts.clock,
      lease: this.#lease,
      state: parts.state,
      children: parts.runner,
      watchdog: watchdog === null ? null : { ...watchdog, open: parts.openWatchdog },
      suspendCheck: parts.suspendCheck,
      selfFence: parts.selfFence,
      fatal: parts.fatal,
      report: (report) => {
        parts.report(report);
        if (report.kind === 'released') this.#reattach();
      },
      releaseMs: data.releaseMs,
    });
  }

  async start(): Promise<void> {
    this.#socket = await this.#parts.listen({
      onRenew: (epoch, until) => this.#core.renew(epoch, until),
      onClosed: () => this.#core.onAgentClosed(),
    });
    this.#drbd.start();
    this.#network?.start();
    this.#parts.report({ kind: 'listening' });
    // O1: what a dead predecessor left is released now, not only when an agent comes.
    void this.#core.verify('the executor starts');
  }

  #addResource(config: LocalResourceConfig): void {
    if (config.kind === 'drbd') this.#drbd.add(config.name, config.resource);
    const memories = { gatewayMemory: new GatewayMemory(), poolMemory: new PoolMemory() };
    const make = (runner: CommandRunner): Resource =>
      localResource(config, {
        runner,
        clock: this.#parts.clock,
        mark: this.#data.mark,
        mayKill: this.#data.mayKill,
        frozenIo: STORAGE_ON_DRBD.has(config.kind) ? this.#frozenIo.of(config.name) : null,
        devicesBelow: (context) => this.#frozenIo.devicesBelow(config.name, context),
        otherDataNodes: this.#drbd.otherDataNodes,
        lastSeen: () => this.#drbd.lastSeen(config.name),
        ...memories,
        dataDir: this.#data.dataDir,
      });
    this.#local.set(config.name, make(this.#parts.runner));
    this.#gated.set(config.name, (epoch) => make(this.#gatedRunner(epoch)));
  }

  #reattach(): void {
    const { signal } = new AbortController();
    void this.#frozenIo.reattach({ deadline: this.#after(REATTACH_LIMIT_MS), signal });
  }

  /**
   * O1: the check of epoch and lease, and the start of the command, are one step of one thread. Where another process starts
   * it, that one asks again.
   */
  #gatedRunner(epoch: Epoch): CommandRunner {
    const { runner } = this.#parts;
    return {
      run: (command, options) =>
        this.#core.mayAct(epoch)
          ? runner.run(command, { ...options, startLimit: this.#startLimit() })
          : Promise.resolve({ kind: 'aborted' }),
      killMarked: (marker, deadline) => runner.killMarked(marker, deadline),
      follow: (command, handlers) => runner.follow(command, handlers),
    };
  }

  #startLimit(): StartLimit {
    const { until, distanceMs } = this.#lease;
    return { until, distanceMs };
  }

  /** From the main thread. */
  onRequest(request: GuardRequest): void {
    this.#core.evaluate();
    if (request.kind === 'cancel') {
      this.#running.get(request.id)?.abort();
      return;
    }
    const { id, order } = request;
    const controller = new AbortController();
    this.#running.set(id, controller);
    this.#perform(order, controller.signal)
      .then(
        (value) => this.#parts.report({ kind: 'answer', id, value }),
        (error: unknown) => {
          // A broken invariant, or a state file that cannot be written, is not an answer.
          if (!(error instanceof QuorateError)) this.#parts.fatal(error);
          this.#parts.report({ kind: 'refusal', id, error: toWire(error) });
        },
      )
      .finally(() => this.#running.delete(id));
  }

  async #perform(order: GuardOrder, signal: AbortSignal): Promise<GuardAnswers[GuardOrder['op']]> {
    switch (order.op) {
      case 'hello':
        this.#core.setTiming(order.timing);
        this.#socket?.setSession(order.session);
        return this.#core.verify('a new agent said hello (L4)');
      case 'timing':
        this.#core.setTiming(order.timing);
        return null;
      case 'others':
        this.#drbd.setOthers(order.ids);
        return null;
      case 'arm':
        await this.#core.arm();
        return null;
      case 'disarm':
        await this.#core.disarm();
        return null;
      case 'begin':
        await this.#core.begin(order.epoch, order.term, order.until);
        return null;
      case 'acquire': {
        const { previousReleased, proof, isForced, epoch } = order;
        const context = this.#upkeepContext(order, signal);
        const had = this.#hadUnder(epoch);
        const isFirst = !had.has(order.name);
        const resource = this.#gatedResource(order.name, epoch);
        // O3: once in a tenure. What it has had, or may have got by an attempt whose end is not known, is not forced again.
        const mayForce = isForced && isFirst && !this.#triedUnder(epoch).has(order.name);
        if (isForced) this.#triedUnder(epoch).add(order.name);
        const said = await resource.acquire({
          ...{ ...context, epoch, previousReleased, proof, isFirst, mayForce },
        });
        had.add(order.name);
        return said;
      }
      case 'release': {
        const context = this.#actContext(order, signal);
        return this.#gatedResource(order.name, order.epoch).release({ ...context, mode: 'planned' });
      }
      case 'refresh': {
        const resource = this.#gatedResource(order.name, order.epoch);
        const context = this.#upkeepContext(order, signal);
        return (await resource.refresh?.(context)) ?? { outcome: 'well', said: 'nothing to refresh' };
      }
      case 'call-off':
        if (this.#upkeep?.epoch === order.epoch) this.#upkeep.abort.abort();
        return null;
      case 'probe':
        return this.#drbd.probe(order, { deadline: this.#after(order.limitMs), signal });
      case 'resume-io':
        return this.#resumeIo(order, signal);
      case 'look':
        return this.#drbd.look({ deadline: this.#after(order.limitMs), signal });
      case 'hand-over':
        this.#core.handOver(order.epoch, order.until);
        return null;
      case 'come-back': {
        const until = this.#core.awaitAdoption(order.epoch);
        this.#core.setTiming(order.timing);
        this.#socket?.setSession(order.session);
        return until;
      }
      case 'bind':
        await this.#core.bind(order.epoch, order.term, order.until);
        return null;
      case 'adopt':
        this.#core.adopt(order.epoch, order.until);
        return null;
      case 'close':
        this.#drbd.close();
        this.#network?.close();
        this.#core.close();
        this.#socket?.close();
        return null;
      case 'finish':
        return this.#core.finish(order.epoch);
      case 'verify':
        return this.#core.tidy(order.why);
      case 'abrupt':
        return this.#core.abrupt(order.epoch, order.why);
      default:
        return assertNever(order);
    }
  }

  /** What this tenure has acquired before. */
  #hadUnder(epoch: Epoch): Set<string> {
    if (this.#had?.epoch !== epoch) this.#had = { epoch, names: new Set() };
    return this.#had.names;
  }

  /** What an acquire was begun for under this override. */
  #triedUnder(epoch: Epoch): Set<string> {
    if (this.#tried?.epoch !== epoch) this.#tried = { epoch, names: new Set() };
    return this.#tried.names;
  }

  #actContext(order: { epoch: Epoch; limitMs: number }, signal: AbortSignal): ActionContext {
    return {
      deadline: this.#after(order.limitMs),
      signal: AbortSignal.any([signal, this.#core.signalOf(order.epoch)]),
    };
  }

  /** For what a planned release of the epoch calls off, even when its order has been answered. */
  #upkeepContext(order: { epoch: Epoch; limitMs: number }, signal: AbortSignal): ActionContext {
    const { epoch } = order;
    // Refused for an epoch that has ended, before anything of the present one is touched.
    this.#core.signalOf(epoch);
    // What is taken back after a release that failed has a signal of its own.
    if (this.#upkeep?.epoch !== epoch || this.#upkeep.abort.signal.aborted)
      this.#upkeep = { epoch, abort: new AbortController() };
    return this.#actContext(order, AbortSignal.any([signal, this.#upkeep.abort.signal]));
  }

  async #resumeIo(order: { epoch: Epoch; limitMs: number }, signal: AbortSignal): Promise<string> {
    const context = this.#actContext(order, signal);
    const said: string[] = [];
    for (const name of this.#drbd.names) {
      const resource = this.#gatedResource(name, order.epoch);
      assert(resource instanceof DrbdResource, `${name} is not a DRBD resource`);
      said.push(`${name}: ${await resource.resumeIo(context)}`);
    }
    return said.join('; ');
  }

  #gatedResource(name: string, epoch: Epoch): Resource {
    const make = this.#gated.get(name);
    assert(make !== undefined, `no local resource ${name}`);
    return make(epoch);
  }

  #after(limitMs: number): Instant {
    return instant(this.#parts.clock.now() + limitMs);
  }
}

/** Whose unmount waits for the writes of the device below. */
const STORAGE_ON_DRBD: ReadonlySet<LocalResourceConfig['kind']> = new Set(['mount', 'zfs-pool'] as const);
