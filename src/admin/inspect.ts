/**
 * `Inspect`: sends a viewer what its queue has, decoded here and not on the way of the messages. One page is under way at a
 * time, so that whoever does not read keeps one page of memory and its queue, and is cut off after a while.
 */
import type { ServerWritableStream } from '@grpc/grpc-js';
import { QuorateError } from '../errors.ts';
import { type FilterRequest, type Tap, type Viewer, type WireItem, wireItem } from '../inspect/index.ts';
import { toStatus } from './errors.ts';

export interface WireInspectRequest {
  readonly peers: readonly string[];
  readonly kinds: readonly string[];
  readonly direction?: string;
  readonly slowerThanMs: number;
}

export interface WireInspectPage {
  readonly observer: string;
  readonly items: readonly WireItem[];
}

export type InspectCall = ServerWritableStream<WireInspectRequest, WireInspectPage>;

export const INSPECT_TIMES = {
  /** What waits is gathered for so long: a page, not a message, wakes the agent. */
  gatherMs: 50,
  /** Between two pages of one backlog. */
  breathMs: 5,
  /** A page without items says that the agent is there, where there was nothing to see. */
  aliveMs: 5_000,
  /** A page that is not taken for so long ends it. */
  slowMs: 5_000,
} as const;
/** Decoding them takes a few milliseconds at most. */
const PAGE_ITEMS = 100;

/** The handler, for the service's table; none where there is nothing to look at. `admit` takes a call in, and returns what says that it has ended. */
export function inspectHandlers(
  tap: Tap | undefined,
  admit: (call: InspectCall) => () => void,
): { Inspect?: (call: InspectCall) => void } {
  if (tap === undefined) return {};
  return {
    Inspect: (call) => {
      let viewer: Viewer;
      let leave = (): void => {};
      try {
        leave = admit(call);
        viewer = tap.watch(filterRequest(call.request));
      } catch (error) {
        leave();
        call.emit('error', toStatus(error));
        return;
      }
      for (const event of ['close', 'finish', 'cancelled']) call.once(event, leave);
      new InspectStream(call, tap, viewer).start();
    },
  };
}

function filterRequest({ peers, kinds, direction, slowerThanMs }: WireInspectRequest): FilterRequest {
  return { peers, kinds, direction: direction ?? null, slowerThanMs };
}

class InspectStream {
  readonly #call: InspectCall;
  readonly #tap: Tap;
  readonly #viewer: Viewer;
  #timer: NodeJS.Timeout | undefined;
  #slow: NodeJS.Timeout | undefined;
  #isEnded = false;

  constructor(call: InspectCall, tap: Tap, viewer: Viewer) {
    this.#call = call;
    this.#tap = tap;
    this.#viewer = viewer;
  }

  start(): void {
    this.#call.on('cancelled', () => this.#end());
    this.#call.on('error', () => this.#end());
    this.#viewer.whenEnded((why) => this.#fail(new QuorateError('inspect-ended', why)));
    // At once: from here on the caller knows that it is looking.
    this.#send([]);
  }

  #await(): void {
    if (this.#isEnded) return;
    this.#timer = setTimeout(() => this.#send([]), INSPECT_TIMES.aliveMs);
    this.#viewer.whenWaiting(() => this.#flushIn(INSPECT_TIMES.gatherMs));
  }

  #flushIn(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#isEnded) this.#timer = setTimeout(() => this.#flush(), ms);
  }

  #flush(): void {
    const waiting = this.#viewer.take(PAGE_ITEMS);
    let items: WireItem[];
    try {
      items = waiting.map((one) =>
        typeof one === 'number' ? { dropped: one } : wireItem(one, this.#tap.wallMsOf(one)),
      );
    } catch (error) {
      // It costs the looking, not the tenure.
      return this.#fail(error);
    }
    this.#send(items, waiting.length === PAGE_ITEMS);
  }

  #send(items: readonly WireItem[], hasMore = false): void {
    if (this.#isEnded) return;
    this.#slow = setTimeout(() => this.#cutOff(), INSPECT_TIMES.slowMs);
    this.#call.write({ observer: this.#tap.self, items }, () => {
      clearTimeout(this.#slow);
      if (hasMore) this.#flushIn(INSPECT_TIMES.breathMs);
      else this.#await();
    });
  }

  #cutOff(): void {
    const { droppedInAll } = this.#viewer;
    const seconds = INSPECT_TIMES.slowMs / 1000;
    this.#fail(
      new QuorateError(
        'inspect-too-slow',
        `nothing was read for ${seconds} s, and ${droppedInAll} messages were dropped by then`,
      ),
    );
  }

  #fail(error: unknown): void {
    if (this.#isEnded) return;
    this.#end();
    this.#call.emit('error', toStatus(error));
  }

  #end(): void {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#slow);
    this.#tap.leave(this.#viewer);
  }
}
