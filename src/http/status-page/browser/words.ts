/** The page's sentences and numbers. Pure. */
import { humanMs } from '../../../page/index.ts';
import type { Holding, PageNode, Pulse } from '../state.ts';
import type { Loss } from './follow.ts';

/** 2026-01-02 03:04:05 UTC. */
export const clock = (iso: string): string => `${iso.slice(0, 19).replace('T', ' ')} UTC`;

/** By wall clocks, which may differ: never below 0. */
export const lasted = (since: string, until: string): string =>
  humanMs(Math.max(0, Date.parse(until) - Date.parse(since)));

export function holdingTitle(holding: Holding): string {
  switch (holding.kind) {
    case 'held':
      return holding.isTaken ? `${holding.node} holds` : `${holding.node} is taking over`;
    case 'releasing':
      return `${holding.node} is letting go`;
    case 'nobody':
      return 'Nobody holds';
    case 'unknown':
      return 'Not known who holds';
  }
}

export function roleWords({ id, role, standby }: PageNode, holding: Holding): string {
  const part = partOf(id, holding) ?? (standby ? 'standby' : null);
  return `${role ?? 'not known'}${part === null ? '' : `, ${part}`}`;
}

/** What a node has to do with the tenure, if it is known: `holds`, `takes over`, `lets go`. */
export function partOf(id: string, holding: Holding): 'holds' | 'takes over' | 'lets go' | null {
  if (holding.kind === 'releasing' && holding.node === id) return 'lets go';
  if (holding.kind !== 'held' || holding.node !== id) return null;
  return holding.isTaken ? 'holds' : 'takes over';
}

export function linkWords({ link, answers }: PageNode): string {
  if (link === 'self') return 'this node';
  if (link === 'down') return 'not reachable';
  return answers === false ? 'connected, silent' : 'reachable';
}

export function dataWords({ kind, inSync }: PageNode): string {
  if (kind === 'witness') return 'holds no data';
  return inSync === null ? 'not known' : inSync ? 'in sync' : 'outdated';
}

export const MIRROR_WORDS = {
  'in-sync': 'in sync',
  'not-in-sync': 'not in sync',
  unknown: 'not known',
} as const;

export function lagWords({ lagEntries }: PageNode): string {
  if (lagEntries === null) return 'not known here';
  return lagEntries === 0 ? 'none' : `${lagEntries} ${lagEntries === 1 ? 'entry' : 'entries'}`;
}

/** Whom this node hears, or by whom it is confirmed. */
export function contactWords({ leaseRemainingMs, leaderHeardMs }: Pulse): string | null {
  if (leaseRemainingMs !== null) return `${humanMs(leaseRemainingMs)} left`;
  return leaderHeardMs === null ? null : `${humanMs(leaderHeardMs)} ago`;
}

export const LOSS_WORDS: Readonly<Record<Loss, string>> = {
  ended: 'The connection to this node has ended.',
  late: 'This node sends no news.',
  refused: 'This node has as many readers as it takes. Close another window, or look at another node.',
};
