/** The `resources` list: kinds, names, order, and that each data node is covered. */
import { isIP } from 'node:net';
import type { NodeId } from '../core/index.ts';
import type { ResourceConfig } from './config.ts';
import type { Path, Problems } from './problems.ts';
import { show } from './scalars.ts';
import {
  PLANNED_KINDS,
  RESOURCE_KINDS,
  type ResourceKind,
  type ResourceSection,
  resourceSections,
} from './schema.ts';
import { readSection } from './sections.ts';
import { suggest } from './suggest.ts';

const MAX_RESOURCES = 64;

interface Listed {
  readonly position: number;
  readonly section: ResourceSection;
}

/** A member as far as the file names it, also one with an error elsewhere: that must not cause errors here. */
export interface NamedMember {
  readonly id: string;
  readonly witness: boolean;
}

export interface ResourceContext {
  readonly members: readonly NamedMember[];
  readonly self: NodeId | null;
  readonly problems: Problems;
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
  const afters = value.map((item, position) => afterOf(item, position, names));
  checkOrder(names, afters, problems);
  return listed.map(({ position, section }) =>
    normalise(section, ['resources', position], afters[position] ?? [], names, context),
  );
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
  else if (typeof kind === 'string' && (PLANNED_KINDS as readonly string[]).includes(kind))
    problems.add([...path, 'kind'], `resources of kind "${kind}" are not built yet`, exist);
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

/** Without `after` a resource follows the one before it in the file. */
function afterOf(item: unknown, position: number, names: readonly (string | null)[]): readonly string[] {
  const after: unknown =
    typeof item === 'object' && item !== null && 'after' in item ? item.after : undefined;
  if (Array.isArray(after)) return after.filter((name) => typeof name === 'string');
  const before = names[position - 1];
  return before === null || before === undefined ? [] : [before];
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
    const clash = (first: string): string => `is already what "${first}" holds`;
    if (section.kind === 'drbd') claim(`drbd ${section.resource}`, [...path, 'resource'], clash, name);
    if (section.kind === 'elastic-ip') claim(section.allocation, [...path, 'allocation'], clash, name);
    if (section.kind === 'service' && section.unit !== undefined)
      claim(`unit ${section.unit}`, [...path, 'unit'], clash, name);
  }
}

function normalise(
  section: ResourceSection,
  path: Path,
  after: readonly string[],
  names: readonly (string | null)[],
  context: ResourceContext,
): ResourceConfig {
  const common = { name: section.name, after };
  switch (section.kind) {
    case 'drbd':
      return { ...common, kind: 'drbd', resource: section.resource };
    case 'elastic-ip': {
      checkInterfaces(section.interfaces, [...path, 'interfaces'], context);
      const via = viaOf(section.via, [...path, 'via'], names, context);
      const { allocation, interfaces } = section;
      return { ...common, kind: 'elastic-ip', allocation, interfaces, via };
    }
    case 'service':
      return { ...common, kind: 'service', service: serviceOf(section, path, context.problems) };
  }
}

function serviceOf(
  section: Extract<ResourceSection, { kind: 'service' }>,
  path: Path,
  problems: Problems,
): Extract<ResourceConfig, { kind: 'service' }>['service'] {
  const { unit, start, stop, probe } = section;
  const commands = { start, stop, probe };
  if (unit !== undefined) {
    for (const [key, command] of Object.entries(commands))
      if (command !== undefined)
        problems.add([...path, key], 'cannot stand beside "unit"', 'use one or the other');
    return { kind: 'unit', unit };
  }
  const missing = Object.entries(commands).filter(([, command]) => command === undefined);
  if (missing.length === 3) problems.add(path, 'a service needs "unit", or "start", "stop" and "probe"');
  else
    for (const [key] of missing)
      problems.add([...path, key], 'is missing', 'start, stop and probe go together');
  return { kind: 'commands', start: argumentsOf(start), stop: argumentsOf(stop), probe: argumentsOf(probe) };
}

function argumentsOf(command: string | readonly string[] | undefined): readonly string[] {
  if (command === undefined) return [];
  return typeof command === 'string' ? ['/bin/sh', '-c', command] : command;
}

function checkInterfaces(
  interfaces: Readonly<Record<string, string>>,
  path: Path,
  { members, problems }: ResourceContext,
): void {
  const holders = members.filter((member) => !member.witness).map((member) => member.id);
  for (const id of holders) {
    if (!Object.hasOwn(interfaces, id))
      problems.add(path, `data node "${id}" has no interface`, `add "${id}: eni-..."`);
  }
  const seen = new Map<string, string>();
  for (const [id, value] of Object.entries(interfaces)) {
    if (!holders.includes(id)) problems.add([...path, id], notHolder(id, members), nearHolder(id, holders));
    const first = seen.get(value);
    if (first !== undefined) problems.add([...path, id], `${value} is already the interface of "${first}"`);
    seen.set(value, id);
  }
}

function viaOf(
  via: string | Readonly<Record<string, string>> | undefined,
  path: Path,
  names: readonly (string | null)[],
  { members, self, problems }: ResourceContext,
): string | null {
  if (via === undefined) return null;
  if (typeof via === 'string') {
    if (isIP(via) !== 0) return via;
    const why = names.includes(via)
      ? `"${via}" is not a resource of kind "port", which is not built yet`
      : `"${via}" is neither an IP address nor the name of a resource`;
    problems.add(
      path,
      why,
      'write the local address that cloud calls leave from, or {a: 10.0.9.10, b: 10.0.9.11}',
    );
    return null;
  }
  const holders = members.filter((member) => !member.witness).map((member) => member.id);
  for (const id of holders)
    if (!Object.hasOwn(via, id))
      problems.add(path, `data node "${id}" has no address`, `add "${id}: ADDRESS"`);
  for (const id of Object.keys(via))
    if (!holders.includes(id)) problems.add([...path, id], notHolder(id, members), nearHolder(id, holders));
  return self === null ? null : (via[self] ?? null);
}

function notHolder(id: string, members: readonly NamedMember[]): string {
  return members.some((member) => member.id === id)
    ? `"${id}" is the witness, which never holds (W1)`
    : `there is no member "${id}"`;
}

function nearHolder(id: string, holders: readonly string[]): string {
  const near = suggest(id, holders);
  return near === null ? `data nodes: ${holders.join(', ')}` : `did you mean "${near}"?`;
}
