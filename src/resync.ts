/** What a resync of DRBD is to people: one sentence for terminals and pages. Pure; it runs in browsers, too. */

export interface ResyncFacts {
  /** The name that the config gives it. */
  readonly resource: string;
  readonly volume: number;
  /** The other node; null where DRBD does not say which one it is. */
  readonly peer: string | null;
  /** What the observer is of it: what it has goes to the peer, or the other way. */
  readonly role: 'source' | 'target';
  /** Somebody, or a resync that goes before it, holds it up. */
  readonly paused: boolean;
  /** 0 to 100, as DRBD counts it; null: not known, which is not none. */
  readonly donePercent: number | null;
  readonly outOfSyncBytes: number | null;
}

export function resyncSentence(facts: ResyncFacts): string {
  const { resource, volume, role, paused, donePercent } = facts;
  const peer = facts.peer ?? (role === 'source' ? 'its peer' : 'a peer');
  return [
    `resync: ${resource} volume ${volume} ${role === 'source' ? 'to' : 'from'} ${peer}`,
    donePercent === null ? 'how far is not known' : `${percentText(donePercent)} done`,
    ...(facts.outOfSyncBytes === null ? [] : [`${bytesText(facts.outOfSyncBytes)} to go`]),
    ...(paused ? ['paused'] : []),
  ].join(', ');
}

/** Never up to 100: that would say that it is over. */
export const percentText = (percent: number): string =>
  `${percent >= 100 ? '100' : (Math.floor(percent * 10) / 10).toFixed(1)} %`;

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

export function bytesText(bytes: number): string {
  const step = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  return `${Number((bytes / 1024 ** step).toFixed(step === 0 ? 0 : 1))} ${UNITS[step]}`;
}
