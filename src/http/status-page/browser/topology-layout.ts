/** Where the picture of the cluster has its zones, nodes and links, in the units of its view box. Pure. */
import type { PageNode } from '../state.ts';

export const WIDTH = 360;
const NODE_WIDTH = 120;
const NODE_HEIGHT = 64;
const ZONE_PADDING = 11;
/** Below the nodes, for the zone's name. */
const NAME_HEIGHT = 20;
const ROW_GAP = 34;
const NODES_PER_ROW = 2;

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface PlacedNode extends Box {
  readonly node: PageNode;
}

export interface Link {
  readonly from: PlacedNode;
  readonly to: PlacedNode;
  /** `unseen`: between two others, of which this node knows nothing. */
  readonly state: 'up' | 'down' | 'unseen';
  readonly mirror: PageNode['mirror'];
}

export interface Layout {
  readonly height: number;
  readonly zones: readonly (Box & { readonly name: string | null })[];
  readonly nodes: readonly PlacedNode[];
  readonly links: readonly Link[];
}

type Zone = { readonly name: string | null; readonly members: readonly PageNode[] };

export function layoutOf(nodes: readonly PageNode[]): Layout {
  const rows = rowsOf(zonesOf(nodes));
  const rowHeight = NODE_HEIGHT + 2 * ZONE_PADDING + NAME_HEIGHT;
  const zones: (Box & { name: string | null })[] = [];
  const placed: PlacedNode[] = [];
  for (const [position, row] of rows.entries()) {
    const y = position * (rowHeight + ROW_GAP);
    const count = row.reduce((sum, { members }) => sum + members.length, 0);
    const paddings = 2 * ZONE_PADDING * row.length;
    const width = Math.min(
      NODE_WIDTH,
      (WIDTH - paddings - (row.length - 1) * 8 - (count - row.length) * 6) / count,
    );
    const taken = count * width + (count - row.length) * 6 + paddings;
    // Two stand at the edges, so that there is room for what is between them; one stands in the middle.
    const gap = row.length === 1 ? 0 : (WIDTH - taken) / (row.length - 1);
    let x = row.length === 1 ? (WIDTH - taken) / 2 : 0;
    for (const { name, members } of row) {
      const zoneWidth = members.length * width + (members.length - 1) * 6 + 2 * ZONE_PADDING;
      zones.push({ name, x, y, width: zoneWidth, height: rowHeight });
      for (const [at, node] of members.entries())
        placed.push({
          node,
          x: x + ZONE_PADDING + at * (width + 6),
          y: y + ZONE_PADDING,
          width,
          height: NODE_HEIGHT,
        });
      x += zoneWidth + gap;
    }
  }
  const height = rows.length * rowHeight + Math.max(0, rows.length - 1) * ROW_GAP;
  return { height, zones, nodes: placed, links: linksOf(placed) };
}

/** Those with data first. A node whose zone is not known stands alone: it may be in any. */
function zonesOf(nodes: readonly PageNode[]): Zone[] {
  const zones: { name: string | null; members: PageNode[] }[] = [];
  for (const node of nodes) {
    const there = node.zone === null ? undefined : zones.find(({ name }) => name === node.zone);
    if (there === undefined) zones.push({ name: node.zone, members: [node] });
    else there.members.push(node);
  }
  const rank = ({ members }: Zone) => (members.some(({ kind }) => kind === 'data') ? 0 : 1);
  return zones.sort((one, other) => rank(one) - rank(other));
}

function rowsOf(zones: readonly Zone[]): Zone[][] {
  const rows: Zone[][] = [];
  for (const zone of zones) {
    const row = rows.at(-1);
    const count = row?.reduce((sum, { members }) => sum + members.length, 0) ?? 0;
    if (row === undefined || count + zone.members.length > NODES_PER_ROW) rows.push([zone]);
    else row.push(zone);
  }
  return rows;
}

function linksOf(placed: readonly PlacedNode[]): Link[] {
  return placed.flatMap((from, position) =>
    placed.slice(position + 1).map((to): Link => {
      const other = from.node.link === 'self' ? to.node : to.node.link === 'self' ? from.node : null;
      if (other === null) return { from, to, state: 'unseen', mirror: null };
      return { from, to, state: other.link === 'up' ? 'up' : 'down', mirror: other.mirror };
    }),
  );
}

export const middleOf = ({ x, y, width, height }: Box): { readonly x: number; readonly y: number } => ({
  x: x + width / 2,
  y: y + height / 2,
});
