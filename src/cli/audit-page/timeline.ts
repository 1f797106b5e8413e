/** What the timeline draws: lanes of bars and marks as shares of its width, thinned so that no log makes it grow. Pure. */
import type { AuditDocument, AuditGap, AuditParts } from '../../state/index.ts';
import { ownTime } from '../../state/index.ts';
import { humanMs } from '../output.ts';
import { MARK_CELLS, TIMELINE_CELLS } from './limits.ts';

/** What a label takes of a phone's width. */
const LABEL_SHARE = 0.18;

export interface Bar {
  /** Shares of the width, 0 to 1. */
  readonly from: number;
  readonly to: number;
  readonly what: string;
  readonly count: number;
  /** Written beside it; only where there is room. */
  readonly label: string | null;
}

export type Shape = 'election' | 'operator' | 'violation';

export interface Mark {
  readonly at: number;
  readonly what: string;
  readonly count: number;
}

/** `lost`: from the newest whole copy to the takeover that went on from it. */
export type BarKind = 'held' | 'nobody' | 'lost';

export type Lane =
  | { readonly kind: BarKind; readonly name: string; readonly bars: readonly Bar[] }
  | { readonly kind: 'marks'; readonly name: string; readonly shape: Shape; readonly marks: readonly Mark[] };

export interface Timeline {
  readonly from: number;
  readonly to: number;
  readonly lanes: readonly Lane[];
  /** Bars and marks that share a place with others. */
  readonly merged: number;
  /** Without a time, so without a place. */
  readonly unplaced: number;
}

interface Span {
  readonly from: number | null;
  readonly to: number | null;
  readonly what: string;
  readonly label?: string | null;
}

/** Null where nothing in it has a time. */
export function timelineOf(parts: AuditParts): Timeline | null {
  const { document, gaps, losses } = parts;
  const times = timesOf(parts);
  const span = spanOf(document, [...times.values()]);
  if (span === null) return null;
  const { from, to } = span;
  // Room for what has no end yet, and so that nothing lies on the edge itself.
  const room = Math.max(1000, (to - from) * 0.03);
  const scale = new Scale(from - room / 3, to + room);
  const lanes: Lane[] = [
    scale.marks(
      'Elections',
      'election',
      document.terms.map(({ term, leader, electedAt }) => ({
        at: parse(electedAt),
        what: `term ${term}: ${leader}`,
      })),
    ),
    ...heldLanes(document, gaps, scale),
    scale.bars(
      'nobody',
      'Nobody',
      gaps.map((gap) => ({
        from: gap.beganAt,
        to: gap.endedAt ?? (gap.to === null ? scale.to : gap.beganAt),
        what: `gap after epoch ${gap.epoch}`,
        label: gap.totalMs === null ? null : humanMs(gap.totalMs),
      })),
    ),
    scale.bars(
      'lost',
      'Data left behind',
      losses.map(({ epoch, pool, upTo, ageMs, grantedAt }) => ({
        from: parse(upTo),
        to: grantedAt,
        what: `${pool}, by the takeover of epoch ${epoch}`,
        label: ageMs === null ? null : humanMs(ageMs),
      })),
    ),
    scale.marks(
      "Operators' actions",
      'operator',
      document.operators.map(({ index, action }) => ({ at: times.get(index) ?? null, what: action })),
    ),
    scale.marks(
      'Violations',
      'violation',
      document.violations.map(({ index, kind }) => ({ at: times.get(index) ?? null, what: kind })),
    ),
  ];
  return { from: scale.from, to: scale.to, lanes, merged: scale.merged, unplaced: scale.unplaced };
}

function timesOf({ entries }: AuditParts): Map<number, number> {
  const times = new Map<number, number>();
  let last: number | null = null;
  for (const { index, body } of entries) {
    last = ownTime(body) ?? last;
    if (last !== null) times.set(index, last);
  }
  return times;
}

