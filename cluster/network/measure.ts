/** What the client's answers and the kernels' readings say about an event. Pure; all instants and durations in ms. */
import type { Answer } from './probes/client.ts';
import type { Sample } from './probes/sampler.ts';

export interface Span {
  readonly from: number;
  readonly to: number;
}

/**
 * Two answers of one node with another node's between them: unless two nodes have it at once, the address has moved
 * there and back meanwhile. No two takeovers fit into less than this, with their elections and commits.
 */
export const NO_TIME_TO_MOVE_TWICE_MS = 80;

/** The longest time in the span without an answer of this target. */
export function outageMs(answers: readonly Answer[], target: string, span: Span): number {
  const instants = answers
    .filter((answer) => answer.target === target)
    .map(({ answeredAt }) => answeredAt)
    .sort((left, right) => left - right);
  // From the last sign of life before it.
  const before = instants.findLast((instant) => instant <= span.from) ?? span.from;
  const within = instants.filter((instant) => instant > span.from && instant < span.to);
  return longestGap([before, ...within, span.to]);
}

function longestGap(instants: readonly number[]): number {
  return instants.slice(1).reduce((longest, at, index) => Math.max(longest, at - (instants[index] ?? at)), 0);
}

/** For how long answers prove that two nodes answered at once, over all targets. */
export function interleavedMs(answers: readonly Answer[], span: Span): number {
  const within = answers
    .filter(({ askedAt, answeredAt }) => answeredAt > span.from && askedAt < span.to)
    .sort((left, right) => left.answeredAt - right.answeredAt);
  const proofs = within.flatMap((answer, index) => {
    // Certainly before this answer, and certainly after it: what the other node said around it.
    const before = nearest(within, index, -1, (one) => one.answeredAt <= answer.askedAt);
    const after = nearest(within, index, 1, (one) => one.askedAt >= answer.answeredAt);
    if (before === null || after === null || before.node !== after.node) return [];
    const proof = { from: before.answeredAt, to: after.askedAt };
    return proof.to - proof.from < NO_TIME_TO_MOVE_TWICE_MS ? [proof] : [];
  });
  return totalMs(proofs);
}

/** The next answer of another node in one direction that fits; null when it is too far to prove anything. */
function nearest(
  answers: readonly Answer[],
  index: number,
  step: 1 | -1,
  fits: (answer: Answer) => boolean,
): Answer | null {
  const start = answers[index];
  for (let at = index + step; start !== undefined; at += step) {
    const one = answers[at];
    if (one === undefined) return null;
    if (Math.abs(one.answeredAt - start.answeredAt) > 2 * NO_TIME_TO_MOVE_TWICE_MS) return null;
    if (one.node !== start.node && fits(one)) return one;
  }
  return null;
}

/** The kernels had the address at once, by readings that prove it. */
export function bothHeldMs(samples: readonly Sample[], span: Span): number {
  return totalMs(
    samples.flatMap((sample, index) => {
      const to = samples[index + 1]?.at ?? span.to;
      return sample.isBoth ? [{ from: Math.max(sample.at, span.from), to: Math.min(to, span.to) }] : [];
    }),
  );
}

/** How much of time is covered; what overlaps counts once. */
function totalMs(spans: readonly Span[]): number {
  let covered = Number.NEGATIVE_INFINITY;
  let total = 0;
  for (const { from, to } of [...spans].sort((left, right) => left.from - right.from)) {
    total += Math.max(0, to - Math.max(from, covered));
    covered = Math.max(covered, to);
  }
  return total;
}

export function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((left, right) => left - right);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  return upper === undefined || lower === undefined ? null : (upper + lower) / 2;
}
