/**
 * One step for each snapshot → as few streams as carry them: `zfs send -I` takes along what lies between. Pure.
 *
 * 1. -I sends *all* that lies between on the source, somebody else's snapshots too: so only what is wanted without a gap is one
 *    stream. What the plan leaves out (its name is taken there) ends a run before it, and another one begins after it.
 * 2. -I goes after a snapshot only: after a bookmark the first one goes alone, and so does one that goes whole, or goes on by a token.
 *    A token knows the snapshot that was in flight; what would have come after it is planned anew.
 * 3. What the copy's retention would destroy at once is left out where it is much: each stretch of it costs a stream more.
 */
import type { ChainStep, StreamStep } from './plan.ts';
import type { Dataset, Guid } from './pool.ts';

/** Of one stream: the receiver looks for each of them by one order. */
export const MAX_RUN = 64;

/** So many in a row: fewer are sent, and destroyed there, sooner than two streams are begun. */
export const MIN_SPARED = 8;

export interface RunLimits {
  /** Of one stream; 1 for a receiver that knows of one snapshot only. */
  readonly most: number;
  /** What nobody would have of it there. */
  readonly unneeded: ReadonlySet<Guid>;
}

type Incremental = Extract<StreamStep, { kind: 'incremental' }>;

/** `steps` of one dataset, as they were planned, for the source that was read then. */
export function inRuns(
  steps: readonly ChainStep[],
  source: Dataset,
  { most, unneeded }: RunLimits,
): readonly ChainStep[] {
  const at = new Map(source.snapshots.map(({ name }, index) => [name, index]));
  const isNext = (name: string, after: string): boolean => {
    const [index, before] = [at.get(name), at.get(after)];
    return index !== undefined && before !== undefined && index === before + 1;
  };
  const made: ChainStep[] = [];
  for (const step of spared(steps, source, unneeded)) {
    const run = made.at(-1);
    const isJoined =
      run?.kind === 'incremental' &&
      step.kind === 'incremental' &&
      mayGoOn(run, isNext) &&
      step.isRaw === run.isRaw &&
      step.from === `@${run.snapshot}` &&
      isNext(step.snapshot, run.snapshot) &&
      countOf(run) < most;
    if (isJoined) made.splice(-1, 1, joined(run, step));
    else made.push(step);
  }
  return made;
}

/** Oldest first. */
export const namesOfRun = (step: StreamStep): readonly string[] =>
  step.kind === 'incremental' ? [...(step.between ?? []), step.snapshot] : [step.snapshot];

/** A run in two, the first of so many snapshots; null: nothing comes after it. What is no run is one snapshot. */
export function cutAfter(step: StreamStep, count: number): readonly [StreamStep, StreamStep | null] {
  const names = namesOfRun(step);
  const last = names[count - 1];
  if (step.kind !== 'incremental' || last === undefined || count >= names.length) return [step, null];
  const part = (from: string, of: readonly string[]): Incremental => {
    const { between: _, ...alone } = step;
    const run = { ...alone, from, snapshot: of.at(-1) ?? last };
    return of.length === 1 ? run : { ...run, between: of.slice(0, -1) };
  };
  return [part(step.from, names.slice(0, count)), part(`@${last}`, names.slice(count))];
}

const countOf = (run: Incremental): number => (run.between?.length ?? 0) + 1;

const joined = (run: Incremental, next: Incremental): Incremental => ({
  ...run,
  between: [...(run.between ?? []), run.snapshot],
  snapshot: next.snapshot,
});

/** From a snapshot, to the one after it. */
function mayGoOn(
  { from, between, snapshot }: Incremental,
  isNext: (name: string, after: string) => boolean,
): boolean {
  return from.startsWith('@') && isNext(between?.[0] ?? snapshot, from.slice(1));
}

/** (3) Never the first, which may be whole, and never the last: what comes next goes after it. */
function spared(
  steps: readonly ChainStep[],
  source: Dataset,
  unneeded: ReadonlySet<Guid>,
): readonly ChainStep[] {
  const guids = new Map(source.snapshots.map(({ name, guid }) => [name, guid]));
  const isUnneeded = (step: ChainStep, index: number): boolean => {
    if (step.kind !== 'incremental' || index === steps.length - 1) return false;
    const guid = guids.get(step.snapshot);
    return guid !== undefined && unneeded.has(guid);
  };
  const kept: ChainStep[] = [];
  let base: string | null = null;
  for (let index = 0; index < steps.length; ) {
    let end = index;
    for (let one = steps[end]; one !== undefined && isUnneeded(one, end); one = steps[end]) end += 1;
    const step = steps[index];
    if (step === undefined) break;
    if (end - index >= MIN_SPARED) {
      if (base === null && step.kind === 'incremental') base = step.from;
      index = end;
      continue;
    }
    for (const one of steps.slice(index, Math.max(end, index + 1))) {
      kept.push(one.kind === 'incremental' && base !== null ? { ...one, from: base } : one);
      base = null;
    }
    index = Math.max(end, index + 1);
  }
  return kept;
}
