/**
 * Switchovers at a later time, by the committed log: each is begun at most once, at its time and not after its grace, under the tenure that
 * it was about, and not once it is cancelled or over; an order that is given again is one.
 */
import { applyEntry, type ClusterState, EMPTY_STATE, type Entry } from '../../../src/core/index.ts';
import type { World } from '../engine/world.ts';

export class ScheduledCheck {
  readonly #world: World;
  #state: ClusterState = EMPTY_STATE;
  readonly #begun = new Set<number>();
  readonly #ordered = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Every committed entry, once, in order. */
  onEntry(entry: Entry): void {
    const before = this.#state;
    this.#state = applyEntry(before, entry);
    const { body } = entry;
    if (body.kind === 'switchover-scheduled') this.#onScheduled(body.request ?? null, entry.index);
    if (body.kind === 'switchover-begun') this.#onBegun(before, body);
    if (body.kind === 'switchover-ended') this.#world.marks.add(`schedule-${body.outcome}`);
  }

  #onScheduled(request: string | null, index: number): void {
    if (request === null) return;
    if (this.#ordered.has(request)) this.#fail(`${request} is ordered again by entry ${index}`);
    this.#ordered.add(request);
  }

  #onBegun(
    { schedule, tenure }: ClusterState,
    { of, at }: Extract<Entry['body'], { kind: 'switchover-begun' }>,
  ): void {
    if (this.#begun.has(of)) this.#fail(`the switchover of entry ${of} begins twice`);
    this.#begun.add(of);
    if (schedule?.index !== of) return this.#fail(`entry ${of} begins, and is not the one that is open`);
    const { phase, epoch, dueAt, graceMs } = schedule;
    // What was on its way when something called it off moves nothing: the log says so to whoever has written it.
    if (phase.kind !== 'waiting') return;
    if (tenure?.epoch !== epoch || tenure.released)
      this.#fail(`the switchover of entry ${of} begins under another tenure than ${epoch}`);
    if (at !== null && (at < dueAt || at > dueAt + graceMs))
      this.#fail(`the switchover of entry ${of} begins ${at - dueAt} ms after its time`);
  }

  #fail(what: string): void {
    this.#world.fail('schedule', what);
  }
}
