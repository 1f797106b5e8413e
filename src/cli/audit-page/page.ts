/**
 * The audit as one page that needs nothing else: no script, no font, no picture from anywhere, and a policy that forbids what
 * an escaping mistake could let in. Everything that the timeline shows stands in the tables, too.
 */
import { createHash } from 'node:crypto';
import { causeOf } from '../../page/index.ts';
import {
  type AuditDocument,
  type AuditGap,
  type AuditLoss,
  type AuditParts,
  type AuditTenure,
  type AuditTerm,
  type AuditViolation,
  isoTime,
  ownTime,
  VIOLATIONS,
} from '../../state/index.ts';
import { VERSION } from '../../version.ts';
import { type AuditLine, auditLines } from '../audit-text.ts';
import { windowSentences } from '../audit-window.ts';
import { humanBytes, humanMs, plain } from '../output.ts';
import { Html, html } from './html.ts';
import { first, largest, MAX_ROWS, newest } from './limits.ts';
import { STYLE } from './style.ts';
import { legendOf, timelineSvg } from './svg.ts';
import { type Column, tableOf } from './table.ts';
import { timelineOf } from './timeline.ts';

/** Only these bytes of style; no `unsafe-inline`, and nothing is fetched. */
const POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'`;

/** @param cluster null where the log does not begin with its name */
export function renderPage(parts: AuditParts, cluster: string | null): string {
  const { document, gaps, losses } = parts;
  const title = `Audit of ${cluster ?? 'an unknown cluster'}`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
${new Html(`<style>${STYLE}</style>`)}
</head>
<body>
<main>
<h1>${title}</h1>
${windowSentences(document).map((sentence) => html`<p>${sentence}</p>`)}
${facts(document, gaps)}
${violations(document)}
${timeline(parts)}
${gapSection(gaps)}
${lossSection(losses)}
${tenureSection(document)}
${electionSection(document)}
${operatorSection(parts)}
${lineSection(parts)}
<p class="muted">Times are UTC, by the wall clocks of the nodes that wrote the entries: nothing was decided by them. Head of the chain: <code>${document.chain.head}</code>. Made by quorate ${VERSION}.</p>
</main>
</body>
</html>
`.text;
}

function facts({ chain, terms, tenures, violations }: AuditDocument, gaps: readonly AuditGap[]): Html {
  const known = gaps.flatMap(({ totalMs }) => (totalMs === null ? [] : [totalMs]));
  const running = tenures.find(({ reason }) => reason === null);
  const fact = (name: string, value: string | number, mood: 'good' | 'bad' | '' = ''): Html =>
    html`<div><dt>${name}</dt><dd class="${mood}">${value}</dd></div>`;
  return html`<dl class="facts">
${fact('Chain of hashes', chain.ok ? 'whole' : 'BROKEN', chain.ok ? 'good' : 'bad')}
${fact('Rules broken', violations.length === 0 ? 'none' : violations.length, violations.length === 0 ? 'good' : 'bad')}
${fact('Holder at the end', running === undefined ? 'nobody' : running.node)}
${fact('Tenures', tenures.length)}
${fact('Elections', terms.length)}
${fact('Longest known gap', known.length === 0 ? '–' : humanMs(largestOf(known)))}
${fact('Entries in the log', chain.entries)}
</dl>`;
}

/** Not `Math.max(...)`: a log may have more gaps than a call may have arguments. */
const largestOf = (values: readonly number[]): number => values.reduce((most, one) => Math.max(most, one), 0);

function violations({ violations: all, chain }: AuditDocument): Html {
  if (all.length === 0 && chain.ok)
    return html`<h2 id="violations">Violations</h2><p><span class="good">No rule is broken</span>, and the chain of hashes is whole.</p>`;
  const columns: Column<AuditViolation>[] = [
    { title: 'Entry', cell: ({ index }) => index },
    { title: 'Term', cell: ({ term }) => term },
    { title: 'Rule', cell: ({ kind }) => kind },
    { title: 'What', cell: ({ what }) => what },
    { title: 'Meaning', cell: ({ kind }) => VIOLATIONS[kind] },
  ];
  return html`<h2 id="violations">Violations</h2>
<p class="bad">${chain.ok ? 'Rules are broken; the chain of hashes is whole.' : 'The chain of hashes is broken.'}</p>
${tableOf(first(all, MAX_ROWS.violations), columns, {
  caption: 'Broken rules of the whole log, in its order',
  leftOut: 'later ones',
  none: 'No entry is named.',
})}`;
}

function timeline(parts: AuditParts): Html {
  const drawn = timelineOf(parts);
  const heading = html`<h2 id="timeline">Timeline</h2>`;
  if (drawn === null) return html`${heading}<p>Nothing in it has a time: there is no timeline.</p>`;
  const { document, gaps, losses } = parts;
  const left = losses.length === 0 ? '' : `${losses.length} takeovers that left data behind, `;
  const described =
    `${document.tenures.length} tenures, ${gaps.length} gaps, ${document.terms.length} elections, ` +
    `${left}${document.operators.length} operators' actions and ${document.violations.length} violations between ` +
    `${isoTime(drawn.from)} and ${isoTime(drawn.to)}. The tables below say the same.`;
  const thinned = [
    ...(gaps.length === 0 ? [] : ['The shortest gaps are drawn wider than they are.']),
    ...(drawn.merged === 0
      ? []
      : [
          `${drawn.merged} bars and marks lie too close to another to be drawn apart: they are counted in it.`,
        ]),
    ...(drawn.unplaced === 0 ? [] : [`${drawn.unplaced} have no time, or lie outside, and are not drawn.`]),
  ].join(' ');
  return html`${heading}
<figure>
${timelineSvg(drawn, described)}
<figcaption>${legendOf(drawn)}
<p class="muted">${thinned}</p></figcaption>
</figure>`;
}

