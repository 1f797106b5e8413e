/**
 * What a takeover leaves as it is, read-only and not mounted: copies that are no part of what the last holder had, and such as never
 * arrived whole. To open them would be to serve something old, silently.
 *
 * The mark is written by the receiver when the holder says so, and counts where it was set on the dataset itself, and here. What lies in a
 * marked dataset and has no word of its own about `readonly` stays with it; a part of what the last holder had always has one.
 */
import type { LinuxTools, Reading } from './linux-tools.ts';
import type { Copy } from './replicated-datasets.ts';
import type { ActionContext } from './types.ts';

export const LEFT_OUT = 'quorate:left-out';

/** When it had everything for the last time, in milliseconds since 1970; null: not known. */
export interface LeftOut {
  readonly sinceMs: number | null;
}

export const leftOutText = (sinceSeconds: number | null): string => `1:${sinceSeconds ?? '-'}`;

/** Whatever it says: one that is not understood is a mark all the same. */
export function readLeftOut(text: string): LeftOut {
  const [, seconds] = /^1:(\d{1,12})$/.exec(text) ?? [];
  return { sinceMs: seconds === undefined ? null : Number(seconds) * 1000 };
}

export const leftOutWhy = ({ sinceMs }: LeftOut): string =>
  sinceMs === null
    ? 'not replicated any more'
    : `not replicated since ${new Date(sinceMs).toISOString().slice(0, 19)}Z`;

export interface Left {
  readonly names: ReadonlySet<string>;
  /** For people; empty where there is nothing. */
  readonly said: string;
}

export async function readLeft(
  copies: readonly Copy[],
  tools: LinuxTools,
  context: ActionContext,
): Promise<Reading<Left>> {
  const unfinished = await readUnfinished(copies, tools, context);
  if (unfinished.kind === 'unknown') return unfinished;
  const names = unfinished.value;
  const marked = copies.flatMap(({ name, leftOut }) =>
    leftOut === null || names.has(name) ? [] : [{ name, why: leftOutWhy(leftOut) }],
  );
  const partly = names.size === 0 ? '' : `, left out (never arrived whole): ${nameSome([...names])}`;
  const old =
    marked.length === 0 ? '' : `, left out: ${nameSome(marked.map(({ name, why }) => `${name} (${why})`))}`;
  return {
    kind: 'read',
    value: { names: new Set([...names, ...marked.map(({ name }) => name)]), said: `${partly}${old}` },
  };
}

/** Copies whose first stream has not come to its end: they have no snapshot, and nothing that could be mounted. */
async function readUnfinished(
  copies: readonly Copy[],
  tools: LinuxTools,
  context: ActionContext,
): Promise<Reading<ReadonlySet<string>>> {
  const partial = copies.filter(({ isPartial }) => isPartial).map(({ name }) => name);
  if (partial.length === 0) return { kind: 'read', value: new Set() };
  const command = ['zfs', 'list', '-H', '-t', 'snapshot', '-d', '1', '-o', 'name', ...partial];
  return tools.read(command, context, (text) => {
    const whole = new Set(text.split('\n').map((line) => line.split('@')[0]));
    return new Set(partial.filter((name) => !whole.has(name)));
  });
}

const MAX_NAMED = 5;

export function nameSome(names: readonly string[]): string {
  const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : '';
  return `${names.slice(0, MAX_NAMED).join(', ')}${more}`;
}
