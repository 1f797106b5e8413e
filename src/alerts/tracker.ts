/**
 * Which alerts there are to tell, by what a node sees at one instant after the other. Pure.
 *
 * Who tells, without asking anybody:
 * 1. What only a node itself knows (its own certificate, checks, disk, log, resources; that it hears no leader) it tells itself,
 *    whoever leads: so a node that is cut off still says so.
 * 2. What concerns the cluster the leader tells, as long as it has its lease. Every other node notes the same in silence, so
 *    that the next leader knows what lasts: it repeats what began shortly before it led, because nobody may have told it, and it
 *    tells the end of what its predecessor has told. At least once, therefore; `key` is what a receiver knows it again by.
 * 3. A change of holder is told by the node that holds from then on.
 *
 * A condition is told when it has lasted for `afterMs`, again after `repeatMs`, and as resolved when it has been away for
 * `afterMs`: what flickers within that time is not told.
 */
import type { PastTakeover } from '../http/index.ts';
import type { Alert } from './alert.ts';

export interface Condition {
  /** Names the same condition on every node. */
  readonly key: string;
  readonly severity: 'bad' | 'warning';
  readonly text: string;
  readonly isOwn: boolean;
}

export interface Seen {
  /** Monotonic. */
  readonly nowMs: number;
  readonly wallMs: number;
  readonly cluster: string;
  readonly node: string;
  /** This node leads, and has its lease. */
  readonly isLeader: boolean;
  readonly conditions: readonly Condition[];
  /** Oldest first. */
  readonly takeovers: readonly PastTakeover[];
}

export interface TrackerOptions {
  readonly afterMs: number;
  readonly repeatMs: number;
  readonly newId: () => string;
}

/** What began so long before this node led is taken to have been told by the leader before it. */
export const INHERITED_MS = 60_000;
/** Conditions at a time; more are not told. A cluster has seven nodes at most. */
export const MAX_CONDITIONS = 256;

interface Tracked {
  condition: Condition;
  readonly sinceMs: number;
  readonly sinceWallMs: number;
  seenAtMs: number;
  raisedAtMs: number | null;
  toldAtMs: number | null;
}

export class AlertTracker {
  readonly #options: TrackerOptions;
  readonly #tracked = new Map<string, Tracked>();
  /** Of the newest takeover that has been told, or was there before this process. */
  #epoch: number | null = null;

  constructor(options: TrackerOptions) {
    this.#options = options;
  }

  /** The alerts to tell now. */
  observe(seen: Seen): Alert[] {
    const alerts: Alert[] = [];
    for (const condition of seen.conditions) {
      const tracked = this.#note(condition, seen);
      if (tracked !== null) alerts.push(...this.#raise(tracked, seen));
    }
    for (const tracked of [...this.#tracked.values()])
      if (tracked.seenAtMs < seen.nowMs) alerts.push(...this.#end(tracked, seen));
    return [...alerts, ...this.#moves(seen)];
  }

  #note(condition: Condition, { nowMs, wallMs }: Seen): Tracked | null {
    const known = this.#tracked.get(condition.key);
    if (known !== undefined) {
      known.condition = condition;
      known.seenAtMs = nowMs;
      return known;
    }
    if (this.#tracked.size >= MAX_CONDITIONS) return null;
    const tracked: Tracked = {
      ...{
        condition,
        sinceMs: nowMs,
        sinceWallMs: wallMs,
        seenAtMs: nowMs,
        raisedAtMs: null,
        toldAtMs: null,
      },
    };
    this.#tracked.set(condition.key, tracked);
    return tracked;
  }

  #raise(tracked: Tracked, seen: Seen): Alert[] {
    const { nowMs } = seen;
    if (tracked.raisedAtMs === null && nowMs - tracked.sinceMs < this.#options.afterMs) return [];
    tracked.raisedAtMs ??= nowMs;
    if (!mayTell(tracked, seen)) return [];
    // A predecessor has told it, long enough ago for that: from here on it is this node's to repeat.
    if (tracked.toldAtMs === null && nowMs - tracked.raisedAtMs > INHERITED_MS) tracked.toldAtMs = nowMs;
    if (tracked.toldAtMs !== null && nowMs - tracked.toldAtMs < this.#options.repeatMs) return [];
    tracked.toldAtMs = nowMs;
    return [this.#alert(tracked, 'firing', seen)];
  }

  #end(tracked: Tracked, seen: Seen): Alert[] {
    const { key } = tracked.condition;
    if (tracked.raisedAtMs !== null && seen.nowMs - tracked.seenAtMs < this.#options.afterMs) return [];
    this.#tracked.delete(key);
    return tracked.raisedAtMs === null || !mayTell(tracked, seen)
      ? []
      : [this.#alert(tracked, 'resolved', seen)];
  }

  #alert({ condition, sinceWallMs }: Tracked, state: 'firing' | 'resolved', seen: Seen): Alert {
    const { key, severity, text } = condition;
    const since = new Date(sinceWallMs).toISOString();
    return { ...this.#frame(seen), key, state, severity, text, since };
  }

  #moves(seen: Seen): Alert[] {
    const ended = seen.takeovers.filter(({ result }) => result !== 'open');
    const newest = ended.at(-1)?.epoch ?? 0;
    const before = this.#epoch;
    this.#epoch = Math.max(newest, before ?? 0);
    // What was there when this process began was told by somebody, or is long ago.
    if (before === null) return [];
    return ended
      .filter(({ epoch, node }) => epoch > before && node === seen.node)
      .map((takeover) => ({
        ...this.#frame(seen),
        key: `holder-${takeover.epoch}`,
        state: 'event',
        severity: severityOf(takeover),
        text: sentenceOf(takeover),
        since: takeover.grantedAt,
      }));
  }

  #frame({ cluster, node, wallMs }: Seen): Pick<Alert, 'version' | 'id' | 'cluster' | 'node' | 'at'> {
    const at = new Date(wallMs).toISOString();
    return { version: 1, id: this.#options.newId(), cluster, node, at };
  }
}

const mayTell = ({ condition }: Tracked, { isLeader }: Seen): boolean => condition.isOwn || isLeader;

/** Somebody wanted it, or nobody did. */
const severityOf = ({ result, reason }: PastTakeover): Alert['severity'] =>
  result === 'failed' ? 'bad' : reason === 'transfer' ? 'note' : 'warning';

function sentenceOf({ epoch, node, from, reason, result, totalMs }: PastTakeover): string {
  const why = reason === null ? '' : `, ${reason}`;
  const took = totalMs === null ? '' : `, in ${Math.round(totalMs)} ms`;
  if (result === 'failed')
    return `${node} could not take everything over${from === null ? '' : ` from ${from}`} (epoch ${epoch}${why}).`;
  return `${node} holds${from === null ? '' : `, before that ${from}`} (epoch ${epoch}${why}${took}).`;
}
