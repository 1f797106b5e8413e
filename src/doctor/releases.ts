/** How long releases and takeovers have taken, as the log has it: D must bound the worst release (R1, L5). */
import type { Entry } from '../core/index.ts';
import type { Check, CheckContext } from './context.ts';
import { type Finding, failed, ok, skipped, unknown, warning } from './report.ts';
import { reason } from './run.ts';
import { summaryOf } from './statistics.ts';

/** Of D; from there on an operator should know. */
const NEAR = 0.8;
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
  const ms = releaseTimes(entries).slice(-NEWEST);
  const summary = summaryOf(ms);
  const inForce = await context.clusterTiming().catch(() => null);
  const limitMs = inForce?.releaseMs ?? context.config.timing.releaseMs;
  if (summary === null) return skipped(subject, `none was measured yet; D is ${limitMs} ms`);
  const detail = `${summary.count}, ${summary.p50} ms usually, ${summary.max} ms at worst; D is ${limitMs} ms`;
  const measured = { kind: 'releases', ms } as const;
  const remedy =
    "Find the slow step in the executor's log; or choose a longer timing.release, which makes failovers slower.";
  if (summary.max > limitMs)
    return {
      ...failed(subject, `${detail}: a new holder may begin before the old one has ended (L5)`, remedy),
      measured,
    };
  return summary.max > NEAR * limitMs
    ? { ...warning(subject, `${detail}: near its limit`, remedy), measured }
    : { ...ok(subject, detail), measured };
}

/**
 * A release says its time in a field of its own, or in the words of its evidence; entries of older versions say none.
 * Exported for its test.
 */
export function releaseTimes(entries: readonly Entry[]): readonly number[] {
  return entries.flatMap(({ body }) => {
    if (body.kind !== 'tenure-released') return [];
    const field = new Map<string, unknown>(Object.entries(body)).get('ms');
    if (typeof field === 'number' && Number.isFinite(field) && field >= 0) return [field];
    const words = /\b(?:in|after) (\d{1,7}(?:\.\d+)?) ms\b/.exec(body.evidence)?.[1];
    return words === undefined ? [] : [Number(words)];
  });
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
