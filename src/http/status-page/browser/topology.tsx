/** The picture: zones, nodes, and what this node knows of the links between them. The table of the nodes says the same in words. */
import type { PageState } from '../state.ts';
import {
  type Box,
  type Layout,
  type Link,
  layoutOf,
  middleOf,
  type PlacedNode,
  WIDTH,
} from './topology-layout.ts';
import { linkWords, MIRROR_WORDS, partOf } from './words.ts';

const MAX_NAME = 12;
/** Room for a line that is wider than the boxes that it ends in. */
const MARGIN = 2;

export function Topology({ state }: { state: PageState }) {
  const layout = layoutOf(state.nodes);
  if (state.nodes.length === 0) return null;
  const described = state.nodes
    .map((node) => `${node.id} in ${node.zone ?? 'a zone that is not known'}: ${linkWords(node)}`)
    .join('; ');
  return (
    <figure class="topology">
      <svg
        viewBox={`${-MARGIN} ${-MARGIN} ${WIDTH + 2 * MARGIN} ${layout.height + 2 * MARGIN}`}
        role="img"
        aria-labelledby="topology-title topology-text"
      >
        <title id="topology-title">Zones, nodes and links</title>
        <desc id="topology-text">{described}. The table of the nodes says the same.</desc>
        {layout.zones.map((zone) => (
          <Zone key={`${zone.x} ${zone.y}`} zone={zone} />
        ))}
        {layout.links.map((link) => (
          <LinkLine key={`${link.from.node.id} ${link.to.node.id}`} link={link} />
        ))}
        {layout.nodes.map((placed) => (
          <NodeBox key={placed.node.id} placed={placed} state={state} />
        ))}
      </svg>
      <figcaption>
        <Legend layout={layout} observer={state.observer} />
      </figcaption>
    </figure>
  );
}

function Zone({ zone }: { zone: Box & { name: string | null } }) {
  // Towards the outside: the links lead inwards.
  const isRight = zone.x + zone.width / 2 > WIDTH / 2 + 1;
  return (
    <g class="zone">
      <rect x={zone.x} y={zone.y} width={zone.width} height={zone.height} rx="8" />
      <text
        x={isRight ? zone.x + zone.width - 11 : zone.x + 11}
        y={zone.y + zone.height - 9}
        text-anchor={isRight ? 'end' : 'start'}
      >
        {short(zone.name ?? 'zone not known', 24)}
      </text>
    </g>
  );
}

function LinkLine({ link }: { link: Link }) {
  const [from, to] = [middleOf(link.from), middleOf(link.to)];
  const at = { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 };
  const isLevel = from.y === to.y;
  return (
    <g class={`link ${link.state}`}>
      <line x1={from.x} y1={from.y} x2={to.x} y2={to.y} />
      {link.state === 'up' ? null : (
        <>
          <circle cx={at.x} cy={at.y} r="9" />
          <text x={at.x} y={at.y + 4.5} text-anchor="middle">
            {link.state === 'down' ? '✕' : '?'}
          </text>
        </>
      )}
      {link.mirror === null || !isLevel ? null : (
        <text class={`mirror ${link.mirror}`} text-anchor="middle" y={at.y + 24}>
          <tspan x={at.x}>mirror</tspan>
          <tspan x={at.x} dy="13">
            {MIRROR_WORDS[link.mirror]}
          </tspan>
        </text>
      )}
    </g>
  );
}

function NodeBox({ placed, state }: { placed: PlacedNode; state: PageState }) {
  const { node, x, y, width, height } = placed;
  const part = partOf(node.id, state.holding);
  const isGone = node.link === 'down' || node.role === 'damaged';
  const middle = x + width / 2;
  return (
    <g class={`node ${part === null ? '' : part === 'holds' ? 'holder' : 'taking'} ${isGone ? 'gone' : ''}`}>
      <rect x={x} y={y} width={width} height={height} rx="6" />
      <text class="id" x={middle} y={y + 21} text-anchor="middle">
        {short(node.id, MAX_NAME)}
      </text>
      <text x={middle} y={y + 38} text-anchor="middle">
        {node.kind === 'witness' ? `witness, ${node.role ?? '?'}` : (node.role ?? 'role not known')}
      </text>
      <text x={middle} y={y + 54} text-anchor="middle">
        {part === null ? nodeNote(node) : `${part === 'holds' ? '●' : '◐'} ${part}`}
      </text>
    </g>
  );
}

function nodeNote({ kind, standby, inSync }: PlacedNode['node']): string {
  if (standby) return 'standby';
  if (kind === 'witness') return 'votes only';
  return inSync === null ? 'data not known' : inSync ? 'in sync' : '▲ outdated';
}

function short(text: string, most: number): string {
  const visible = text;
  return visible.length <= most ? visible : `${visible.slice(0, most - 1)}…`;
}

const SAMPLES: readonly { readonly state: Link['state']; readonly words: (observer: string) => string }[] = [
  { state: 'up', words: () => 'reachable' },
  { state: 'down', words: () => 'not reachable' },
  { state: 'unseen', words: (observer) => `not to be seen from ${observer}` },
];

function Legend({ layout, observer }: { layout: Layout; observer: string }) {
  return (
    <ul class="legend">
      {SAMPLES.filter(({ state }) => layout.links.some((link) => link.state === state)).map(
        ({ state, words }) => (
          <li key={state}>
            <svg width="34" height="18" aria-hidden="true">
              <g class={`link ${state}`}>
                <line x1="0" x2="34" y1="9" y2="9" />
                {state === 'up' ? null : (
                  <>
                    <circle cx="17" cy="9" r="8" />
                    <text x="17" y="13.5" text-anchor="middle">
                      {state === 'down' ? '✕' : '?'}
                    </text>
                  </>
                )}
              </g>
            </svg>
            {words(observer)}
          </li>
        ),
      )}
    </ul>
  );
}
