/**
 * What every page of ours looks like: colours, text, facts, tables. Text has a contrast of at least 4.5:1 in both schemes, bars
 * and lines that mean something 3:1.
 */
export const BASE_STYLE = `
:root {
  color-scheme: light dark;
  --ground: #ffffff; --panel: #f4f6f8; --text: #1b1f24; --muted: #4f5963; --line: #c9d0d7;
  --held: #1f5fbf; --gap: #a65200; --gap-ground: #fbe9d7; --bad: #b42318; --good: #17663a; --link: #0b57d0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171a; --panel: #1e2328; --text: #e6e8ea; --muted: #a9b2ba; --line: #3b434b;
    --held: #6ea8fe; --gap: #ffa657; --gap-ground: #3a2a1a; --bad: #ff8a80; --good: #6fdb9a; --link: #8ab4f8;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
main { max-width: 75rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
p { margin: .4rem 0; max-width: 46rem; }
a { color: var(--link); }
.muted { color: var(--muted); font-size: .9rem; }
.good, .bad { font-weight: 600; }
.good { color: var(--good); }
.bad { color: var(--bad); }
code { font-size: .85rem; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .6rem; margin: 1rem 0; }
.facts div { background: var(--panel); border-radius: .5rem; padding: .6rem .8rem; }
.facts dt { color: var(--muted); font-size: .85rem; }
.facts dd { margin: 0; font-size: 1.25rem; font-weight: 600; }
figure { margin: 0; background: var(--panel); border-radius: .5rem; padding: .75rem 1.1rem; }
figcaption { margin-top: .5rem; }
svg { display: block; }
time { white-space: nowrap; }
svg text { fill: var(--text); font: 13px system-ui, sans-serif; }
.gap-ground { fill: var(--gap-ground); } .gap-line { fill: var(--gap); }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin: 0; padding: 0; font-size: .9rem; }
.legend li { display: flex; align-items: center; gap: .4rem; }
table { width: 100%; border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); font-size: .9rem; padding: .2rem 0 .4rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem .4rem 0; border-bottom: 1px solid var(--line); }
thead th { color: var(--muted); font-weight: 600; overflow-wrap: normal; }
details { margin-top: 2rem; }
summary { font-size: 1.2rem; font-weight: 600; cursor: pointer; }
summary h2 { display: inline; margin: 0; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
@media (max-width: 44rem) {
  table, caption, tbody, tr { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
  tr { background: var(--panel); border-radius: .5rem; padding: .5rem .8rem; margin-bottom: .6rem; }
  th[scope=row], td { display: flex; gap: .8rem; border: 0; padding: .12rem 0; }
  th[scope=row]::before, td::before { content: attr(data-label); flex: 0 0 6.5rem; color: var(--muted); font-weight: 400; }
  td.empty { display: none; }
  time { white-space: normal; }
}
@media print {
  :root { color-scheme: light; }
  figure, .facts div, tr { break-inside: avoid; }
}
`;
