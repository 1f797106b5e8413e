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

/** Steps that must have ended before `name` starts, transitively, as the runner obeys them. */
function before(plan: Plan, name: string): Set<string> {
  const found = new Set<string>();
  for (const next of plan.steps.find((step) => step.name === name)?.after ?? []) {
    found.add(next);
    for (const earlier of before(plan, next)) found.add(earlier);
  }
  return found;
}

const names = (plan: Plan): Set<string> => new Set(plan.steps.map((step) => step.name));

describe('planner', () => {
  it('a takeover acquires exactly what is not held, each after all its foundations', () => {
    fc.assert(
      fc.property(world, ({ resources, observed }) => {
        const plan = planTakeover(resources, observed);
        const expected = resources.filter((resource) => observed.get(resource.name) !== 'held');
        expect(names(plan)).toEqual(new Set(expected.map((resource) => resource.name)));
        for (const step of plan.steps) {
          expect(step.action).toBe('acquire');
          const needed = [...foundations(resources, step.name)].filter((name) => names(plan).has(name));
          expect(before(plan, step.name)).toEqual(new Set(needed));
        }
      }),
    );
  });

  it('H4: a repair acquires only what is certainly not held; unknown never acts', () => {
    fc.assert(
      fc.property(world, ({ resources, observed }) => {
        for (const name of names(planRepair(resources, observed)))
          expect(observed.get(name)).toBe('not-held');
      }),
    );
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
      { action: 'release', name: 'store', after: [] },
      { action: 'release', name: 'block', after: ['store'] },
    ]);
  });

  it('refuses circles and unknown names', () => {
    const at = (name: string, ...after: string[]): PlanResource => ({ name, scope: 'local', after });
    expect(() => inOrder([at('a', 'b'), at('b', 'a')])).toThrow(/circle/);
    expect(() => inOrder([at('a', 'nobody')])).toThrow(/unknown nobody/);
    expect(() => inOrder([at('a'), at('a')])).toThrow(/same name/);
  });
});
