/** The main thread's end of the guard. An order can be called off; a dead guard is the end of the process. */
import { EventEmitter, once } from 'node:events';
import { Worker } from 'node:worker_threads';
import {
  BEGIN,
  fromWire,
  type GuardAnswers,
  type GuardData,
  type GuardOrder,
  type GuardReport,
  type GuardRequest,
} from './guard-protocol.ts';

export interface GuardEvents {
  /** Everything but answers. */
  onReport(report: Exclude<GuardReport, { kind: 'answer' | 'refusal' | 'loaded' | 'listening' }>): void;
  /** Without the guard nobody releases and nobody pets: the process must end. */
  onDeath(why: unknown): void;
}

interface Waiting {
  resolve(value: GuardAnswers[GuardOrder['op']]): void;
  reject(error: Error): void;
}

/** What the main thread needs of the guard; tests put a fake here. */
export interface Guard {
  ask<Order extends GuardOrder>(order: Order, signal?: AbortSignal): Promise<GuardAnswers[Order['op']]>;
}

/** The way to the guard: a worker thread, or a model of one in a simulation. */
export interface GuardLink {
  send(request: GuardRequest): void;
  end(): Promise<unknown>;
}

const GUARD_HEAP_MB = 48;

export class GuardProxy implements Guard {
  readonly #link: GuardLink;
  readonly #events: Pick<GuardEvents, 'onReport'>;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;

  constructor(link: GuardLink, events: Pick<GuardEvents, 'onReport'>) {
    this.#link = link;
    this.#events = events;
  }

  /**
   * Resolves when the thread's code is loaded. It does nothing before `begin`, which resolves when it listens for the agent:
   * loading takes longer than most releases, and is done while an executor that is to be replaced still has the lock.
   */
  static async load(
    path: string | URL,
    data: GuardData,
    events: GuardEvents,
  ): Promise<{ begin(): Promise<GuardProxy> }> {
    const worker = new Worker(path, {
      workerData: data,
      resourceLimits: { maxOldGenerationSizeMb: GUARD_HEAP_MB },
    });
    let isEnding = false;
    const link = {
      send: (request: GuardRequest) => worker.postMessage(request),
      end: () => {
        isEnding = true;
        return worker.terminate();
      },
    };
    const proxy = new GuardProxy(link, events);
    const said = new EventEmitter();
    worker.on('message', (report: GuardReport) => {
      if (report.kind === 'loaded' || report.kind === 'listening') said.emit(report.kind);
      else proxy.onReport(report);
    });
    worker.once('error', (error) => events.onDeath(error));
    worker.once('exit', (code) => {
      if (!isEnding) events.onDeath(new Error(`the guard ended with code ${code}`));
    });
    await once(said, 'loaded');
    const begin = async (): Promise<GuardProxy> => {
      worker.postMessage(BEGIN);
      await once(said, 'listening');
      return proxy;
    };
    return { begin };
  }

  ask<Order extends GuardOrder>(order: Order, signal?: AbortSignal): Promise<GuardAnswers[Order['op']]> {
    const id = this.#nextId++;
    const cancel = (): void => this.#link.send({ kind: 'cancel', id });
    return new Promise<GuardAnswers[Order['op']]>((resolve, reject) => {
      // The guard answers each order by its own kind.
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
      this.#link.send({ kind: 'order', id, order });
      if (signal?.aborted) cancel();
      else signal?.addEventListener('abort', cancel, { once: true });
    }).finally(() => signal?.removeEventListener('abort', cancel));
  }

  async close(): Promise<void> {
    await this.ask({ op: 'close' });
    await this.#link.end();
  }

  onReport(report: Exclude<GuardReport, { kind: 'loaded' | 'listening' }>): void {
    if (report.kind !== 'answer' && report.kind !== 'refusal') return this.#events.onReport(report);
    const waiting = this.#waiting.get(report.id);
    this.#waiting.delete(report.id);
    if (report.kind === 'answer') waiting?.resolve(report.value);
    else waiting?.reject(fromWire(report.error));
  }
}
