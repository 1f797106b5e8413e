/**
 * A part of an audit: a span of time, a node. What lies outside is counted, never just missing; the chain and the violations
 * are always those of the whole log, because a rule that was broken elsewhere is broken.
 *
 * Times are wall clocks of several nodes (T3), so that they need not rise from entry to entry. An entry without a time of its
 * own has that of the one before it. What has no time at all is inside: it cannot be shown to be outside.
 */
import { assertNever, type Entry, type EntryBody, type NodeId } from '../core/index.ts';
import type { AuditDocument, AuditTenure } from './audit-document.ts';
import { type AuditGap, gapsOf } from './audit-gaps.ts';
import { type AuditLoss, lossesOf } from './audit-losses.ts';
import { isoTime } from './iso-time.ts';

/** Ends belong to it, in ms since 1970; null: no limit. */
export interface AuditWindow {
  readonly since: number | null;
  readonly until: number | null;
  /** Only what concerns this node, or no node in particular: settings, operators' actions, notes. */
  readonly node: NodeId | null;
}

export interface AuditParts {
  readonly entries: readonly Entry[];
  readonly document: AuditDocument;
  readonly gaps: readonly AuditGap[];
  readonly losses: readonly AuditLoss[];
}

export const auditParts = (entries: readonly Entry[], document: AuditDocument): AuditParts => ({
  entries,
  document,
  gaps: gapsOf(entries, document.tenures),
  losses: lossesOf(entries),
});

export function windowed(whole: AuditParts, window: AuditWindow): AuditParts {
  const { since, until, node } = window;
  if (since === null && until === null && node === null) return whole;
  const { document } = whole;
  const times = timesOf(whole.entries);
  const timeAt = (index: number): number | null => times.get(index) ?? null;
  const isNodeIn = (...nodes: readonly (string | null)[]): boolean => node === null || nodes.includes(node);
  const isTimeIn = (index: number): boolean => touches(window, timeAt(index), timeAt(index));

  const entries = whole.entries.filter(
    ({ index, body }) => isTimeIn(index) && (node === null || concerns(body, node)),
  );
  const elections = whole.entries.flatMap(({ index, body }) => (body.kind === 'elected' ? [index] : []));
  // One election entry makes one term of the document, in the same order.
  const terms = document.terms.filter(
    ({ leader, votes }, position) =>
      isTimeIn(elections[position] ?? Number.NaN) && isNodeIn(leader, ...votes),
  );
  const releases = releaseTimes(whole.entries);
  const tenures = document.tenures.filter(
    (tenure, position) =>
      isNodeIn(tenure.node) &&
      touches(
        window,
        timeAt(tenure.epoch),
        endOf(tenure, releases, timeAt, document.tenures[position + 1]?.epoch ?? null),
      ),
  );
  const operators = document.operators.filter(({ index }) => isTimeIn(index));
  const gaps = whole.gaps.filter(
    (gap) => isNodeIn(gap.from, gap.to) && touches(window, gap.beganAt ?? timeAt(gap.epoch), gap.endedAt),
  );
  const losses = whole.losses.filter(
    (loss) =>
      isNodeIn(loss.node, loss.from, loss.kept?.node ?? null) &&
      touches(window, loss.grantedAt ?? timeAt(loss.epoch), loss.grantedAt ?? timeAt(loss.epoch)),
  );
  const leftOut = {
    entries: whole.entries.length - entries.length,
    terms: document.terms.length - terms.length,
    tenures: document.tenures.length - tenures.length,
    operators: document.operators.length - operators.length,
  };
  const statement = { since: isoTime(since), until: isoTime(until), node, leftOut };
  return { entries, gaps, losses, document: { ...document, window: statement, terms, tenures, operators } };
}

/** Null: not known; then it reaches as far as it can. */
function touches({ since, until }: AuditWindow, from: number | null, to: number | null): boolean {
  return !(
    (until !== null && from !== null && from > until) ||
    (since !== null && to !== null && Math.max(to, from ?? to) < since)
  );
}

/** Of a tenure that expired, the next one's grant is the last instant that it can have reached. */
function endOf(
  { epoch, reason }: AuditTenure,
  releases: ReadonlyMap<number, number | null>,
  timeAt: (index: number) => number | null,
  nextEpoch: number | null,
): number | null {
  if (reason === null) return null;
  return releases.get(epoch) ?? (nextEpoch === null ? null : timeAt(nextEpoch));
}

function releaseTimes(entries: readonly Entry[]): Map<number, number | null> {
  const times = new Map<number, number | null>();
  for (const { body } of entries)
    if (body.kind === 'tenure-released' && !times.has(body.epoch)) times.set(body.epoch, body.at);
  return times;
}

function timesOf(entries: readonly Entry[]): Map<number, number> {
  const times = new Map<number, number>();
  const first = entries.find(({ body }) => ownTime(body) !== null);
  let last = first === undefined ? null : ownTime(first.body);
  for (const { index, body } of entries) {
    last = ownTime(body) ?? last;
    if (last !== null) times.set(index, last);
  }
  return times;
}

export const ownTime = (body: EntryBody): number | null => ('at' in body ? body.at : null);

function concerns(body: EntryBody, node: NodeId): boolean {
  switch (body.kind) {
    case 'elected':
      return body.leader === node || body.votes.includes(node);
    case 'tenure-released':
      return body.node === node || body.successor === node;
    case 'peer-outdated':
    case 'peer-in-sync':
      return body.peer === node;
    case 'tenure-granted':
    case 'takeover-done':
    case 'node-outdated':
    case 'repaired':
    case 'fenced':
    case 'restart-begun':
    case 'tenure-adopted':
    case 'timing-persisted':
    case 'standby':
      return body.node === node;
    case 'switchover-begun':
      return body.to === node;
    case 'config':
    case 'operator':
    case 'switchover-scheduled':
    case 'switchover-ended':
    case 'operator-result':
    case 'pause':
    case 'forced':
    case 'note':
      return true;
    default:
      return assertNever(body);
  }
}
