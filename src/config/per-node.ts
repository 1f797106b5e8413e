/** Values that differ from node to node: every data node must have one, and nobody else. */
import type { NodeId } from '../core/index.ts';
import type { Path, Problems } from './problems.ts';
import type { PerNode } from './resource-schema.ts';
import { suggest } from './suggest.ts';

/** A member as far as the file names it, also one with an error elsewhere: that must not cause errors here. */
export interface NamedMember {
  readonly id: string;
  readonly witness: boolean;
  readonly zone: string | null;
}

export interface ResourceContext {
  readonly members: readonly NamedMember[];
  readonly self: NodeId | null;
  readonly problems: Problems;
}

/** `what` as in `data node "b" has no WHAT`; `example` as in `add "b: EXAMPLE"`. */
export function checkPerNode(
  values: Readonly<Record<string, unknown>>,
  path: Path,
  what: string,
  example: string,
  { members, problems }: ResourceContext,
): void {
  const holders = members.filter((member) => !member.witness).map((member) => member.id);
  for (const id of holders)
    if (!Object.hasOwn(values, id))
      problems.add(path, `data node "${id}" has no ${what}`, `add "${id}: ${example}"`);
  for (const id of Object.keys(values))
    if (!holders.includes(id)) problems.add([...path, id], notHolder(id, members), nearHolder(id, holders));
}

/** `checkPerNode`, and no value twice. */
export function checkUniquePerNode(
  values: Readonly<Record<string, string>>,
  path: Path,
  what: string,
  example: string,
  context: ResourceContext,
): void {
  checkPerNode(values, path, what, example, context);
  const seen = new Map<string, string>();
  for (const [id, value] of Object.entries(values)) {
    const first = seen.get(value);
    if (first !== undefined)
      context.problems.add([...path, id], `${value} is already the ${what} of "${first}"`);
    seen.set(value, id);
  }
}

/** This node's value; null for a node without one: the witness, which never holds, or one that was reported. */
export function ownValue<Value>(
  given: PerNode<Value> | undefined,
  path: Path,
  what: string,
  example: string,
  context: ResourceContext,
): Value | null {
  if (given === undefined) return null;
  if (given.kind === 'all') return given.value;
  checkPerNode(given.values, path, what, example, context);
  return context.self === null ? null : (given.values[context.self] ?? null);
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