function gapSection(gaps: readonly AuditGap[]): Html {
  const columns: Column<AuditGap>[] = [
    { title: 'Began', cell: ({ beganAt }) => timeOf(isoTime(beganAt)) },
    { title: 'Nodes', cell: ({ from, to }) => `${from} → ${to ?? 'nobody yet'}` },
    { title: 'Cause', cell: ({ cause }) => causeOf(cause) },
    { title: 'Lasted', cell: lengthOf },
    { title: 'Spent on', cell: spentOn },
    { title: 'Takeover', cell: ({ takeoverMs }) => msOf(takeoverMs) },
  ];
  return html`<h2 id="gaps">Gaps</h2>
<p>Nobody was allowed to hold from the end of a tenure to the next grant. The service came back after the takeover that follows.</p>
${tableOf(
  largest(gaps, MAX_ROWS.gaps, ({ totalMs }) => totalMs),
  columns,
  {
    caption: 'Gaps between tenures, in the order of the log',
    leftOut: 'shorter ones',
    none: 'There was none.',
  },
)}`;
}

function lengthOf({ totalMs, isEstimated, to }: AuditGap): string {
  if (totalMs === null) return to === null ? 'goes on' : 'not known';
  return isEstimated ? `about ${humanMs(totalMs)}, since its last sign` : humanMs(totalMs);
}

function spentOn({ parts }: AuditGap): string | null {
  if (parts === null) return null;
  const { noticeMs, electMs, grantMs } = parts;
  return `noticing ${humanMs(noticeMs)}, election ${humanMs(electMs)}, grant ${humanMs(grantMs)}`;
}

/** Only where there is one: most clusters have no pool that is replicated by snapshots. */
function lossSection(losses: readonly AuditLoss[]): Html | null {
  if (losses.length === 0) return null;
  const columns: Column<AuditLoss>[] = [
    { title: 'Epoch', cell: ({ epoch }) => epoch },
    { title: 'Node', cell: ({ node }) => node },
    { title: 'Pool', cell: ({ pool }) => pool },
    { title: 'Went on from', cell: ({ upTo }) => timeOf(upTo) ?? 'what was there' },
    { title: 'Lag', cell: ({ ageMs }) => (ageMs === null ? 'not known' : humanMs(ageMs)) },
    { title: 'Left behind', cell: leftBehind },
  ];
  return html`<h2 id="losses">Data that was left behind</h2>
<p>These takeovers went on from an older copy of a pool that is replicated by snapshots: what was written after it stayed on the old holder.</p>
${tableOf(newest(losses, MAX_ROWS.losses), columns, {
  caption: 'Takeovers that went on without the newest data',
  leftOut: 'older ones',
  none: 'There was none.',
})}`;
}

