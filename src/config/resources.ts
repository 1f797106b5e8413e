/** The `resources` list: kinds, names, order, and that each data node is covered. */
import type { ResourceConfig } from './config.ts';
import type { ResourceContext } from './per-node.ts';
import type { Path, Problems } from './problems.ts';
import { normalise } from './resource-kinds.ts';
import {
  RESOURCE_KINDS,
  type ResourceKind,
  type ResourceSection,
  resourceSections,
} from './resource-schema.ts';
import { show } from './scalars.ts';
import { readSection } from './sections.ts';
import { suggest } from './suggest.ts';

const MAX_RESOURCES = 64;

interface Listed {
  readonly position: number;
  readonly section: ResourceSection;
}

/** `value` is the raw list. Resources with an error are left out of the result; the caller refuses the file then. */
export function readResources(value: unknown, context: ResourceContext): readonly ResourceConfig[] {
  const { problems } = context;
  if (value === undefined) return [];
  if (!Array.isArray(value)) {
    problems.add(
      ['resources'],
      `expected a list, got ${show(value)}`,
      'as "- {name: block, kind: drbd, resource: r0}"',
    );
    return [];
  }
  if (value.length > MAX_RESOURCES) problems.add(['resources'], `at most ${MAX_RESOURCES} resources`);
  const names = value.map(nameOf);
  const listed: Listed[] = value.slice(0, MAX_RESOURCES).flatMap((item, position) => {
    const section = readKind(item, ['resources', position], problems);
    return section === null ? [] : [{ position, section }];
  });
  checkUnique(listed, context);
  const afters: (readonly string[])[] = [];
  for (const [position, item] of value.entries()) afters.push(afterOf(item, position, names, value, afters));
  checkOrder(names, afters, problems);
  checkDoors(listed, names, afters, problems);
  const known = { ...context, names, sections: listed.map(({ section }) => section) };
  return listed.map(({ position, section }) => {
    const after = afters[position] ?? [];
    const foundations = reachable(after, names, afters);
    return normalise(section, ['resources', position], after, { ...known, foundations });
  });
}

function readKind(item: unknown, path: Path, problems: Problems): ResourceSection | null {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) {
    problems.add(path, `expected a map, got ${show(item)}`, 'as "{name: block, kind: drbd, resource: r0}"');
    return null;
  }
  const kind: unknown = 'kind' in item ? item.kind : undefined;
  if (typeof kind === 'string' && (RESOURCE_KINDS as readonly string[]).includes(kind))
    return readSection(resourceSections[kind as ResourceKind], item, path, problems);
  const exist = `kinds that exist: ${RESOURCE_KINDS.join(', ')}`;
  if (kind === undefined) problems.add([...path, 'kind'], 'is missing', exist);
  else {
    const near = typeof kind === 'string' ? suggest(kind, RESOURCE_KINDS) : null;
    const hint = near === null ? exist : `did you mean "${near}"? ${exist}`;
    problems.add([...path, 'kind'], `unknown kind ${show(kind)}`, hint);
  }
  return null;
}

function nameOf(item: unknown): string | null {
  return typeof item === 'object' && item !== null && 'name' in item && typeof item.name === 'string'
    ? item.name
    : null;
}

function kindOf(item: unknown): unknown {
  return typeof item === 'object' && item !== null && 'kind' in item ? item.kind : undefined;
}

/** What lets clients in, or looks whether they come, is the last of everything. */
const LAST_KINDS: ReadonlySet<unknown> = new Set<ResourceKind>(['port-block', 'inbound']);

/** What uses storage must not begin beside it, on an empty directory. */
const USING_KINDS: ReadonlySet<unknown> = new Set<ResourceKind>(['service', 'hook']);
const CLOUD_KINDS: ReadonlySet<unknown> = new Set<ResourceKind>([
  'elastic-ip',
  'vpc-route',
  'private-ip',
  'target-group',
]);

/**
 * Without `after` a resource follows the one before it in the file; a service or hook also everything on this host that stands
 * before it; a door, and what looks through it, all before it.
 */
function afterOf(
  item: unknown,
  position: number,
  names: readonly (string | null)[],
  items: readonly unknown[],
  afters: readonly (readonly string[])[],
): readonly string[] {
  const after: unknown =
    typeof item === 'object' && item !== null && 'after' in item ? item.after : undefined;
  if (Array.isArray(after)) return after.filter((name) => typeof name === 'string');
  const kind = kindOf(item);
  const all = names.slice(0, position);
  if (LAST_KINDS.has(kind)) return all.filter((name) => name !== null);
  const before = names[position - 1];
  const chain = before === null || before === undefined ? [] : [before];
  if (!USING_KINDS.has(kind)) return chain;
  const covered = reachable(chain, names, afters);
  const missed = all.filter(
    (name, place) => name !== null && !covered.has(name) && !CLOUD_KINDS.has(kindOf(items[place])),
  );
  return [...chain, ...(missed as string[])];
}

