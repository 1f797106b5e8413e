import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Probe } from '../../src/resources/index.ts';
import {
  inOrder,
  type Plan,
  type PlanResource,
  planRelease,
  planRepair,
  planTakeover,
} from '../../src/takeover/index.ts';

const probe = fc.constantFrom<Probe>('held', 'not-held', 'unknown');

/** A random acyclic graph, listed in any order, with a random observation. */
const world = fc
  .integer({ min: 0, max: 7 })
  .chain((count) =>
    fc.record({
      resources: fc.tuple(
        ...Array.from({ length: count }, (_, index) =>
          fc.record({
            name: fc.constant(`r${index}`),
            scope: fc.constantFrom<'local' | 'cloud'>('local', 'cloud'),
            isDoor: fc.boolean(),
            after: fc.subarray(Array.from({ length: index }, (_, earlier) => `r${earlier}`)),
          }),
        ),
      ) as fc.Arbitrary<PlanResource[]>,
      probes: fc.array(probe, { minLength: count, maxLength: count }),
    }),
  )
  .chain(({ resources, probes }) =>
    fc.shuffledSubarray(resources, { minLength: resources.length }).map((listed) => ({
      resources: listed,
      observed: new Map(
        resources.map((resource, index) => [resource.name, probes[index] ?? 'unknown'] as const),
      ),
    })),
  );

/** Everything that `name` comes after, through any number of others. */
function foundations(resources: readonly PlanResource[], name: string): Set<string> {
  const found = new Set<string>();
  const add = (next: string): void => {
    for (const before of resources.find((resource) => resource.name === next)?.after ?? []) {
      if (!found.has(before)) add(before);
      found.add(before);
    }
  };
  add(name);
  return found;
}

/** Ids of steps that must have ended before `id` starts, transitively, as the runner obeys them. */
function before(plan: Plan, id: string): Set<string> {
  const found = new Set<string>();
  for (const next of plan.steps.find((step) => step.id === id)?.after ?? []) {
    found.add(next);
    for (const earlier of before(plan, next)) found.add(earlier);
  }
  return found;
}

const names = (plan: Plan): Set<string> => new Set(plan.steps.map((step) => step.name));
const acquired = (plan: Plan): Set<string> =>
  new Set(plan.steps.flatMap(({ action, name }) => (action === 'acquire' ? [name] : [])));

/**
 * Every order in which the runner could run the plan's steps, one drawn at random: after each step the states are given
 * to `check`. A step in which everything is uncertain takes the resource's state from `observed` to the step's end.
 */
function play(
  plan: Plan,
  observed: ReadonlyMap<string, Probe>,
  random: readonly number[],
  check: (states: ReadonlyMap<string, Probe>) => void,
): Map<string, Probe> {
  const states = new Map(observed);
  const done = new Set<string>();
  check(states);
  for (let turn = 0; done.size < plan.steps.length; turn += 1) {
    const ready = plan.steps.filter(({ id, after }) => !done.has(id) && after.every((one) => done.has(one)));
    const step = ready[(random[turn % random.length] ?? 0) % ready.length];
    if (step === undefined) throw new Error('the plan cannot go on');
    states.set(step.name, step.action === 'acquire' ? 'held' : 'not-held');
    done.add(step.id);
    check(states);
  }
  return states;
}
const isLocal = (resources: readonly PlanResource[], name: string): boolean =>
  resources.some((resource) => resource.name === name && resource.scope === 'local');
const draws = fc.array(fc.nat(1000), { minLength: 1, maxLength: 20 });

