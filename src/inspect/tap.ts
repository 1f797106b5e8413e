/**
 * Where everything that passes can be seen: between the nodes, to and from the executor, and to the cloud.
 *
 * 1. Nobody looks: one branch a message, nothing is made, nothing kept, and the executor tells of no calls.
 * 2. Somebody looks: a message costs one small object and a push. It is decoded, made fit to be shown and sent later, when
 *    the event loop has nothing else to do. A viewer that does not keep up loses, never the consensus.
 */
import { type Clock, systemClock } from '../clock.ts';
import type { NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { CallReport, ExecutorTap, SeenOrder, SeenReport } from '../executor/index.ts';
import type { PeerTap, SeenMessage } from '../peer/index.ts';
import { type FilterRequest, filterOf } from './filter.ts';
import { Latencies } from './latencies.ts';
import { type Observation, ofCall, ofLine, ofMessage } from './observation.ts';
import { Viewer } from './viewer.ts';

/** At once; one more is refused. */
export const MOST_VIEWERS = 4;

export interface TapOptions {
  readonly self: NodeId;
  /** The other nodes that a filter may name. */
  readonly others: readonly NodeId[];
  /** Begins to tell of the calls to the cloud; what it returns ends that. */
  readonly followCalls: (onReport: (report: CallReport) => void) => () => void;
  readonly clock?: Pick<Clock, 'now' | 'wallMs'>;
}

export class Tap implements PeerTap, ExecutorTap {
  isWatched = false;
  readonly #options: TapOptions;
  readonly #clock: Pick<Clock, 'now' | 'wallMs'>;
  readonly #viewers = new Set<Viewer>();
  readonly #latencies = new Latencies();
  #endCalls: (() => void) | null = null;
  #isEnded = false;
  #wallOffsetMs = 0;

  constructor(options: TapOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  get self(): NodeId {
    return this.#options.self;
  }

  /** Of an observation: ms since 1970 with fractions, for people only (T3). A step of the wall clock is not followed. */
  wallMsOf({ at }: Pick<Observation, 'at'>): number {
    return this.#wallOffsetMs + at;
  }

  /** Throws `usage` for a filter that names what does not exist, and `inspect-busy`. */
  watch(request: FilterRequest): Viewer {
    const viewer = new Viewer(filterOf(request, this.#options.others));
    if (this.#isEnded) throw new QuorateError('inspect-ended', `${this.self} is ending`);
    if (this.#viewers.size >= MOST_VIEWERS)
      throw new QuorateError('inspect-busy', `${MOST_VIEWERS} others look at ${this.self} already`);
    this.#viewers.add(viewer);
    if (this.#viewers.size === 1) this.#begin();
    return viewer;
  }

  leave(viewer: Viewer): void {
    if (!this.#viewers.delete(viewer) || this.#viewers.size > 0) return;
    this.isWatched = false;
    this.#latencies.clear();
    this.#endCalls?.();
    this.#endCalls = null;
  }

  /** The agent ends: viewers are told so and leave. */
  end(): void {
    this.#isEnded = true;
    this.#endAll(`the agent of ${this.self} ends`);
  }

  message(seen: SeenMessage): void {
    this.#guarded(() => this.#onMessage(seen));
  }

  line(seen: SeenOrder | SeenReport): void {
    this.#guarded(() => this.#onLine(seen));
  }

  #onMessage(seen: SeenMessage): void {
    const at = this.#clock.now();
    const { direction, peer, message } = seen;
    // What did not leave asks nothing.
    const isAsked = message !== null && seen.outcome === null;
    const measured = isAsked ? this.#latencies.ofMessage(direction, peer, message, at) : null;
    this.#offer(ofMessage(seen, at, seen.latencyMs ?? measured));
  }

  #onLine(seen: SeenOrder | SeenReport): void {
    const at = this.#clock.now();
    const latencyMs = seen.outcome === null ? this.#latencies.ofLine(seen.content, at) : null;
    this.#offer(ofLine(seen, at, latencyMs));
  }

  #begin(): void {
    this.isWatched = true;
    this.#wallOffsetMs = this.#clock.wallMs() - this.#clock.now();
    this.#endCalls = this.#options.followCalls((report) =>
      this.#guarded(() => {
        if (report.missed > 0) for (const viewer of this.#viewers) viewer.missCalls(report.missed);
        this.#offer(ofCall(report));
      }),
    );
  }

  /** An error in here must cost the looking, not the tenure: it is called on the way of every message. */
  #guarded(observe: () => void): void {
    try {
      observe();
    } catch (error) {
      this.#endAll(`what was to be shown could not be: ${String(error)}`);
    }
  }

  #endAll(why: string): void {
    for (const viewer of [...this.#viewers]) {
      viewer.end(why);
      this.leave(viewer);
    }
  }

  #offer(seen: Observation): void {
    for (const viewer of this.#viewers) viewer.offer(seen);
  }
}
