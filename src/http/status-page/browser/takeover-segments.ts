/** What a takeover was spent on, piece by piece, for its bar and its list. Pure. */
import type { PastTakeover } from '../state.ts';

export interface Segment {
  readonly kind: 'notice' | 'elect' | 'grant' | 'step' | 'failed';
  readonly name: string;
  readonly ms: number;
  /** Of a step, what became of it. */
  readonly result: string | null;
}

export function segmentsOf(takeover: PastTakeover): Segment[] {
  const { detectMs, electMs, grantMs, steps, result } = takeover;
  const piece = (kind: Segment['kind'], name: string, ms: number | null): Segment[] =>
    ms === null ? [] : [{ kind, name, ms, result: null }];
  return [
    ...piece('notice', 'noticing', detectMs),
    ...piece('elect', 'election', electMs),
    ...piece('grant', 'waiting for the right to hold', grantMs),
    ...steps.map((step, at): Segment => {
      // What failed is said last.
      const isFailed = result === 'failed' && at === steps.length - 1;
      return { kind: isFailed ? 'failed' : 'step', name: step.name, ms: step.ms, result: step.result };
    }),
  ];
}

export const sumMs = (segments: readonly Segment[]): number => segments.reduce((sum, { ms }) => sum + ms, 0);

/** From the last sign of the old leader to the end of the takeover; null where one of its parts is not known. */
export function sinceSign({ detectMs, electMs, grantMs, totalMs, result }: PastTakeover): number | null {
  if (result !== 'ok' || detectMs === null || electMs === null || grantMs === null || totalMs === null)
    return null;
  return detectMs + electMs + grantMs + totalMs;
}
