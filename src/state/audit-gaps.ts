/**
 * The times in which nobody was allowed to hold: from one tenure's end to the next one's grant, with their causes and what
 * they were spent on. By the wall clocks of the nodes that wrote the entries, for people only (T3).
 */
import type { Entry, EntryBody } from '../core/index.ts';
import type { AuditTenure } from './audit-document.ts';

export interface AuditGap {
  /** Of the tenure that ended. */
  readonly epoch: number;
  readonly from: string;
  /** Who held next; null while nobody does. */
  readonly to: string | null;
  /** Why the tenure ended, as the document has it. */
  readonly cause: string;
  readonly beganAt: number | null;
  readonly endedAt: number | null;
  /** No release is in the log: it began when the next leader last heard from the old one, as far as that is known. */
  readonly isEstimated: boolean;
  readonly totalMs: number | null;
  /** Until somebody stood for election, until that was won, until the grant; null where one of the instants is not known. */
  readonly parts: { readonly noticeMs: number; readonly electMs: number; readonly grantMs: number } | null;
  /** Of the tenure after it: until its resources were all there; the service is back only then. */
  readonly takeoverMs: number | null;
}

type Election = Extract<EntryBody, { kind: 'elected' }>;
interface Grant {
  readonly at: number | null;
  /** Since the tenure before it, or since that was last adopted (L7): what began the change, and what ended it. */
  readonly firstElection: Election | null;
  readonly lastElection: Election | null;
}

export function gapsOf(entries: readonly Entry[], tenures: readonly AuditTenure[]): AuditGap[] {
  const { grants, releases, takeovers } = collect(entries);
  return tenures.flatMap((tenure, position) => {
    if (tenure.reason === null) return [];
    const next = tenures[position + 1];
    const release = releases.get(tenure.epoch);
    const grant = next === undefined ? null : (grants.get(next.epoch) ?? null);
    // A release that was recorded after the next grant, by proof that came late, says nothing about the gap.
    const isReleased = release !== undefined && (next === undefined || release.index < next.epoch);
    const beganAt = isReleased ? release.at : silentSince(grant?.firstElection ?? null);
    const endedAt = grant?.at ?? null;
    const totalMs = beganAt === null || endedAt === null ? null : Math.max(0, endedAt - beganAt);
    return [
      {
        ...{ epoch: tenure.epoch, from: tenure.node, to: next?.node ?? null, cause: tenure.reason },
        ...{ beganAt, endedAt, isEstimated: !isReleased, totalMs },
        parts: beganAt === null || endedAt === null ? null : partsOf(beganAt, endedAt, grant?.lastElection),
        takeoverMs: next === undefined ? null : (takeovers.get(next.epoch) ?? null),
      },
    ];
  });
}

function collect(entries: readonly Entry[]) {
  const grants = new Map<number, Grant>();
  const releases = new Map<number, { readonly at: number | null; readonly index: number }>();
  const takeovers = new Map<number, number>();
  let firstElection: Election | null = null;
  let lastElection: Election | null = null;
  for (const { index, body } of entries) {
    if (body.kind === 'elected') {
      firstElection ??= body;
      lastElection = body;
    } else if (body.kind === 'tenure-granted' || body.kind === 'tenure-adopted') {
      if (body.kind === 'tenure-granted') grants.set(index, { at: body.at, firstElection, lastElection });
      firstElection = null;
      lastElection = null;
    } else if (body.kind === 'tenure-released' && !releases.has(body.epoch)) {
      releases.set(body.epoch, { at: body.at, index });
    } else if (body.kind === 'takeover-done' && body.ok) takeovers.set(body.epoch, body.totalMs);
  }
  return { grants, releases, takeovers };
}

function silentSince(election: Election | null): number | null {
  if (election === null || election.at === null || election.detectMs === null) return null;
  return election.at - election.electMs - election.detectMs;
}

function partsOf(began: number, ended: number, election: Election | null | undefined): AuditGap['parts'] {
  if (election === null || election === undefined || election.at === null) return null;
  // Instants of several clocks: each part is at least nothing, and together they are the gap.
  const elected = Math.min(Math.max(election.at, began), Math.max(ended, began));
  const campaign = Math.min(Math.max(election.at - election.electMs, began), elected);
  return {
    noticeMs: campaign - began,
    electMs: elected - campaign,
    grantMs: Math.max(0, ended - elected),
  };
}
