/** What is told, as it leaves the node. The fields are for ever: `version` names their meaning. */

export type AlertState =
  /** It has begun, or still lasts. */
  | 'firing'
  | 'resolved'
  /** It happened, and neither lasts nor ends. */
  | 'event'
  | 'test';

export interface Alert {
  readonly version: 1;
  /** Of this message; the same at every attempt to send it. */
  readonly id: string;
  readonly cluster: string;
  /** Who tells. */
  readonly node: string;
  /** The same from `firing` to `resolved`, whoever tells it: what receivers know it again by. */
  readonly key: string;
  readonly state: AlertState;
  readonly severity: 'bad' | 'warning' | 'note';
  readonly text: string;
  /** ISO 8601, by the wall clock of the node. */
  readonly at: string;
  readonly since: string | null;
}

/** How one attempt ended. `isFinal`: another one would end in the same way. */
export type Attempt =
  | { readonly ok: true }
  | { readonly ok: false; readonly why: string; readonly isFinal: boolean };

/** A way to tell somebody. Never rejects. */
export interface Target {
  readonly name: string;
  send(alert: Alert, dropped: number, signal: AbortSignal): Promise<Attempt>;
}

export interface TestResult {
  readonly target: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly ms: number;
}

export const subjectOf = ({ cluster, state, severity, text }: Alert): string => {
  const word = {
    firing: severity === 'bad' ? 'BAD' : 'WARNING',
    resolved: 'RESOLVED',
    event: 'EVENT',
    test: 'TEST',
  }[state];
  return `[quorate ${cluster}] ${word}: ${text}`;
};
