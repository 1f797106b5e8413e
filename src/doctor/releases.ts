/** How long releases and takeovers have taken, as the log has it: D must bound the worst abrupt release (R1, L5). */
import type { Entry } from '../core/index.ts';
import type { Check, CheckContext } from './context.ts';
import { type Finding, failed, ok, skipped, unknown, warning } from './report.ts';
import { reason } from './run.ts';
import { summaryOf } from './statistics.ts';

/** Of D; from there on an operator should know. As the executor warns. */
const NEAR = 0.7;
/** What was slow long ago, and was mended, is not today's trouble. */
const NEWEST = 20;

export const releasesCheck: Check = {
  name: 'releases',
  about: 'how long releases and takeovers took, from the log, against D',
  isAlone: false,
  // It reads the whole log.
  isHarmless: false,
  limitMs: 20_000,
  run: async (context) => {
    let entries: readonly Entry[];
    try {
      entries = await context.entries();
    } catch (error) {
      return [
        unknown(
          'log',
          `cannot be read: ${reason(error)}`,
          'Start the agent and bootstrap the cluster, and ask again.',
        ),
      ];
    }
    return [await releases(context, entries), takeovers(entries)];
  },
};

async function releases(context: CheckContext, entries: readonly Entry[]): Promise<Finding> {
  const subject = 'releases';
  const all = releaseTimes(entries);
  const ms = all.abrupt.slice(-NEWEST);
  const [abrupt, planned] = [summaryOf(ms), summaryOf(all.planned.slice(-NEWEST))];
  const inForce = await context.clusterTiming().catch(() => null);
  const limitMs = inForce?.releaseMs ?? context.config.timing.releaseMs;
  // A planned release runs under its lease: D does not bound it.
  const others = planned === null ? '' : `; ${planned.count} planned, ${planned.max} ms at worst`;
  if (abrupt === null) return skipped(subject, `no abrupt one was measured yet; D is ${limitMs} ms${others}`);
  const detail = `${abrupt.count} abrupt, ${abrupt.p50} ms usually, ${abrupt.max} ms at worst; D is ${limitMs} ms${others}`;
  const measured = { kind: 'releases', ms } as const;
  const remedy =
    "Find the slow step in the executor's log; or choose a longer timing.release, which makes failovers slower.";
  if (abrupt.max > limitMs)
    return {
      ...failed(subject, `${detail}: a new holder may begin before the old one has ended (L5)`, remedy),
      measured,
    };
  return abrupt.max > NEAR * limitMs
    ? { ...warning(subject, `${detail}: near its limit`, remedy), measured }
    : { ...ok(subject, detail), measured };
}

/** The words that the executor puts into the evidence; entries of older versions have none. */
const ABRUPT = /\b(\d{1,7}(?:\.\d+)?) ms of D \d/;
const PLANNED = /\bverified in (\d{1,7}(?:\.\d+)?) ms\b/;

export function releaseTimes(entries: readonly Entry[]): {
  readonly abrupt: readonly number[];
  readonly planned: readonly number[];
} {
  const evidences = entries.flatMap(({ body }) => (body.kind === 'tenure-released' ? [body.evidence] : []));
  const times = (pattern: RegExp): number[] =>
    evidences.flatMap((evidence) => {
      const ms = pattern.exec(evidence)?.[1];
      return ms === undefined ? [] : [Number(ms)];
    });
  return { abrupt: times(ABRUPT), planned: times(PLANNED) };
}

function takeovers(entries: readonly Entry[]): Finding {
  const subject = 'takeovers';
  const ms = entries
    .flatMap(({ body }) => (body.kind === 'takeover-done' && body.ok ? [body.totalMs] : []))
    .slice(-NEWEST);
  const summary = summaryOf(ms);
  if (summary === null) return skipped(subject, 'none yet');
  const detail = `${summary.count}, ${summary.p50} ms usually, ${summary.max} ms at worst`;
  return { ...ok(subject, detail), measured: { kind: 'takeovers', ms } };
}
