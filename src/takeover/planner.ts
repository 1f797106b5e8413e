/**
 * Desired and observed → steps. Pure.
 *
 * 1. A resource is acquired only after everything that it comes `after`; released only before that.
 * 2. What is held stays untouched; what is not held is not released.
 * 3. `unknown` is acted upon in a takeover (an acquire looks first) and in a release (fail closed), never in a
 *    repair (H4).
 * 4. An abrupt release knows local facts only (R2) and skips the cloud. Nothing observed means that everything local is
 *    released.
 */
import { assert } from '../core/index.ts';
import type { Probe } from '../resources/index.ts';

export interface PlanResource {
  readonly name: string;
  readonly scope: 'local' | 'cloud';
  /** Names of those that must be held before this one. */
  readonly after: readonly string[];
}

export interface Step {
  readonly action: 'acquire' | 'release';
  readonly name: string;
  /** Names of steps of this plan that must have ended before. */
  readonly after: readonly string[];
}

export interface Plan {
  readonly steps: readonly Step[];
  /** A failed step keeps its followers from running, or not: an abrupt release tries everything. */
  readonly onFailure: 'stop' | 'go-on';
}

export type Observed = ReadonlyMap<string, Probe>;

export function planTakeover(resources: readonly PlanResource[], observed: Observed): Plan {
  const chosen = choose(resources, (resource) => observed.get(resource.name) !== 'held');
  return { steps: acquireSteps(resources, chosen), onFailure: 'stop' };
}

/** H4: only what is certainly lost is taken again. */
export function planRepair(resources: readonly PlanResource[], observed: Observed): Plan {
  const chosen = choose(resources, (resource) => observed.get(resource.name) === 'not-held');
  return { steps: acquireSteps(resources, chosen), onFailure: 'stop' };
}

export function planRelease(
  resources: readonly PlanResource[],
  observed: Observed,
  mode: 'planned' | 'abrupt',
): Plan {
  const chosen = choose(
    resources,
    (resource) =>
      (mode === 'planned' || resource.scope === 'local') && observed.get(resource.name) !== 'not-held',
  );
  const needs = new Map(
    resources.map((resource) => [resource.name, nearestChosen(resources, resource.name, chosen)]),
  );
  const steps = inOrder(resources)
    .reverse()
    .flatMap((resource): Step[] => {
      if (!chosen.has(resource.name)) return [];
      const users = [...chosen].filter((user) => needs.get(user)?.has(resource.name));
      return [{ action: 'release', name: resource.name, after: users }];
    });
  return { steps, onFailure: mode === 'abrupt' ? 'go-on' : 'stop' };
}

function choose(
  resources: readonly PlanResource[],
  isChosen: (resource: PlanResource) => boolean,
): Set<string> {
  return new Set(resources.filter(isChosen).map((resource) => resource.name));
}

function acquireSteps(resources: readonly PlanResource[], chosen: ReadonlySet<string>): Step[] {
  return inOrder(resources)
    .filter((resource) => chosen.has(resource.name))
    .map((resource) => ({
      action: 'acquire',
      name: resource.name,
      after: [...nearestChosen(resources, resource.name, chosen)],
    }));
}

/** The chosen ones that `name` comes after, through any number of others that are not chosen. */
function nearestChosen(
  resources: readonly PlanResource[],
  name: string,
  chosen: ReadonlySet<string>,
): Set<string> {
  const found = new Set<string>();
  const seen = new Set<string>();
  const queue = [...(resources.find((resource) => resource.name === name)?.after ?? [])];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    if (chosen.has(next)) found.add(next);
    else queue.push(...(resources.find((resource) => resource.name === next)?.after ?? []));
  }
  return found;
}

/** Everybody behind those that it names, otherwise as listed. The config guarantees that this is possible. */
export function inOrder<Resource extends PlanResource>(resources: readonly Resource[]): Resource[] {
  const names = new Set(resources.map((resource) => resource.name));
  assert(names.size === resources.length, 'two resources have the same name');
  const placed = new Set<string>();
  const ordered: Resource[] = [];
  let left = [...resources];
  while (left.length > 0) {
    const next = left.find((resource) =>
      resource.after.every((name) => placed.has(name) || !names.has(name)),
    );
    assert(
      next !== undefined,
      `resources go round in a circle: ${left.map((resource) => resource.name).join(', ')}`,
    );
    for (const name of next.after)
      assert(names.has(name), `resource ${next.name} comes after unknown ${name}`);
    placed.add(next.name);
    ordered.push(next);
    left = left.filter((resource) => resource !== next);
  }
  return ordered;
}
