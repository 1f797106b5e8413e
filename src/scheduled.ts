/** What a scheduled switchover is to people: one sentence for terminals and pages. Pure. */

export interface ScheduledFacts {
  readonly id: number | null;
  readonly to: string | null;
  readonly at: string;
  readonly until: string;
  readonly state: 'waiting' | 'begun' | 'ended';
  readonly outcome: 'done' | 'cancelled' | 'expired' | 'refused' | null;
  readonly result: string | null;
}

const OUTCOMES = {
  done: 'is done',
  cancelled: 'is off',
  expired: 'has expired',
  refused: 'was refused',
} as const;

export function scheduledSentence({ id, to, at, until, state, outcome, result }: ScheduledFacts): string {
  const entry = id === null ? '' : ` (entry ${id})`;
  const what = `switchover to ${to ?? 'the best other node'} at ${at}${entry}`;
  if (state === 'waiting') return `scheduled: ${what}, not begun after ${until}`;
  if (state === 'begun') return `scheduled: ${what}, under way`;
  const end = outcome === null ? 'has ended' : OUTCOMES[outcome];
  return `scheduled: ${what} ${end}${result === null || result === '' ? '' : `: ${result}`}`;
}