describe('planner', () => {
  it('a takeover acquires exactly what is not held, each after all its foundations', () => {
    fc.assert(
      fc.property(world, ({ resources, observed }) => {
        const plan = planTakeover(resources, observed);
        const missing = resources.filter((resource) => observed.get(resource.name) !== 'held');
        const shut = plan.steps.flatMap(({ action, name }) => (action === 'release' ? [name] : []));
        expect(acquired(plan)).toEqual(new Set([...missing.map(({ name }) => name), ...shut]));
        for (const step of plan.steps.filter(({ action }) => action === 'acquire')) {
          const needed = [...foundations(resources, step.name)].filter((name) => acquired(plan).has(name));
          expect(before(plan, step.id)).toEqual(new Set([...needed, ...shut.map((name) => `shut ${name}`)]));
        }
      }),
    );
  });

  it('for any mix of states a takeover ends held, and touches nothing that is right', () => {
    fc.assert(
      fc.property(world, draws, ({ resources, observed }, random) => {
        const plan = planTakeover(resources, observed);
        const end = play(plan, observed, random, () => undefined);
        for (const { name } of resources) expect(end.get(name)).toBe('held');
        for (const { name, isDoor = false } of resources) {
          if (observed.get(name) !== 'held' || !names(plan).has(name)) continue;
          // Only a door is touched although it is held, and only where something behind it is not.
          expect(isDoor).toBe(true);
          const behind = [...foundations(resources, name)].filter((one) => isLocal(resources, one));
          expect(behind.some((one) => observed.get(one) !== 'held')).toBe(true);
        }
        expect(planTakeover(resources, end).steps).toEqual([]);
      }),
    );
  });

  it('no door is open while something behind it is acquired, in a takeover and in a repair', () => {
    fc.assert(
      fc.property(world, draws, fc.func(fc.boolean()), ({ resources, observed }, random, isBusy) => {
        const busy = new Set(resources.map(({ name }) => name).filter((name) => isBusy(name)));
        for (const plan of [planTakeover(resources, observed), planRepair(resources, observed, busy)]) {
          const doors = resources.filter(({ isDoor = false }) => isDoor);
          const shut = plan.steps.filter(({ action }) => action === 'release');
          // How it was before the plan began is not the plan's doing.
          let areShut = false;
          play(plan, observed, random, (states) => {
            areShut ||= shut.every(({ name }) => states.get(name) === 'not-held');
            if (!areShut) return;
            for (const { name } of doors) {
              if (states.get(name) !== 'held') continue;
              // What the cloud has lost is repaired with the door open: who comes by another way is served.
              const lacking = [...foundations(resources, name)].filter(
                (one) => states.get(one) === 'not-held' && isLocal(resources, one),
              );
              expect(lacking, `${name} is open`).toEqual([]);
            }
          });
        }
      }),
    );
  });

  it('a door is shut first when what is behind it is lost, and opened last', () => {
    const at = (name: string, ...after: string[]): PlanResource => ({ name, scope: 'local', after });
    const resources = [at('block'), at('nfs', 'block'), { ...at('gate', 'block', 'nfs'), isDoor: true }];
    const observed = new Map<string, Probe>([
      ['block', 'held'],
      ['nfs', 'not-held'],
      ['gate', 'held'],
    ]);
    expect(planRepair(resources, observed, new Set()).steps).toEqual([
      { action: 'release', name: 'gate', id: 'shut gate', after: [] },
      { action: 'acquire', name: 'nfs', id: 'nfs', after: ['shut gate'] },
      { action: 'acquire', name: 'gate', id: 'gate', after: ['nfs', 'shut gate'] },
    ]);
    // While a repair runs or has just failed, the door stays shut.
    expect(planRepair(resources, observed, new Set(['nfs'])).steps).toEqual([
      { action: 'release', name: 'gate', id: 'shut gate', after: [] },
    ]);
    expect(
      planRepair(resources, new Map([...observed, ['gate', 'not-held']]), new Set(['nfs'])).steps,
    ).toEqual([]);
  });

  it('H4: a repair acquires only what is certainly not held; unknown never acts', () => {
    fc.assert(
      fc.property(world, ({ resources, observed }) => {
        const doors = new Set(resources.flatMap(({ name, isDoor = false }) => (isDoor ? [name] : [])));
        for (const name of names(planRepair(resources, observed, new Set())))
          if (!doors.has(name) || observed.get(name) !== 'held') expect(observed.get(name)).toBe('not-held');
      }),
    );
  });

  it('H4: a repair acquires nothing above what cannot be read on this host, or is lost and left alone, and opens no door there', () => {
    fc.assert(
      fc.property(world, fc.func(fc.boolean()), ({ resources, observed }, isBusy) => {
        const busy = new Set(resources.map(({ name }) => name).filter((name) => isBusy(name)));
        const isShaky = ({ name, scope }: PlanResource): boolean =>
          (scope === 'local' && observed.get(name) === 'unknown') ||
          (busy.has(name) && observed.get(name) === 'not-held');
        const shaky = new Set(resources.filter(isShaky).map(({ name }) => name));
        for (const name of acquired(planRepair(resources, observed, busy))) {
          const under = [...foundations(resources, name)].filter((one) => shaky.has(one));
          expect(under, `under ${name}`).toEqual([]);
        }
      }),
    );
  });

  it('H4: what has never been read is unknown', () => {
    const at = (name: string, ...after: string[]): PlanResource => ({ name, scope: 'local', after });
    const resources = [at('data'), at('svc', 'data'), { ...at('door', 'svc'), isDoor: true }];
    const observed = new Map<string, Probe>([
      ['svc', 'not-held'],
      ['door', 'not-held'],
    ]);
    expect(planRepair(resources, observed, new Set()).steps).toEqual([]);
    expect([...acquired(planRepair(resources, new Map([...observed, ['data', 'held']]), new Set()))]).toEqual(
      ['svc', 'door'],
    );
  });

  it('H4: a door that is shut for a repair stays shut while something else behind it cannot be read', () => {
    const at = (name: string, ...after: string[]): PlanResource => ({ name, scope: 'local', after });
    const resources = [at('data'), at('nfs'), { ...at('gate', 'data', 'nfs'), isDoor: true }];
    const observed = new Map<string, Probe>([
      ['data', 'unknown'],
      ['nfs', 'not-held'],
      ['gate', 'held'],
    ]);
    expect(planRepair(resources, observed, new Set()).steps).toEqual([
      { action: 'release', name: 'gate', id: 'shut gate', after: [] },
      { action: 'acquire', name: 'nfs', id: 'nfs', after: ['shut gate'] },
    ]);
  });

  it('complaint 1: what the cloud does not say keeps nobody from repairing what runs here', () => {
    const resources: PlanResource[] = [
      { name: 'eip', scope: 'cloud', after: [] },
      { name: 'svc', scope: 'local', after: ['eip'] },
    ];
    const observed = new Map<string, Probe>([
      ['eip', 'unknown'],
      ['svc', 'not-held'],
    ]);
    expect([...acquired(planRepair(resources, observed, new Set()))]).toEqual(['svc']);
  });

  it('R1: a release is the reverse: each only after everything that stands on it', () => {
    fc.assert(
      fc.property(
        world,
        fc.constantFrom<'planned' | 'abrupt'>('planned', 'abrupt'),
        ({ resources, observed }, mode) => {
          const plan = planRelease(resources, observed, mode);
          for (const step of plan.steps) {
            expect(step.action).toBe('release');
            for (const other of names(plan)) {
              const standsOnIt = foundations(resources, other).has(step.name);
              expect(before(plan, step.name).has(other)).toBe(standsOnIt);
            }
          }
        },
      ),
    );
  });

  it('R2: an abrupt release with nothing observed takes every local resource, never the cloud, and goes on after failures', () => {
    fc.assert(
      fc.property(world, ({ resources }) => {
        const plan = planRelease(resources, new Map(), 'abrupt');
        const local = resources
          .filter((resource) => resource.scope === 'local')
          .map((resource) => resource.name);
        expect(names(plan)).toEqual(new Set(local));
        expect(plan.onFailure).toBe('go-on');
      }),
    );
  });

  it('R2: unknown is released like held (fail closed)', () => {
    fc.assert(
      fc.property(world, ({ resources, observed }) => {
        const plan = planRelease(resources, observed, 'planned');
        for (const { name } of resources)
          expect(names(plan).has(name)).toBe(observed.get(name) !== 'not-held');
      }),
    );
  });

  it('keeps the order through a local resource that rests on the cloud', () => {
    const resources: PlanResource[] = [
      { name: 'block', scope: 'local', after: [] },
      { name: 'eip', scope: 'cloud', after: ['block'] },
      { name: 'store', scope: 'local', after: ['eip'] },
    ];
    const plan = planRelease(resources, new Map(), 'abrupt');
    expect(plan.steps).toEqual([
      { action: 'release', name: 'store', id: 'store', after: [] },
      { action: 'release', name: 'block', id: 'block', after: ['store'] },
    ]);
  });

  it('refuses circles and unknown names', () => {
    const at = (name: string, ...after: string[]): PlanResource => ({ name, scope: 'local', after });
    expect(() => inOrder([at('a', 'b'), at('b', 'a')])).toThrow(/circle/);
    expect(() => inOrder([at('a', 'nobody')])).toThrow(/unknown nobody/);
    expect(() => inOrder([at('a'), at('a')])).toThrow(/same name/);
  });
});
