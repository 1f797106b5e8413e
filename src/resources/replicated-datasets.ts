/**
 * The datasets of a pool that snapshots keep alike on both nodes: which of them this node may write to. Pure.
 *
 * Quorate's own word stands beside each `readonly` that it sets, as `quorate:readonly`, in one command with it: `on` where it has
 * shut a copy, `off` where it has opened it. What is read-only without that word was made so by a person, and stays so.
 */
import { LEFT_OUT, type LeftOut, readLeftOut } from './left-out.ts';

export interface Copy {
  readonly name: string;
  readonly kind: 'filesystem' | 'volume';
  readonly isReadonly: boolean;
  /** Set on this dataset itself, and not inherited. */
  readonly hasOwnReadonly: boolean;
  /** Quorate's own word about it, where it was set on this dataset, and here: what came with a stream is the word of another node. */
  readonly mark: 'on' | 'off' | null;
  /** Encrypted, and its key is not loaded: such a volume has no device. */
  readonly isLocked: boolean;
  /** Part of a stream has arrived. */
  readonly isPartial: boolean;
  /** It, or what it lies in and has its `readonly` from, is no part of what the last holder had: no takeover opens it. `isOwn`: itself. */
  readonly leftOut: (LeftOut & { readonly isOwn: boolean }) | null;
}

/** Where what only this node has is kept after a change of roles: nobody's to mount, open or shut. */
export const KEPT = '.diverged';

/** A receive must set these, or a takeover leaves the copy read-only. */
export const SHUT = ['readonly=on', 'quorate:readonly=on'] as const;
export const OPEN = ['readonly=off', 'quorate:readonly=off'] as const;
/** On the pool's own file system: the epoch of the last tenure in which this node may have written to the pool. */
export const WRITTEN = 'quorate:written';

const PROPERTIES = [
  ...['type', 'readonly', 'quorate:readonly', 'keystatus', 'receive_resume_token'],
  LEFT_OUT,
] as const;

export const copiesCommand = (pool: string): string[] => [
  ...['zfs', 'get', '-H', '-p', '-r', '-t', 'filesystem,volume', '-o', 'name,property,value,source'],
  ...[PROPERTIES.join(','), pool],
];

interface Cell {
  readonly value: string;
  readonly isOwn: boolean;
  readonly isLocal: boolean;
}

/** Parents first, without what is kept aside. Null where a line is not as documented, or something is missing. */
export function parseCopies(text: string, pool: string): readonly Copy[] | null {
  if (!text.endsWith('\n')) return null;
  const rows = new Map<string, Map<string, Cell>>();
  for (const line of text.slice(0, -1).split('\n')) {
    const [name = '', property = '', value = '', source = '', ...more] = line.split('\t');
    if (name === '' || source === '' || more.length > 0 || !isOf(pool, name)) return null;
    const row = rows.get(name) ?? new Map<string, Cell>();
    if (row.has(property)) return null;
    const isLocal = source === 'local';
    row.set(property, { value, isLocal, isOwn: isLocal || source === 'received' });
    rows.set(name, row);
  }
  const copies = [...rows].map(([name, row]) => readCopy(name, row, leftOutAt(name, pool, rows)));
  const sound = copies.filter((one) => one !== null);
  if (sound.length !== copies.length || !rows.has(pool)) return null;
  return sound.filter(({ name }) => !isKept(pool, name));
}

type Row = ReadonlyMap<string, Cell>;

/** Of the pool's own file system no holder says so: everything lies in it. */
function leftOutAt(name: string, pool: string, rows: ReadonlyMap<string, Row>): Copy['leftOut'] {
  for (let at = name; at !== pool; at = at.slice(0, at.lastIndexOf('/'))) {
    const mark = rows.get(at)?.get(LEFT_OUT);
    if (mark?.isLocal === true) return { ...readLeftOut(mark.value), isOwn: at === name };
    if (rows.get(at)?.get('readonly')?.isOwn !== false) return null;
  }
  return null;
}

function readCopy(name: string, row: Row, leftOut: Copy['leftOut']): Copy | null {
  const [kind, readonly, mark, key, token] = PROPERTIES.map((property) => row.get(property));
  if (row.size !== PROPERTIES.length || mark === undefined || key === undefined || token === undefined)
    return null;
  if (kind?.value !== 'filesystem' && kind?.value !== 'volume') return null;
  if (readonly?.value !== 'on' && readonly?.value !== 'off') return null;
  return {
    name,
    kind: kind.value,
    isReadonly: readonly.value === 'on',
    hasOwnReadonly: readonly.isOwn,
    mark: mark.isLocal && (mark.value === 'on' || mark.value === 'off') ? mark.value : null,
    isLocked: key.value === 'unavailable',
    isPartial: token.value !== '-',
    leftOut,
  };
}

const isOf = (pool: string, name: string): boolean => name === pool || name.startsWith(`${pool}/`);

export const isKept = (pool: string, name: string): boolean =>
  name === `${pool}/${KEPT}` || name.startsWith(`${pool}/${KEPT}/`);

/** As "tank/.d": what compares by the beginning of a name would take it for the other. So no receiver changes such a dataset. */
export function isNearKept(name: string): boolean {
  const part = name.split('/')[1] ?? '';
  return part !== '' && part !== KEPT && KEPT.startsWith(part);
}

/** What a takeover opens, the pool's own file system first. */
export const toOpen = (copies: readonly Copy[]): readonly string[] =>
  copies.filter(({ mark, leftOut }) => mark === 'on' && leftOut === null).map(({ name }) => name);

/** What is left out, and would be opened with what it inherits from: as what was made here, and never received. */
export const toKeepShut = (copies: readonly Copy[]): readonly string[] =>
  copies
    .filter(({ leftOut, hasOwnReadonly }) => leftOut?.isOwn === true && !hasOwnReadonly)
    .map(({ name }) => name);

/** What a release shuts: what inherits is shut by what it inherits from. */
export const toShut = (copies: readonly Copy[], pool: string): readonly string[] =>
  copies
    .filter(({ name, isReadonly, hasOwnReadonly }) => !isReadonly && (hasOwnReadonly || name === pool))
    .map(({ name }) => name);

/** What can still be written to here. */
export const writable = (copies: readonly Copy[]): readonly string[] =>
  copies.filter(({ isReadonly }) => !isReadonly).map(({ name }) => name);