/** From the first to the last thing that has a time; where a span was asked for, not beyond it. */
function spanOf(
  { tenures, window }: AuditDocument,
  entryTimes: readonly number[],
): { readonly from: number; readonly to: number } | null {
  const since = parse(window?.since ?? null);
  const until = parse(window?.until ?? null);
  const starts = [...entryTimes, ...tenures.flatMap(({ grantedAt }) => parse(grantedAt) ?? [])];
  if (starts.length === 0) return null;
  const begin = starts.reduce((least, at) => Math.min(least, at), Number.POSITIVE_INFINITY);
  const from = since === null ? begin : Math.max(since, begin);
  // A tenure that runs through a span in which nothing was written reaches as far as was asked.
  const end = entryTimes.reduce(
    (most, at) => Math.max(most, at),
    entryTimes.length === 0 ? (until ?? from) : from,
  );
  return { from, to: until === null ? end : Math.max(from, Math.min(end, until)) };
}

/** One for each node that held; an end that no release tells is where the old holder was last heard of. */
function heldLanes(document: AuditDocument, gaps: readonly AuditGap[], scale: Scale): Lane[] {
  const ends = new Map(gaps.map((gap) => [gap.epoch, gap.beganAt ?? gap.endedAt]));
  const byNode = new Map<string, Span[]>();
  for (const { epoch, node, grantedAt, releasedAt, reason } of document.tenures) {
    const granted = parse(grantedAt);
    const end = reason === null ? scale.to : (parse(releasedAt) ?? ends.get(epoch) ?? granted);
    const spans = byNode.get(node) ?? [];
    spans.push({ from: granted, to: end, what: `${node} holds, epoch ${epoch}` });
    byNode.set(node, spans);
  }
  return [...byNode]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([node, spans]) => scale.bars('held', node, spans));
}

class Scale {
  readonly from: number;
  readonly to: number;
  merged = 0;
  unplaced = 0;

  constructor(from: number, to: number) {
    this.from = from;
    this.to = to;
  }

  #share(at: number): number {
    return Math.min(1, Math.max(0, (at - this.from) / (this.to - this.from)));
  }

  bars(kind: BarKind, name: string, spans: readonly Span[]): Lane {
    const cell = 1 / TIMELINE_CELLS;
    const bars: Bar[] = [];
    const placed = spans
      .flatMap(({ from, to, what, label = null }) => {
        if (from === null || to === null) {
          this.unplaced += 1;
          return [];
        }
        return [{ from: this.#share(from), to: this.#share(Math.max(from, to)), what, count: 1, label }];
      })
      .sort((one, other) => one.from - other.from);
    for (const bar of placed) {
      const before = bars.at(-1);
      const isShort = bar.to - bar.from < cell;
      // A long one keeps its own place; short ones that follow each other closely become one that grows no longer than they reach.
      if (before === undefined || !isShort || bar.from - before.to >= cell || !isMergeable(before, cell))
        bars.push(bar);
      else {
        this.merged += 1;
        const to = Math.max(before.to, bar.to);
        bars[bars.length - 1] = { ...before, to, count: before.count + 1 };
      }
    }
    return { kind, name, bars: withRoom(bars) };
  }

  marks(
    name: string,
    shape: Shape,
    all: readonly { readonly at: number | null; readonly what: string }[],
  ): Lane {
    const cells = new Map<number, Mark>();
    for (const { at, what } of all) {
      if (at === null) {
        this.unplaced += 1;
        continue;
      }
      const share = this.#share(at);
      const cell = Math.floor(share * MARK_CELLS);
      const there = cells.get(cell);
      if (there !== undefined) this.merged += 1;
      cells.set(
        cell,
        there === undefined ? { at: share, what, count: 1 } : { ...there, count: there.count + 1 },
      );
    }
    return { kind: 'marks', name, shape, marks: [...cells.values()].sort((one, other) => one.at - other.at) };
  }
}

/** A label stands right of its bar, or left of it near the end, and must not run into the next one or its label. */
const withRoom = (bars: readonly Bar[]): Bar[] =>
  bars.map((bar, position) => {
    const before = bars[position - 1]?.to ?? Number.NEGATIVE_INFINITY;
    const after = bars[position + 1]?.from ?? Number.POSITIVE_INFINITY;
    const hasRoom = isLeft(bar) ? bar.from - before > 2 * LABEL_SHARE : after - bar.to > LABEL_SHARE;
    return hasRoom && bar.count === 1 ? bar : { ...bar, label: null };
  });

export const isLeft = ({ to }: Pick<Bar, 'to'>): boolean => to > 1 - LABEL_SHARE;

const isMergeable = (bar: Bar, cell: number): boolean => bar.count > 1 || bar.to - bar.from < cell;

const parse = (time: string | null): number | null => (time === null ? null : Date.parse(time));
