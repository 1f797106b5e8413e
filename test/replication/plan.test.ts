/** The planner's stories: each one a state of two pools, and what it makes of it in which words. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Guids, ModelPool, tokenOf } from '../../cluster/zfs-model/index.ts';
import { type PlanInput, planReplication, type Task } from '../../src/replication/index.ts';
import { type PoolTexts, parsePool } from '../../src/replication/list-text.ts';
import { ENDS, perform, planOf, stepsIn } from './perform.ts';

let a: ModelPool;
let b: ModelPool;
beforeEach(() => {
  const guids = new Guids();
  a = new ModelPool('tank', guids);
  b = new ModelPool('tank', guids);
  a.create('tank/a');
  a.write('tank/a', 'first');
  a.snapshot('tank/a', 's1');
});

const replicate = (): void => {
  for (const step of stepsIn(planOf(a, b))) perform(step, a, b);
};
const taskOf = (dataset: string, change: Partial<PlanInput> = {}): Task => {
  const plan = planReplication({ ...inputOf(), ...change });
  const task = plan.tasks.find((one) => one.dataset === dataset);
  if (task === undefined) throw new Error(`no task for ${dataset}: ${plan.why}`);
  return task;
};
const inputOf = (textsOfB: Partial<PoolTexts> = {}): PlanInput => ({
  pool: 'tank',
  ends: ENDS,
  source: { kind: 'read', pool: parsePool('tank', a.texts()) },
  target: { kind: 'read', pool: parsePool('tank', { ...b.texts(), ...textsOfB }) },
  filters: { include: [], exclude: [] },
  drbd: [],
  isChanged: ({ written }) => written !== 0,
});
const conflictOf = (task: Task): string => {
  expect(task.steps).toEqual([]);
  return task.decision.kind === 'conflict'
    ? `${task.decision.reason}: ${task.decision.why}`
    : task.decision.kind;
};

describe('a dataset', () => {
  it('that is new goes whole, from its oldest snapshot on', () => {
    a.snapshot('tank/a', 's2');
    const { state, decision, bytes, steps } = taskOf('tank/a');
    expect({ state, kind: decision.kind, why: decision.why, bytes }).toEqual({
      state: 'new',
      kind: 'full',
      why: 'is not on b: @s1 goes whole, then the changes of 1 more',
      bytes: 5,
    });
    expect(steps).toEqual([
      { kind: 'full', dataset: 'tank/a', snapshot: 's1', isRaw: false },
      { kind: 'incremental', dataset: 'tank/a', from: '@s1', snapshot: 's2', isRaw: false },
    ]);
  });

  it('below one without a snapshot waits for that, which is no conflict', () => {
    a.create('tank/c');
    a.create('tank/c/d');
    a.create('tank/c/d/e');
    a.snapshot('tank/c/d/e', 's1');
    for (const name of ['tank/c/d', 'tank/c/d/e']) {
      const { decision, steps, bytes } = taskOf(name);
      expect(decision).toMatchObject({
        kind: 'full',
        why: expect.stringMatching(/^is not on b, and goes after /),
      });
      expect({ steps, bytes }).toEqual({ steps: [], bytes: 0 });
    }
    a.snapshot('tank/c', 's1');
    a.snapshot('tank/c/d', 's1');
    expect(stepsIn(planOf(a, b)).map(({ ...step }) => ('dataset' in step ? step.dataset : ''))).toEqual([
      'tank/a',
      'tank/c',
      'tank/c/d',
      'tank/c/d/e',
    ]);
  });

  it('without a snapshot has nothing to send yet', () => {
    a.create('tank/c');
    expect(taskOf('tank/c')).toMatchObject({
      decision: { kind: 'full', why: 'is not on b: a has no snapshot of it yet' },
      steps: [],
    });
  });

  it('goes on from the newest common snapshot, by its id: names and ages do not count', () => {
    replicate();
    a.snapshot('tank/a', 's2');
    a.destroySnapshot('tank/a', 's2');
    a.write('tank/a', 'x');
    a.snapshot('tank/a', 's3');
    expect(taskOf('tank/a')).toMatchObject({
      state: 'both',
      decision: { kind: 'incremental', why: '@s1 is on both: one newer snapshot goes after it' },
      bytes: 1,
    });
  });

  it('has nothing to do when all is there', () => {
    replicate();
    expect(taskOf('tank/a').decision.why).toBe('b has everything up to @s1, the newest of a');
  });

  it('goes on from a bookmark where the snapshot is gone', () => {
    replicate();
    a.bookmark('tank/a', 's1');
    a.destroySnapshot('tank/a', 's1');
    a.snapshot('tank/a', 's2');
    const { decision, steps } = taskOf('tank/a');
    expect(decision.why).toBe(
      'of @s1, the newest on b, a has the bookmark #s1: one newer snapshot goes after it',
    );
    expect(steps).toEqual([
      { kind: 'incremental', dataset: 'tank/a', from: '#s1', snapshot: 's2', isRaw: false },
    ]);
  });

  it('is sent raw where it is encrypted', () => {
    a.create('tank/secret', true);
    a.snapshot('tank/secret', 's1');
    expect(taskOf('tank/secret').steps).toMatchObject([{ kind: 'full', isRaw: true }]);
    replicate();
    b.get('tank/secret').isEncrypted = false;
    a.snapshot('tank/secret', 's2');
    expect(conflictOf(taskOf('tank/secret'))).toMatch(/^encryption: is encrypted on a and not on b/);
  });
});

describe('a stream that broke off', () => {
  beforeEach(() => {
    replicate();
    a.write('tank/a', 'more');
    a.snapshot('tank/a', 's2');
    const [step] = taskOf('tank/a').steps;
    if (step !== undefined) perform(step, a, b, true);
  });

  it('goes on with its token', () => {
    const { decision, steps } = taskOf('tank/a');
    expect(decision.why).toBe('b has part of @s2: it goes on where it broke off');
    expect(steps).toMatchObject([{ kind: 'resume', snapshot: 's2', token: b.get('tank/a').partial?.token }]);
  });

  it('is given up when its snapshot is gone, and nothing else with it', () => {
    a.destroySnapshot('tank/a', 's2');
    a.snapshot('tank/a', 's3');
    expect(taskOf('tank/a').decision.why).toContain(
      'the stream that broke off on b cannot go on, and is given up',
    );
    expect(taskOf('tank/a').steps.map(({ kind }) => kind)).toEqual(['abandon', 'incremental']);
  });

  it('of changes is no first copy, even where their base is gone: what is there is not overwritten', () => {
    a.destroySnapshot('tank/a', 's2');
    // Not by a destroy, which ZFS refuses while the part is there; as the promotion of a clone leaves it.
    b.get('tank/a').snapshots = [];
    expect(conflictOf(taskOf('tank/a'))).toMatch(/^no-common-snapshot/);
  });

  it('of an encrypted dataset goes on raw or not at all, whatever the token says', () => {
    a.create('tank/secret', true);
    a.snapshot('tank/secret', 's1');
    replicate();
    a.write('tank/secret', 'more');
    a.snapshot('tank/secret', 's2');
    const [step] = taskOf('tank/secret').steps;
    if (step !== undefined) perform(step, a, b, true);
    expect(taskOf('tank/secret').decision.kind).toBe('resume');
    const partial = b.get('tank/secret').partial;
    // Whoever has the other node takes the flag out: ZFS would send what the token says, in clear.
    if (partial !== null)
      b.get('tank/secret').partial = { ...partial, token: tokenOf({ ...partial, isRaw: false }) };
    expect(taskOf('tank/secret').steps).toMatchObject([
      { kind: 'abandon' },
      { kind: 'incremental', isRaw: true },
    ]);
  });

  it('of somebody else is left to them', () => {
    const { snapshot } = a.send('tank/a', 's2', '@s1', false);
    b.get('tank/a').partial = {
      toName: 'other/x@s2',
      snapshot,
      fromGuid: null,
      isRaw: false,
      token: '1-0-0-00',
    };
    expect(conflictOf(taskOf('tank/a'))).toMatch(
      /^foreign-stream: b has part of a stream whose token is not/,
    );
  });
});

describe('a first copy that broke off', () => {
  beforeEach(() => {
    a.create('tank/a/x');
    a.snapshot('tank/a/x', 's1');
    const [step] = taskOf('tank/a').steps;
    if (step !== undefined) perform(step, a, b, true);
  });

  it('goes on before anything comes to lie below it', () => {
    expect(stepsIn(planOf(a, b)).map(({ kind }) => kind)).toEqual(['resume', 'full']);
  });

  it('has nothing put below it when it must be given up and nothing follows', () => {
    a.destroySnapshot('tank/a', 's1');
    expect(stepsIn(planOf(a, b))).toEqual([{ kind: 'abandon', dataset: 'tank/a' }]);
    expect(conflictOf(taskOf('tank/a/x'))).toMatch(/^no-parent/);
  });

  it('is left where something lies below it already', () => {
    a.destroySnapshot('tank/a', 's1');
    b.create('tank/a/y');
    expect(conflictOf(taskOf('tank/a'))).toMatch(/^foreign-stream: part of a first copy is on b/);
  });
});

it('a dataset whose name is a beginning of .diverged is in conflict, with what to do: no receiver would take it', () => {
  a.create('tank/.d');
  a.snapshot('tank/.d', 's1');
  expect(conflictOf(taskOf('tank/.d'))).toMatch(
    /^reserved-name: has a name that is a beginning of \.diverged, and b takes nothing of that: rename it, or exclude it$/,
  );
  expect(stepsIn(planOf(a, b)).some((step) => 'dataset' in step && step.dataset === 'tank/.d')).toBe(false);
});

describe('a conflict', () => {
  beforeEach(replicate);

  it('is what the other side has that this one does not, with what a change of roles will do', () => {
    b.snapshot('tank/a', 'by-hand');
    a.snapshot('tank/a', 's2');
    expect(conflictOf(taskOf('tank/a'))).toBe(
      'diverged: b has @by-hand that a does not have, newer than @s1, the newest that both know: nothing is sent. ' +
        'Where that node has held meanwhile, it is kept there as a held clone under .diverged of the pool, and then it goes on; nothing is destroyed',
    );
  });

  it('is what was written there', () => {
    b.get('tank/a').isReadonly = false;
    b.write('tank/a', 'by hand');
    a.snapshot('tank/a', 's2');
    expect(conflictOf(taskOf('tank/a'))).toMatch(
      /^modified: tank\/a was written to on b since @s1 \(1 bytes\)/,
    );
    expect(taskOf('tank/a').warnings).toEqual([
      'tank/a is not read-only on b: what is written there makes a conflict',
    ]);
  });

  it('is what may be in a log that cannot be replayed there, though nothing counts as written', () => {
    a.snapshot('tank/a', 's2');
    const task = planOf(a, b, () => true).tasks.find(({ dataset }) => dataset === 'tank/a');
    expect(task?.decision).toMatchObject({
      reason: 'modified',
      why: expect.stringMatching(/^tank\/a may have been written to on b since @s1, in its intent log/),
    });
  });

  it('is a dataset of that name with other snapshots, or none', () => {
    a.create('tank/c');
    a.snapshot('tank/c', 's1');
    b.create('tank/c');
    expect(conflictOf(taskOf('tank/c'))).toMatch(/^no-common-snapshot: tank\/c is on b without any snapshot/);
    b.snapshot('tank/c', 's1');
    expect(conflictOf(taskOf('tank/c'))).toMatch(
      /^no-common-snapshot: tank\/c is on b with no snapshot that a has/,
    );
  });

  it('is only the last resort where the names of snapshots come back', () => {
    a.snapshot('tank/a', 'daily');
    replicate();
    a.destroySnapshot('tank/a', 's1');
    a.snapshot('tank/a', 's1');
    expect(conflictOf(taskOf('tank/a'))).toBe(
      'name-taken: b has other snapshots by the names of @s1: rename or destroy those there',
    );
    a.snapshot('tank/a', 's2');
    expect(taskOf('tank/a').steps).toMatchObject([{ from: '@daily', snapshot: 's2' }]);
  });

  it('is what does not fit', () => {
    a.write('tank/a', 'x'.repeat(50));
    a.snapshot('tank/a', 's2');
    b.availableBytes = 49;
    expect(conflictOf(taskOf('tank/a'))).toBe('too-small: needs 50 bytes on b, where 49 are left for it');
    b.availableBytes = 50;
    expect(taskOf('tank/a').decision.kind).toBe('incremental');
  });

  it('is what does not fit below its own quota, whatever goes elsewhere', () => {
    a.create('tank/c');
    a.snapshot('tank/c', 's1');
    replicate();
    const sizes = { 'tank/a': 900, 'tank/c': 40 };
    for (const [name, bytes] of Object.entries(sizes)) {
      a.write(name, 'x'.repeat(bytes));
      a.snapshot(name, 's2');
    }
    b.availableBytes = 1000;
    b.get('tank/c').properties.set('quota', '50');
    expect(Object.keys(sizes).map((name) => taskOf(name).decision.kind)).toEqual([
      'incremental',
      'incremental',
    ]);
    b.get('tank/c').properties.set('quota', '39');
    expect(conflictOf(taskOf('tank/c'))).toBe('too-small: needs 40 bytes on b, where 39 are left for it');
  });

  it('is a place that is not there', () => {
    a.create('tank/a/x');
    a.snapshot('tank/a/x', 's1');
    b.rename('tank/a', 'tank/z');
    b.snapshot('tank/z', 'by-hand');
    expect(conflictOf(taskOf('tank/a'))).toMatch(/^diverged/);
    expect(conflictOf(taskOf('tank/a/x'))).toMatch(/^no-parent/);
  });
});

describe('a dataset that was renamed', () => {
  beforeEach(() => {
    a.create('tank/a/x');
    a.snapshot('tank/a/x', 's1');
    replicate();
  });

  it('is renamed there too, once for all that lies below, and goes on', () => {
    a.rename('tank/a', 'tank/new');
    a.snapshot('tank/new', 's2');
    expect(stepsIn(planOf(a, b))).toEqual([
      { kind: 'rename', from: 'tank/a', to: 'tank/new' },
      { kind: 'incremental', dataset: 'tank/new', from: '@s1', snapshot: 's2', isRaw: false },
    ]);
    expect(taskOf('tank/new')).toMatchObject({ state: 'renamed', renamedFrom: 'tank/a' });
    expect(taskOf('tank/new/x').decision.kind).toBe('nothing');
  });

  it('is not, where its old name has a new owner', () => {
    a.rename('tank/a', 'tank/new');
    a.create('tank/a');
    expect(conflictOf(taskOf('tank/new'))).toMatch(/^ambiguous: b has its snapshots as tank\/a/);
    expect(conflictOf(taskOf('tank/a'))).toMatch(/^no-common-snapshot/);
  });

  it('is not what "zfs promote" has given snapshots of a dataset that stays: that one is new', () => {
    a.snapshot('tank/a', 's2');
    replicate();
    a.create('tank/clone');
    a.get('tank/clone').snapshots = a.get('tank/a').snapshots.splice(0, 1);
    expect(taskOf('tank/a').decision.kind).toBe('nothing');
    expect(taskOf('tank/clone')).toMatchObject({ state: 'new', decision: { kind: 'full' } });
  });

  it('is not, where two have its snapshots', () => {
    const { snapshot } = b.send('tank/a', 's1', null, false);
    a.rename('tank/a', 'tank/new');
    a.receive('tank/second', { toName: 'tank/a@s1', snapshot, fromGuid: null, isRaw: false }, false);
    expect(conflictOf(taskOf('tank/new'))).toMatch(/^ambiguous/);
    expect(conflictOf(taskOf('tank/second'))).toMatch(/^ambiguous/);
  });
});

describe('what is left out', () => {
  it("is the pool's own file system, what filters or its property say, and what lies below", () => {
    a.create('tank/a/tmp');
    const filters = { include: ['tank/a'], exclude: ['tank/*/t*p'] };
    expect(taskOf('tank').decision).toMatchObject({
      kind: 'excluded',
      why: expect.stringContaining('own file system'),
    });
    expect(taskOf('tank/a', { filters }).decision.kind).toBe('full');
    expect(taskOf('tank/a/tmp', { filters }).decision).toEqual({
      kind: 'excluded',
      why: '"tank/*/t*p" of exclude matches it',
    });
    expect(taskOf('tank/a', { filters: { include: ['tank/ab', '*/b'], exclude: [] } }).decision).toEqual({
      kind: 'excluded',
      why: 'nothing of include matches it',
    });
    const texts = a.texts();
    const datasets = texts.datasets.replace(/^(tank\/a\t.*)\t-$/m, '$1\toff');
    const source = { kind: 'read', pool: parsePool('tank', { ...texts, datasets }) } as const;
    expect(taskOf('tank/a', { source }).decision.why).toBe('has quorate:replicate=off');
  });

  it('is what only the other side has: it stays', () => {
    b.create('tank/old');
    expect(taskOf('tank/old')).toMatchObject({
      state: 'only-there',
      decision: { kind: 'nothing' },
      steps: [],
    });
  });
});

