/** How people read what the log and the agents say. Pure: it runs in browsers, too. */

/** 0.4 ms, 12 ms, 1.25 s, 3 min 20 s, 5 h 12 min, 3 d 4 h. */
export function humanMs(durationMs: number): string {
  if (durationMs < 10) return `${Number(durationMs.toFixed(1))} ms`;
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`;
  if (durationMs < 60_000) return `${Number((durationMs / 1000).toFixed(2))} s`;
  const seconds = Math.round(durationMs / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** What shows nothing, or turns the text around it the other way (control and bidirectional characters). */
const INVISIBLE = /(?![\t\n])[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;

/** With U+FFFD in the place of what could not be seen. */
export const visibleText = (text: string): string => text.replaceAll(INVISIBLE, '\ufffd');

const CAUSES: Readonly<Record<string, string>> = {
  switchover: 'switchover',
  'lease-lost': 'its lease was lost',
  shutdown: 'its agent was shut down',
  'agent-died': 'its agent died',
  'stale-data': 'its data was stale',
  failure: 'a resource failed',
  operator: 'an operator',
  expired: 'it fell silent: no release is in the log',
};

/** Why a tenure ended, as the audit has it; null: it has not. */
export const causeOf = (reason: string | null): string =>
  reason === null ? 'still runs' : (CAUSES[reason] ?? reason);

const ELECTIONS: Readonly<Record<string, string>> = {
  boot: 'the cluster started',
  'leader-silent': 'the leader fell silent',
  released: 'the holder had let go',
  transfer: 'leadership was handed over',
  caretaker: 'the witness brought the log up to date',
  retry: 'another try after a split vote',
  operator: 'an operator',
};

/** Why there was an election, as its entry says; null: not known. */
export const electionWords = (reason: string | null): string =>
  reason === null ? 'not known why' : (ELECTIONS[reason] ?? reason);
