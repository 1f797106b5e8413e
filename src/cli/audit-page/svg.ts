/**
 * The timeline as SVG. Positions across are percentages and there is no viewBox, so that it fills a phone and a wide screen
 * alike while text and marks keep their size. For screen readers it is one picture with a description; the tables below it
 * say the same in words.
 */
import { type Html, html } from './html.ts';
import {
  type Bar,
  type BarKind,
  isLeft,
  type Lane,
  type Mark,
  type Shape,
  type Timeline,
} from './timeline.ts';

const LANE_PX = 46;
const BAR_TOP_PX = 20;
const BAR_PX = 18;
const AXIS_PX = 40;
/** A gap of 50 ms in a log of months must still be seen. */
const LEAST_BAR_PX = 3;
const MAX_NAME = 40;
/** What the number beside a mark takes of a phone's width. */
const COUNT_SHARE = 0.12;

export function timelineSvg(timeline: Timeline, described: string): Html {
  const lanes = timeline.lanes.filter(
    (lane) => lane.kind === 'held' || (lane.kind === 'marks' ? lane.marks : lane.bars).length > 0,
  );
  const height = lanes.length * LANE_PX + AXIS_PX;
  return html`<svg class="timeline" width="100%" height="${height}" role="img" aria-labelledby="timeline-title timeline-text">
<title id="timeline-title">Timeline</title>
<desc id="timeline-text">${described}</desc>
<defs>
<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="gap-ground" width="6" height="6"/><rect class="gap-line" width="2.5" height="6"/></pattern>
<pattern id="many" width="7" height="7" patternUnits="userSpaceOnUse"><rect class="many-ground" width="7" height="7"/><rect class="many-line" width="3.5" height="7"/></pattern>
<pattern id="many-gaps" width="7" height="7" patternUnits="userSpaceOnUse"><rect class="many-ground" width="7" height="7"/><rect class="gap-line" width="2" height="7"/></pattern>
</defs>
${axis(timeline, lanes.length * LANE_PX)}
${lanes.map((lane, position) => laneSvg(lane, position * LANE_PX))}
</svg>`;
}

function laneSvg(lane: Lane, top: number): Html {
  const shapes =
    lane.kind === 'marks'
      ? lane.marks.map((mark, at) => markSvg(lane.shape, mark, lane.marks[at + 1], top))
      : lane.bars.map((bar) => barSvg(lane.kind, bar, top));
  return html`<g>
<text class="lane" x="0" y="${top + 14}">${nameOf(lane)}</text>
<line class="rail" x1="0" x2="100%" y1="${top + BAR_TOP_PX + BAR_PX / 2}" y2="${top + BAR_TOP_PX + BAR_PX / 2}"/>
${shapes}
</g>`;
}

function nameOf({ kind, name }: Lane): string {
  const short = name.length > MAX_NAME ? `${name.slice(0, MAX_NAME - 1)}…` : name;
  return kind === 'held' ? `${short} may hold` : kind === 'nobody' ? 'Nobody may hold' : short;
}

function barSvg(kind: BarKind, bar: Bar, top: number): Html {
  const { from, to, what, count } = bar;
  const tip = count === 1 ? what : `${what}, and ${count - 1} more`;
  const y = top + BAR_TOP_PX;
  const classes = `${kind}${count === 1 ? '' : ' many'}`;
  const x = percent(from);
  // The line keeps even the shortest visible: its width is in pixels, the rectangle's is a share.
  return html`<g class="${classes}"><title>${tip}</title><line x1="${x}" x2="${x}" y1="${y}" y2="${y + BAR_PX}" stroke-width="${LEAST_BAR_PX}"/><rect x="${x}" width="${percent(to - from)}" y="${y}" height="${BAR_PX}"/>${labelSvg(bar, y)}</g>`;
}

function labelSvg(bar: Bar, y: number): Html | null {
  if (bar.label === null) return null;
  const place = isLeft(bar) ? { x: bar.from, dx: -6, anchor: 'end' } : { x: bar.to, dx: 6, anchor: 'start' };
  return html`<text class="label" x="${percent(place.x)}" dx="${place.dx}" y="${y + 13}" text-anchor="${place.anchor}">${bar.label}</text>`;
}

