/**
 * Desired and observed → steps. Pure.
 *
 * 1. A resource is acquired only after everything that it comes `after`; released only before that.
 * 2. What is held stays untouched; what is not held is not released. But a door that is open in front of something that is
 *    missing is shut before anything else, and opened when that is there: clients try again instead of failing.
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
  /** Held means that clients are let in; giving it up makes them wait, and does nothing else. */
  readonly isDoor?: boolean;
}

export interface Step {
  readonly action: 'acquire' | 'release';
  /** Of the resource. */
  readonly name: string;
  /** Unique in the plan: the resource's name, or `shut NAME` for a door that is shut in a takeover or repair. */
  readonly id: string;
  /** Ids of steps of this plan that must have ended before. */
  readonly after: readonly string[];
}

export interface Plan {
  readonly steps: readonly Step[];
  /** A failed step keeps its followers from running, or not: an abrupt release tries everything. */
  readonly onFailure: 'stop' | 'go-on';
}

export type Observed = ReadonlyMap<string, Probe>;

export function planTakeover(resources: readonly PlanResource[], observed: Observed): Plan {
  const missing = choose(resources, (resource) => observed.get(resource.name) !== 'held');
  return { steps: acquireSteps(resources, observed, missing, missing), onFailure: 'stop' };
}

/**
 * H4: only what is certainly lost is taken again. Nothing on top of what is lost and left alone (a repair that runs, or failed a
 * moment ago), nor of what cannot be read on this host: a service that begins without its data writes beside it.
 */
export function planRepair(
  resources: readonly PlanResource[],
  observed: Observed,
  leftAlone: ReadonlySet<string>,
): Plan {
  const lost = choose(resources, (resource) => observed.get(resource.name) === 'not-held');
  // What the cloud does not say keeps nobody from repairing what runs here (complaint 1).
  const unread = choose(
    resources,
    ({ name, scope }) => scope === 'local' && (observed.get(name) ?? 'unknown') === 'unknown',
  );
  const stay = new Set([...lost].filter((name) => leftAlone.has(name)).concat([...unread]));
  const chosen = choose(
    resources,
    ({ name }) => lost.has(name) && !stay.has(name) && nearestChosen(resources, name, stay).size === 0,
  );
  return { steps: acquireSteps(resources, observed, lost, chosen, unread), onFailure: 'stop' };
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
    .flatMap(({ name }): Step[] => {
      if (!chosen.has(name)) return [];
      const users = [...chosen].filter((user) => needs.get(user)?.has(name));
      return [{ action: 'release', name, id: name, after: users }];
    });
  return { steps, onFailure: mode === 'abrupt' ? 'go-on' : 'stop' };
}

function choose(
  resources: readonly PlanResource[],
  isChosen: (resource: PlanResource) => boolean,
): Set<string> {
  return new Set(resources.filter(isChosen).map((resource) => resource.name));
}

/** `missing`: all that is not there; `chosen`: what of it this plan acquires. */
function acquireSteps(
  resources: readonly PlanResource[],
  observed: Observed,
  missing: ReadonlySet<string>,
  chosen: ReadonlySet<string>,
  unread: ReadonlySet<string> = new Set(),
): Step[] {
  // What the cloud has lost is repaired with the door open: who comes by another way is served meanwhile.
  const lost = choose(resources, ({ name, scope }) => scope === 'local' && missing.has(name));
  const lacks = (name: string): string[] => [...nearestChosen(resources, name, lost)];
  const shut = resources.filter(
    ({ name, isDoor = false }) => isDoor && observed.get(name) === 'held' && lacks(name).length > 0,
  );
  // Opened again by this plan only where it leaves nothing missing behind the door, nor in doubt.
  const left = new Set([...missing].filter((name) => !chosen.has(name)).concat([...unread]));
  const opened = shut.filter(({ name }) => nearestChosen(resources, name, left).size === 0);
  const acquired = new Set([...chosen, ...opened.map(({ name }) => name)]);
  const shutIds = shut.map(({ name }) => `shut ${name}`);
  return [
    ...shut.map(({ name }): Step => ({ action: 'release', name, id: `shut ${name}`, after: [] })),
    ...inOrder(resources)
      .filter(({ name }) => acquired.has(name))
      .map(({ name }): Step => {
        const after = [...nearestChosen(resources, name, acquired), ...shutIds];
        return { action: 'acquire', name, id: name, after };
      }),
  ];
}

/** Everything that `name` comes after, however deep. */
export function foundationsOf(resources: readonly PlanResource[], name: string): Set<string> {
  const all = new Set(resources.map((resource) => resource.name));
  const found = new Set<string>();
  const queue = [...nearestChosen(resources, name, all)];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    queue.push(...nearestChosen(resources, next, all));
  }
  return found;
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
