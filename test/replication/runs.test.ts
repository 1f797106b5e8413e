/** Which snapshots go as one stream. */
import { describe, expect, it } from 'vitest';
import { Guids, ModelPool } from '../../cluster/zfs-model/index.ts';
import { parsePool } from '../../src/replication/list-text.ts';
import type { ChainStep, Step } from '../../src/replication/plan.ts';
import { cutAfter, inRuns, MAX_RUN, MIN_SPARED } from '../../src/replication/runs.ts';
import { planOf } from './perform.ts';

/** What is planned where the copy has the first `common` of these. */
function planned(
  names: readonly string[],
  common: number,
  change: (a: ModelPool, b: ModelPool) => void = () => {},
) {
  const guids = new Guids();
  const [a, b] = [new ModelPool('tank', guids), new ModelPool('tank', guids)];
  a.create('tank/home');
  for (const [at, name] of names.entries()) {
    a.snapshot('tank/home', name);
    if (at < common)
      b.receive('tank/home', a.send('tank/home', name, at === 0 ? null : `@${names[at - 1]}`, false), false);
  }
  change(a, b);
  const steps = planOf(a, b).tasks.find(({ dataset }) => dataset === 'tank/home')?.steps ?? [];
  const source = parsePool('tank', a.texts()).datasets.find(({ name }) => name === 'tank/home');
  if (source === undefined) throw new Error('a model without its dataset');
  return { chain: steps.filter((step: Step): step is ChainStep => step.kind !== 'rename'), source };
}

const told = (steps: readonly ChainStep[]): readonly string[] =>
  steps.map((step) => {
    if (step.kind === 'abandon') return 'abandon';
    if (step.kind !== 'incremental') return `${step.kind} ${step.snapshot}`;
    const isRun = step.between !== undefined;
    return `${isRun ? '-I' : '-i'} ${step.from} ${[...(step.between ?? []), step.snapshot].join(' ')}`;
  });

const names = (count: number): string[] => Array.from({ length: count }, (_, at) => `s${at}`);
const NONE = { most: MAX_RUN, unneeded: new Set<never>() };

describe('a run', () => {
  it('is everything that is missing', () => {
    const { chain, source } = planned(names(5), 1);
    expect(told(inRuns(chain, source, NONE))).toEqual(['-I @s0 s1 s2 s3 s4']);
  });

  it('of one is none', () => {
    const { chain, source } = planned(names(2), 1);
    expect(told(inRuns(chain, source, NONE))).toEqual(['-i @s0 s1']);
  });

  it('begins after what goes whole, and after what goes after a bookmark', () => {
    const whole = planned(names(4), 0);
    expect(told(inRuns(whole.chain, whole.source, NONE))).toEqual(['full s0', '-I @s0 s1 s2 s3']);
    const marked = planned(names(4), 1, (a) => {
      a.bookmark('tank/home', 's0', 'mark');
      a.destroySnapshot('tank/home', 's0');
    });
    expect(told(inRuns(marked.chain, marked.source, NONE))).toEqual(['-i #mark s1', '-I @s1 s2 s3']);
  });

  it('takes along what somebody has taken by hand, as each for itself would', () => {
    const { chain, source } = planned(['s0', 's1', 'by-hand', 's2'], 1);
    expect(told(inRuns(chain, source, NONE))).toEqual(['-I @s0 s1 by-hand s2']);
  });

  it('ends before a snapshot that is not to go: -I would send it', () => {
    // The copy has another one by the name of s2, of its own past.
    const { chain, source } = planned(['s2', 's1', 'old'], 3, (a) => {
      a.destroySnapshot('tank/home', 's2');
      for (const name of ['a', 'b', 's2', 'c', 'd']) a.snapshot('tank/home', name);
    });
    expect(told(chain)).toEqual(['-i @old a', '-i @a b', '-i @b c', '-i @c d']);
    expect(told(inRuns(chain, source, NONE))).toEqual(['-I @old a b', '-i @b c', '-i @c d']);
  });

  it('has a limit, and is none for a receiver that knows of one', () => {
    const { chain, source } = planned(names(MAX_RUN * 2 + 2), 1);
    const runs = inRuns(chain, source, NONE);
    expect(runs.map((step) => (step.kind === 'incremental' ? (step.between?.length ?? 0) + 1 : 0))).toEqual([
      ...[MAX_RUN, MAX_RUN, 1],
    ]);
    expect(inRuns(chain, source, { ...NONE, most: 1 })).toEqual(chain);
  });

  it('is not begun where a stream goes on by its token, or before one is given up', () => {
    const { chain, source } = planned(names(4), 1, (a, b) => {
      b.receive('tank/home', a.send('tank/home', 's1', '@s0', false), true);
    });
    expect(told(inRuns(chain, source, NONE))).toEqual(['resume s1']);
    const given = planned(names(4), 1, (a, b) => {
      b.receive('tank/home', a.send('tank/home', 's1', '@s0', false), true);
      a.destroySnapshot('tank/home', 's1');
    });
    expect(told(inRuns(given.chain, given.source, NONE))).toEqual(['abandon', '-I @s0 s2 s3']);
  });
});