function leftBehind({ kept, from, why }: AuditLoss): string {
  if (kept !== null)
    return `${humanBytes(kept.bytes)} in ${kept.datasets} ${kept.datasets === 1 ? 'dataset' : 'datasets'}, kept on ${kept.node}`;
  return why ?? `on ${from} only; how much is not known`;
}

function tenureSection({ tenures }: AuditDocument): Html {
  const columns: Column<AuditTenure>[] = [
    { title: 'Epoch', cell: ({ epoch }) => epoch },
    { title: 'Node', cell: ({ node }) => node },
    { title: 'Granted', cell: ({ grantedAt }) => timeOf(grantedAt) },
    { title: 'Released', cell: ({ releasedAt }) => timeOf(releasedAt) },
    { title: 'Lasted', cell: ({ grantedAt, releasedAt }) => between(grantedAt, releasedAt) },
    { title: 'Why it ended', cell: ({ reason }) => causeOf(reason) },
  ];
  return html`<h2 id="tenures">Tenures</h2>
${tableOf(newest(tenures, MAX_ROWS.tenures), columns, {
  caption: 'Who was allowed to hold, under which epoch',
  leftOut: 'older ones',
  none: 'Nobody was ever allowed to hold.',
})}`;
}

function electionSection({ terms }: AuditDocument): Html {
  const columns: Column<AuditTerm>[] = [
    { title: 'Term', cell: ({ term }) => term },
    { title: 'Leader', cell: ({ leader }) => leader },
    { title: 'Elected', cell: ({ electedAt }) => timeOf(electedAt) },
    { title: 'Reason', cell: ({ reason }) => reason },
    { title: 'Votes of', cell: ({ votes }) => votes.join(' ') },
    { title: 'Noticed after', cell: ({ detectMs }) => msOf(detectMs) },
    { title: 'Election', cell: ({ electMs }) => msOf(electMs) },
  ];
  return html`<h2 id="elections">Elections</h2>
${tableOf(newest(terms, MAX_ROWS.elections), columns, {
  caption: 'Who was elected in which term',
  leftOut: 'older ones',
  none: 'There was none.',
})}`;
}

function operatorSection({ document, entries }: AuditParts): Html {
  const actions = new Set(document.operators.map(({ index }) => index));
  const times = new Map(
    entries.flatMap(({ index, body }) =>
      actions.has(index) ? [[index as number, isoTime(ownTime(body))]] : [],
    ),
  );
  const columns: Column<AuditDocument['operators'][number]>[] = [
    { title: 'Entry', cell: ({ index }) => index },
    { title: 'When', cell: ({ index }) => timeOf(times.get(index) ?? null) },
    { title: 'Who', cell: ({ who }) => who },
    { title: 'What', cell: ({ action }) => action },
  ];
  return html`<h2 id="operators">Operators' actions</h2>
${tableOf(newest(document.operators, MAX_ROWS.operators), columns, {
  caption: 'What people asked for',
  leftOut: 'older ones',
  none: 'There was none.',
})}`;
}

/** Only what is shown is written out: of a long log that is a small part. */
function lineSection({ entries, document }: AuditParts): Html {
  const { rows, leftOut } = newest(entries, MAX_ROWS.lines);
  const lines = { rows: auditLines(rows, document, plain), leftOut };
  const columns: Column<AuditLine>[] = [
    { title: 'Entry', cell: ({ index }) => index },
    { title: 'When', cell: ({ time }) => timeOf(time) },
    { title: 'Term', cell: ({ term }) => term },
    { title: 'What', cell: ({ text }) => text },
  ];
  return html`<details><summary><h2 id="log">The log, entry by entry</h2></summary>
${tableOf(lines, columns, {
  caption: 'Every entry that says something to people',
  leftOut: 'older entries',
  none: 'It is empty.',
})}
</details>`;
}

const msOf = (ms: number | null): string | null => (ms === null ? null : humanMs(ms));

/** 2026-01-02 03:04:05.678, for the machine as it was. */
function timeOf(iso: string | null): Html | null {
  return iso === null ? null : html`<time datetime="${iso}">${iso.replace('T', ' ').replace('Z', '')}</time>`;
}

function between(from: string | null, to: string | null): string | null {
  if (from === null || to === null) return null;
  return humanMs(Math.max(0, Date.parse(to) - Date.parse(from)));
}