describe('a pool', () => {
  const planWith = (change: Partial<PlanInput>) => {
    const { state, why, tasks } = planReplication({ ...inputOf(), ...change });
    expect(tasks).toEqual([]);
    return `${state}: ${why}`;
  };

  it('that could not be read is unknown, and never "not there"', () => {
    const unknown = { kind: 'unknown', why: 'b does not answer' } as const;
    const absent = { kind: 'absent', why: 'the pool is not imported' } as const;
    expect(planWith({ target: unknown })).toBe('unknown: what b has of it is not known: b does not answer');
    expect(planWith({ source: absent, target: unknown })).toMatch(/^unknown: what b has/);
    expect(planWith({ target: absent })).toBe('missing: b does not have it: the pool is not imported');
  });

  it('on DRBD is replicated already, by the config or by its devices', () => {
    const absent = { kind: 'absent', why: 'the pool is not imported' } as const;
    expect(planWith({ drbd: ['r0'], target: absent })).toBe(
      'by-drbd: stands on the DRBD resource r0: every write is on both nodes',
    );
    const status = b.texts().status.replace('/dev/vdb ', '/dev/drbd7');
    expect(planWith(inputOf({ status }))).toMatch(/^by-drbd: stands on \/dev\/drbd7 on b/);
  });
});