describe('what nobody would have', () => {
  const unneededOf = (source: ReturnType<typeof planned>['source'], first: number, count: number) =>
    new Set(source.snapshots.slice(first, first + count).map(({ guid }) => guid));

  it('is left out where it is many in a row, and the stream after it goes after the last that went', () => {
    const { chain, source } = planned(names(MIN_SPARED + 6), 1);
    const unneeded = unneededOf(source, 3, MIN_SPARED);
    const [after, last, end] = [3, 4, 5].map((more) => `s${MIN_SPARED + more}`);
    expect(told(inRuns(chain, source, { most: MAX_RUN, unneeded }))).toEqual([
      '-I @s0 s1 s2',
      `-i @s2 ${after}`,
      `-I @${after} ${last} ${end}`,
    ]);
  });

  it('goes along where it is few: two streams would take longer', () => {
    const { chain, source } = planned(names(MIN_SPARED + 4), 1);
    const unneeded = unneededOf(source, 2, MIN_SPARED - 1);
    expect(inRuns(chain, source, { most: MAX_RUN, unneeded })).toHaveLength(1);
  });

  it('is never the last, nor what goes whole', () => {
    const { chain, source } = planned(names(MIN_SPARED + 3), 0);
    const unneeded = unneededOf(source, 0, source.snapshots.length);
    const last = `s${MIN_SPARED + 2}`;
    expect(told(inRuns(chain, source, { most: MAX_RUN, unneeded }))).toEqual(['full s0', `-i @s0 ${last}`]);
  });

  it('is left out after a bookmark and for an older receiver too', () => {
    const { chain, source } = planned(names(MIN_SPARED + 3), 1, (a) => {
      a.bookmark('tank/home', 's0', 'mark');
      a.destroySnapshot('tank/home', 's0');
    });
    const unneeded = unneededOf(source, 0, MIN_SPARED);
    const steps = inRuns(chain, source, { most: 1, unneeded });
    const [first, last] = [1, 2].map((more) => `s${MIN_SPARED + more}`);
    expect(told(steps)).toEqual([`-i #mark ${first}`, `-i @${first} ${last}`]);
  });
});

it('a run is cut in two, which go one after the other as it would have', () => {
  const { chain, source } = planned(names(6), 1);
  const [run] = inRuns(chain, source, NONE);
  if (run?.kind !== 'incremental') throw new Error('no run');
  const cut = (count: number) => cutAfter(run, count).map((part) => (part === null ? null : told([part])[0]));
  expect(cut(2)).toEqual(['-I @s0 s1 s2', '-I @s2 s3 s4 s5']);
  expect(cut(4)).toEqual(['-I @s0 s1 s2 s3 s4', '-i @s4 s5']);
  expect(cut(1)).toEqual(['-i @s0 s1', '-I @s1 s2 s3 s4 s5']);
  expect(cut(5)).toEqual(['-I @s0 s1 s2 s3 s4 s5', null]);
  expect(cutAfter(run, 2)[0]).toEqual({ ...run, between: ['s1'], snapshot: 's2' });
  const full = { kind: 'full', dataset: 'tank/home', snapshot: 's0', isRaw: false } as const;
  expect(cutAfter(full, 1)).toEqual([full, null]);
});
