/** The style sheet of the status page. No meaning by colour alone: whatever is coloured has a word or a shape of its own, too. */
import { BASE_STYLE } from '../../page/index.ts';

export const STYLE = `${BASE_STYLE}
:root { --step: #174a99; --step-2: #3b74c9; --elect: #a65200; --grant: #8a6d3b; --on: #ffffff; --holder-ground: #e7effb; --bad-ground: #fcebe9; }
@media (prefers-color-scheme: dark) {
  :root { --step: #6ea8fe; --step-2: #4b87e0; --elect: #ffa657; --grant: #c8a86b; --on: #10141a; --holder-ground: #1b2a40; --bad-ground: #3a1f1d; }
}
.top, footer { max-width: 75rem; margin: 0 auto; padding: 1rem 1rem 0; }
.top { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: 0 1.5rem; }
.top p { margin: 0; }
footer { padding-bottom: 2rem; }
footer p { max-width: none; }
.live { font-variant-numeric: tabular-nums; color: var(--good); font-weight: 600; }
.live time { color: var(--muted); font-weight: 400; }
.dot { display: inline-block; width: .65em; height: .65em; border-radius: 50%; background: var(--good); }
.for-ears { position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.first { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); align-items: start; }
.first h2 { margin-top: 0; }
.first > div { display: grid; gap: 1.2rem; }
.holder { background: var(--panel); border-radius: .5rem; padding: 1rem 1.1rem; border-left: .4rem solid var(--line); }
.holder.well { border-color: var(--held); background: var(--holder-ground); }
.holder.ill { border-color: var(--gap); background: var(--holder-ground); border-left-style: double; }
.holder.gap { border-color: var(--gap); border-left-style: dashed; background: var(--gap-ground); }
.holder.unknown { border-color: var(--bad); border-left-style: dotted; background: var(--bad-ground); }
.holder .title { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .35rem; display: flex; align-items: center; gap: .7rem; }
.sign { flex: 0 0 auto; width: 1.3em; height: 1.3em; border-radius: 50%; display: grid; place-items: center; font-size: 1.2rem; background: var(--held); color: var(--ground); }
.ill .sign, .gap .sign { background: var(--gap); }
.unknown .sign { background: var(--bad); }
.holder .facts { margin: .9rem 0 0; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .75rem 1rem; }
.holder .facts div { background: none; padding: 0; }
.holder .facts dt { color: var(--text); }
.holder .facts dd { font-size: 1.1rem; font-variant-numeric: tabular-nums; }
.topology { display: flex; flex-direction: column; align-items: center; justify-content: space-between; }
.topology > svg { width: 100%; max-width: 30rem; height: auto; }
.topology figcaption { align-self: stretch; }
.topology .legend { justify-content: center; }
.zone rect { fill: var(--ground); stroke: var(--line); }
.zone text { fill: var(--muted); font-size: 11.5px; }
.link line { stroke-width: 3; stroke: var(--good); }
.link.down line { stroke: var(--bad); stroke-dasharray: 6 5; }
.link.unseen line { stroke: var(--muted); stroke-width: 2; stroke-dasharray: 1 5; stroke-linecap: round; }
.link circle { fill: var(--panel); stroke: var(--muted); stroke-width: 1.5; }
.link.down circle { stroke: var(--bad); }
.link text { font-size: 12px; font-weight: 700; fill: var(--muted); }
.link.down text { fill: var(--bad); }
.link text.mirror { font-size: 11px; font-weight: 400; fill: var(--text); }
.link text.mirror.not-in-sync, .link text.mirror.unknown { fill: var(--bad); font-weight: 700; }
.node rect { fill: var(--panel); stroke: var(--muted); stroke-width: 1.5; }
.node text { font-size: 12px; }
.node text.id { font-size: 15px; font-weight: 700; }
.node.holder rect { fill: var(--held); stroke: var(--held); }
.node.holder text { fill: var(--on); }
.node.taking rect { fill: var(--gap-ground); stroke: var(--gap); stroke-width: 2.5; }
.node.gone rect { stroke: var(--bad); stroke-dasharray: 6 4; stroke-width: 2; }
.progress { list-style: none; margin: .8rem 0; padding: 0; display: grid; gap: .6rem; }
.progress svg { display: block; width: 100%; max-width: 30rem; height: .8rem; margin-top: .25rem; }
.progress .track { fill: var(--panel); stroke: var(--muted); }
.progress .done { fill: var(--step); }
.troubles { margin: .4rem 0 .8rem; padding-left: 1.2rem; }
.troubles li { margin: .3rem 0; }
.warnings { list-style: none; margin: 0; padding: 0; display: grid; gap: .4rem; }
.warnings li { display: flex; gap: .8rem; padding: .5rem .8rem; background: var(--panel); border-radius: .5rem; border-left: .3rem solid var(--line); }
.warnings strong { flex: 0 0 2.8rem; }
.warnings .bad { font-weight: 400; color: var(--text); background: var(--bad-ground); border-color: var(--bad); }
.warnings .bad strong { color: var(--bad); }
.warnings .warning { border-color: var(--gap); border-left-style: dashed; }
.warnings .warning strong { color: var(--gap); }
.takeovers { list-style: none; margin: 0; padding: 0; display: grid; gap: .8rem; }
.takeovers > li { background: var(--panel); border-radius: .5rem; padding: .75rem 1.1rem; }
.takeovers h3 { margin: 0; font-size: 1rem; }
.takeovers h3 .quiet { font-weight: 400; }
.takeovers p { max-width: none; }
.takeovers .bar { margin: .5rem 0; }
.segments { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-size: .9rem; }
.segments li { display: flex; align-items: flex-start; gap: .4rem; }
.segments svg { flex: 0 0 auto; margin-top: .2rem; }
.segments strong { font-variant-numeric: tabular-nums; }
.segment rect { fill: var(--step); }
.segment line { stroke: var(--step); stroke-width: 3; }
.segment text { fill: var(--on); font-size: 11px; font-weight: 700; }
.segment.second rect { fill: var(--step-2); } .segment.second line { stroke: var(--step-2); }
.segment.notice rect { fill: url(#hatch); } .segment.notice line { stroke: var(--gap); }
.segment.notice text { fill: var(--text); stroke: var(--gap-ground); stroke-width: 5; stroke-linejoin: round; paint-order: stroke; }
.segment.elect rect { fill: var(--elect); } .segment.elect line { stroke: var(--elect); }
.segment.grant rect { fill: var(--grant); } .segment.grant line { stroke: var(--grant); }
.segment.failed rect { fill: var(--bad); } .segment.failed line { stroke: var(--bad); }
.patterns { position: absolute; }
.lost { border: .2rem solid var(--bad); background: var(--bad-ground); border-radius: .5rem; padding: 1rem 1.1rem; }
.lost h2 { margin: 0; font-size: 1.5rem; color: var(--bad); }
.lost-words { font-size: 1.2rem; }
main .lost time, main .past > summary time { display: inline-block; white-space: nowrap; }
.past { margin-top: 1.2rem; }
.past-state { border-left: .4rem dashed var(--muted); padding-left: 1rem; margin-top: .8rem; filter: grayscale(1); }
@media (min-width: 60rem) {
  .first { grid-template-columns: minmax(0, 5fr) minmax(0, 4fr); }
}
@media (min-width: 30rem) {
  .holder .facts { grid-template-columns: repeat(3, minmax(0, 1fr)); }
}
@media (max-width: 44rem) {
  .holder .title { font-size: 1.6rem; }
}
`;