/** By shape, not by colour alone. */
const SHAPES: Readonly<Record<Shape, string>> = {
  election: 'M0 -8 L7 6 L-7 6 Z',
  operator: 'M0 -8 L8 0 L0 8 L-8 0 Z',
  violation: 'M-7 -4 L-4 -7 L0 -3 L4 -7 L7 -4 L3 0 L7 4 L4 7 L0 3 L-4 7 L-7 4 L-3 0 Z',
};

function markSvg(shape: Shape, { at, what, count }: Mark, next: Mark | undefined, top: number): Html {
  const tip = count === 1 ? what : `${what}, and ${count - 1} more`;
  const hasRoom = (next?.at ?? 1) - at > COUNT_SHARE;
  const many = count === 1 || !hasRoom ? null : html`<text class="count" x="10" y="5">${count}</text>`;
  return html`<svg class="mark ${shape}" x="${percent(at)}" y="${top + BAR_TOP_PX + BAR_PX / 2}" overflow="visible"><title>${tip}</title><path d="${SHAPES[shape]}"/>${many}</svg>`;
}

function axis({ from, to }: Timeline, top: number): Html {
  const ticks = [0, 0.5, 1].map((share) => {
    const [day = '', time = ''] = new Date(from + (to - from) * share).toISOString().split('T');
    const anchor = share === 0 ? 'start' : share === 1 ? 'end' : 'middle';
    const x = percent(share);
    return html`<line class="tick" x1="${x}" x2="${x}" y1="${top}" y2="${top + 6}"/><text class="axis" text-anchor="${anchor}" y="${top + 20}"><tspan x="${x}">${day}</tspan><tspan x="${x}" dy="15">${clock(time, to - from)}</tspan></text>`;
  });
  return html`<line class="tick" x1="0" x2="100%" y1="${top}" y2="${top}"/>${ticks}`;
}

/** Fractions of a second only where the whole picture is short. */
const clock = (time: string, spanMs: number): string =>
  spanMs < 20_000 ? time.replace('Z', '') : time.slice(0, 8);

const percent = (share: number): string => `${Number((share * 100).toFixed(3))}%`;

/** Of what is there to be seen. */
export function legendOf({ lanes }: Timeline): Html {
  const bars = lanes.flatMap((lane) => (lane.kind === 'held' ? lane.bars : []));
  const gaps = lanes.flatMap((lane) => (lane.kind === 'nobody' ? lane.bars : []));
  const losses = lanes.flatMap((lane) => (lane.kind === 'lost' ? lane.bars : []));
  const isMarked = (shape: Shape) =>
    lanes.some((lane) => lane.kind === 'marks' && lane.shape === shape && lane.marks.length > 0);
  return html`<ul class="legend">
${bars.length > 0 ? sample('held', 'may hold') : null}
${gaps.length > 0 ? sample('nobody', 'nobody may hold') : null}
${bars.some(({ count }) => count > 1) ? sample('held many', 'several, too short to be drawn apart') : null}
${gaps.some(({ count }) => count > 1) ? sample('nobody many', 'several gaps, with tenures between them') : null}
${losses.length > 0 ? sample('lost', 'written, and left behind by a takeover') : null}
${isMarked('election') ? shapeSample('election', 'election') : null}
${isMarked('operator') ? shapeSample('operator', "operator's action") : null}
${isMarked('violation') ? shapeSample('violation', 'violation') : null}
</ul>`;
}

const sample = (classes: string, text: string): Html =>
  html`<li><svg width="28" height="14" aria-hidden="true"><g class="${classes}"><rect width="28" height="14"/></g></svg> ${text}</li>`;

const shapeSample = (shape: Shape, text: string): Html =>
  html`<li><svg width="18" height="18" aria-hidden="true"><svg class="mark ${shape}" x="9" y="9" overflow="visible"><path d="${SHAPES[shape]}"/></svg></svg> ${text}</li>`;