function checkOrder(
  names: readonly (string | null)[],
  afters: readonly (readonly string[])[],
  problems: Problems,
): void {
  const known = names.filter((name) => name !== null);
  for (const [position, after] of afters.entries()) {
    for (const [place, name] of after.entries()) {
      const path = ['resources', position, 'after', place];
      if (name === names[position]) problems.add(path, `"${name}" cannot come after itself`);
      else if (!known.includes(name)) {
        const near = suggest(name, known);
        const hint = near === null ? `resources here: ${known.join(', ')}` : `did you mean "${near}"?`;
        problems.add(path, `there is no resource "${name}"`, hint);
      }
    }
  }
  const cycle = findCycle(names, afters);
  if (cycle === null) return;
  const position = names.indexOf(cycle[0] ?? null);
  problems.add(
    ['resources', position, 'after'],
    `goes round in a circle: ${cycle.join(' after ')}`,
    'a resource without "after" follows the one before it in the file; write "after: []" for the first',
  );
}

const BEHIND_A_DOOR: ReadonlySet<ResourceKind> = new Set<ResourceKind>([
  'drbd',
  'mount',
  'zfs-pool',
  'replicated-pool',
  'service',
  'hook',
]);

/** `from`, and everything that those come after, however deep. */
function reachable(
  from: readonly string[],
  names: readonly (string | null)[],
  afters: readonly (readonly string[])[],
): Set<string> {
  const found = new Set<string>();
  const queue = [...from];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    queue.push(...(afters[names.indexOf(next)] ?? []));
  }
  return found;
}

/** A door that opens before what is behind it is there lets clients in on nothing. */
function checkDoors(
  listed: readonly Listed[],
  names: readonly (string | null)[],
  afters: readonly (readonly string[])[],
  problems: Problems,
): void {
  for (const { position, section } of listed) {
    if (section.kind !== 'port-block') continue;
    const found = reachable(afters[position] ?? [], names, afters);
    for (const { section: other } of listed)
      if (BEHIND_A_DOOR.has(other.kind) && !found.has(other.name))
        problems.add(
          ['resources', position, 'after'],
          `opens before "${other.name}" is there`,
          'put it behind everything else, and leave "after" out',
        );
  }
}

/** A circle of at least two resources, its first name repeated at the end; null when the order is sound. */
function findCycle(
  names: readonly (string | null)[],
  afters: readonly (readonly string[])[],
): readonly string[] | null {
  const done = new Set<string>();
  const visit = (name: string, trail: readonly string[]): readonly string[] | null => {
    const seenAt = trail.indexOf(name);
    if (seenAt >= 0) return trail.length - seenAt < 2 ? null : [...trail.slice(seenAt), name];
    if (done.has(name)) return null;
    done.add(name);
    for (const next of afters[names.indexOf(name)] ?? []) {
      const cycle = names.includes(next) ? visit(next, [...trail, name]) : null;
      if (cycle !== null) return cycle;
    }
    return null;
  };
  for (const name of names) {
    const cycle = name === null ? null : visit(name, []);
    if (cycle !== null) return cycle;
  }
  return null;
}

function checkUnique(listed: readonly Listed[], { problems }: ResourceContext): void {
  const seen = new Map<string, string>();
  const claim = (key: string, path: Path, sentence: (first: string) => string, name: string): void => {
    const first = seen.get(key);
    if (first === undefined) seen.set(key, name);
    else problems.add(path, sentence(first));
  };
  for (const { position, section } of listed) {
    const path = ['resources', position];
    const { name } = section;
    claim(`name ${name}`, [...path, 'name'], () => `"${name}" is used twice`, name);
    for (const [key, value] of heldBy(section))
      claim(
        `${section.kind} ${key} ${value}`,
        [...path, key],
        (first) => `is already what "${first}" holds`,
        name,
      );
  }
}

/** The keys whose value no other resource of the kind may have. */
function heldBy(section: ResourceSection): readonly (readonly [key: string, value: unknown])[] {
  switch (section.kind) {
    case 'drbd':
      return [['resource', section.resource]];
    case 'mount':
      return [['mount_point', section.mount_point]];
    case 'zfs-pool':
    case 'replicated-pool':
      return [['pool', section.pool]];
    case 'port':
      return section.interface.kind === 'all' ? [['interface', section.interface.value]] : [];
    case 'route-table':
      // Two numbers, in turn.
      return [
        ['table', section.table],
        ['table', section.table + 1],
      ];
    case 'virtual-ip':
    case 'private-ip':
      return [['address', section.address]];
    case 'elastic-ip':
      return [['allocation', section.allocation]];
    case 'vpc-route':
      return [['destination', section.destination]];
    case 'target-group':
      return [['group', section.group]];
    case 'service':
      return section.unit === undefined ? [] : [['unit', section.unit]];
    case 'hook':
    case 'port-block':
    case 'inbound':
      return [];
  }
}
