/** The page's only style sheet, allowed by its hash. */
import { BASE_STYLE } from '../../page/index.ts';

export const STYLE = `${BASE_STYLE}
svg.timeline { overflow: visible; }
svg text.axis { fill: var(--muted); font-size: 12px; font-variant-numeric: tabular-nums; }
svg text.lane { font-weight: 600; }
svg text.label { font-size: 12px; stroke: var(--panel); stroke-width: 3; paint-order: stroke; }
.rail, .tick { stroke: var(--line); stroke-width: 1; }
.held rect { fill: var(--held); } .held line { stroke: var(--held); }
.nobody rect { fill: url(#hatch); } .nobody line { stroke: var(--gap); }
.lost rect { fill: none; stroke: var(--bad); stroke-width: 2; stroke-dasharray: 4 3; } .lost line { stroke: var(--bad); }
.held.many rect { fill: url(#many); }
.nobody.many rect { fill: url(#many-gaps); }
.many-ground { fill: var(--panel); } .many-line { fill: var(--held); }
.mark { stroke: var(--panel); stroke-width: 1.5; paint-order: stroke; }
.mark text { stroke: none; }
.election { fill: var(--text); } .operator { fill: var(--good); } .violation { fill: var(--bad); }
`;
