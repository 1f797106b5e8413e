/**
 * How far pools are that snapshots keep alike on two nodes: the facts of one pool, and the same as words for terminals and pages. Pure;
 * it runs in browsers, too.
 *
 * Ages are by the wall clocks of two nodes, for people only (T3). What is not known is null, never zero.
 */
import { bytesText } from './resync.ts';

export interface SendingFacts {
  readonly dataset: string;
  readonly bytes: number;
  /** Null until ZFS has said it. */
  readonly totalBytes: number | null;
  readonly bytesPerSecond: number | null;
}

/** What needs somebody first. `late`: nothing else is wrong with it but that its copy is old. */
export const TROUBLES = ['conflict', 'failed', 'unknown', 'late'] as const;

export interface TroubleFacts {
  readonly dataset: string;
  readonly kind: (typeof TROUBLES)[number];
  readonly why: string;
}

/**
 * `up-to`: what was in the pool at that time is whole on the node that receives; `everything`: nothing would be lost; `none`: some of it
 * has never arrived whole.
 */
export const COPIES = ['up-to', 'everything', 'none', 'unknown'] as const;

/** `never`: the config wants none of what can lose anything (`max_data_loss: 0s`). */
export const BY_ITSELF = ['yes', 'too-old', 'never'] as const;

export interface PoolCopyFacts {
  readonly pool: string;
  /** What the node that tells is of it: `source` sends, `target` has the copy. */
  readonly role: 'source' | 'target';
  readonly peer: string | null;
  readonly copy: (typeof COPIES)[number];
  /** ISO 8601, the wall clock of the node that took the snapshots; only with `up-to`. */
  readonly upTo: string | null;
  /** Only with `none` and `unknown`. */
  readonly why: string | null;
  /** Whether the target would take over by itself, by `max_data_loss`; null where the node that tells does not decide that, or has not looked. */
  readonly byItself: (typeof BY_ITSELF)[number] | null;
  /** What keeps all of it from being sent: a side that cannot be read, a channel that does not open. */
  readonly problem: string | null;
  /** Of the source only, as what follows. */
  readonly sending: readonly SendingFacts[];
  readonly conflicts: number;
  readonly late: number;
  readonly trouble: readonly TroubleFacts[];
  /** Of `trouble`: how many are left out. */
  readonly omitted: number;
}

/** Clocks of two nodes differ: never below 0. */
export const lagMs = (takenAtMs: number, wallMs: number): number => Math.max(0, wallMs - takenAtMs);

/** Null where no time is known up to which the copy is whole. */
export function poolLagMs({ copy, upTo }: PoolCopyFacts, wallMs: number): number | null {
  if (copy === 'everything') return 0;
  return upTo === null ? null : lagMs(Date.parse(upTo), wallMs);
}

/** Somebody should look at it. */
export const isPoolInTrouble = ({ copy, byItself, problem, conflicts, late }: PoolCopyFacts): boolean =>
  copy === 'none' || copy === 'unknown' || byItself === 'too-old' || problem !== null || conflicts + late > 0;

/** @param wallMs null: without an age, where the line is not written anew as time goes by */
export function poolSentence(facts: PoolCopyFacts, wallMs: number | null): string {
  return [
    `${facts.pool} ${directionText(facts)}`.trimEnd(),
    `: ${copyText(facts, wallMs)}`,
    ...(facts.byItself === 'too-old' ? ['; too old for a takeover by itself (max_data_loss)'] : []),
    ...(facts.byItself === 'never' ? ['; no takeover by itself (max_data_loss is 0s)'] : []),
    ...(facts.conflicts === 0 ? [] : [`; ${facts.conflicts} in conflict`]),
    ...(facts.late === 0 ? [] : [`; ${facts.late} late`]),
    ...(facts.sending.length === 0 ? [] : [`; sending ${facts.sending.length}`]),
    ...(facts.problem === null ? [] : [`; ${facts.problem}`]),
  ].join('');
}

export function directionText({ role, peer }: Pick<PoolCopyFacts, 'role' | 'peer'>): string {
  if (peer === null) return '';
  return role === 'source' ? `to ${peer}` : `from ${peer}`;
}

export function copyText(facts: PoolCopyFacts, wallMs: number | null): string {
  switch (facts.copy) {
    case 'everything':
      return 'whole, with everything';
    case 'none':
      return `no whole copy yet: ${facts.why}`;
    case 'unknown':
      return `how far the copy is, is not known: ${facts.why}`;
    case 'up-to': {
      const lag = wallMs === null ? null : poolLagMs(facts, wallMs);
      return `whole up to ${facts.upTo}${lag === null ? '' : `, ${agoText(lag)} ago`}`;
    }
  }
}

/** How far a stream is, of how much, how fast, and how long still. */
export function progressText({ bytes, totalBytes, bytesPerSecond }: Omit<SendingFacts, 'dataset'>): string {
  const whole = totalBytes === null ? '' : ` of ${bytesText(totalBytes)}`;
  const rate = bytesPerSecond === null ? '' : `, ${bytesText(bytesPerSecond)}/s`;
  const isKnown = totalBytes !== null && bytesPerSecond !== null && bytesPerSecond > 0;
  const left = isKnown ? `, ${agoText((Math.max(0, totalBytes - bytes) / bytesPerSecond) * 1000)} left` : '';
  return `${bytesText(bytes)}${whole}${rate}${left}`;
}

/** 0 to 100, as far as ZFS has estimated it: a stream can be longer than that. */
export const sentPercent = ({ bytes, totalBytes }: SendingFacts): number | null =>
  totalBytes === null || totalBytes === 0 ? null : Math.min(100, (bytes / totalBytes) * 100);

/** 5 s, 3 min, 7 h, 12 d. */
export function agoText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}
