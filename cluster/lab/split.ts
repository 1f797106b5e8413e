/** What the time of a takeover went into, from the log's own entries. Pure. */
import type { Entry } from '../../src/core/index.ts';
import { RESOURCES } from './plan.ts';

/** In ms. Storage and the way in are taken side by side, so the parts may be more than the whole. */
export interface Split {
  /** From the last sign of the old leader to the new one's campaign: the promise is in it. */
  readonly detectMs: number;
  readonly electMs: number;
  /** From the election to the grant: the log caught up, the proof of the last release, the watchdog armed. */
  readonly fenceMs: number;
  readonly drbdMs: number;
  readonly poolMs: number;
  readonly addressMs: number;
  readonly serviceMs: number;
}

type Body<Kind extends Entry['body']['kind']> = Extract<Entry['body'], { kind: Kind }>;

/** Of the last complete takeover after `fromIndex`; null where there was none. */
export function splitOf(entries: readonly Entry[], fromIndex: number): Split | null {
  const done = entries.findLast(
    ({ index, body }) => index > fromIndex && body.kind === 'takeover-done' && body.ok,
  );
  if (done === undefined) return null;
  const takeover = done.body as Body<'takeover-done'>;
  const granted = entries.find(({ index }) => Number(index) === Number(takeover.epoch))?.body;
  const elected = entries.findLast(
    ({ index, body }) => Number(index) < Number(takeover.epoch) && body.kind === 'elected',
  )?.body;
  if (granted?.kind !== 'tenure-granted' || elected?.kind !== 'elected') return null;
  const took = (names: readonly string[]): number =>
    takeover.steps.filter(({ name }) => names.includes(name)).reduce((sum, { ms }) => sum + ms, 0);
  return {
    detectMs: round(elected.detectMs ?? 0),
    electMs: round(elected.electMs),
    // Both by the wall clock of one node.
    fenceMs: elected.at === null || granted.at === null ? 0 : Math.max(0, granted.at - elected.at),
    drbdMs: round(took(RESOURCES.drbd)),
    poolMs: round(took(RESOURCES.pool)),
    addressMs: round(took(RESOURCES.address)),
    serviceMs: round(took(RESOURCES.service)),
  };
}

const round = (ms: number): number => Math.round(ms);
