/** What a pool must be asked for before anything of it is set aside, and reading the answers. Strict: what is skipped would be lost sight of. */
import { isKept } from '../../resources/index.ts';
import { ListTextError } from '../list-text.ts';
import { type Guid, guid, parentsOf } from '../pool.ts';

/** Stands on a dataset whose tail is being, or has been, set aside: what is left to do is told by it alone. */
export const ASIDE_MARK = 'quorate:set-aside';
/**
 * The value of `quorate:readonly` once nothing is left to do; with the dataset's own id, because children inherit it. The mark itself says
 * so too: a release writes over this word where the dataset has been taken out of `.diverged`.
 */
export const keptWord = (id: Guid): string => `kept:${id}`;

export interface AsideMark {
  readonly epoch: number;
  /** The newest snapshot that the holder has too. */
  readonly common: Guid;
  /** What it was called, and what goes on to be received under that name. */
  readonly original: string;
}

export interface AsideSnapshot {
  readonly name: string;
  readonly guid: Guid;
  readonly createtxg: number;
}

export interface AsideDataset {
  readonly name: string;
  readonly kind: 'filesystem' | 'volume';
  readonly guid: Guid;
  readonly origin: string | null;
  /** The dataset that has its key; null: not encrypted. */
  readonly encryptionRoot: string | null;
  /** Bytes since its newest snapshot; null where ZFS does not say. */
  readonly written: number | null;
  /** Bytes that nobody else shares. */
  readonly used: number;
  readonly createdAt: number;
  readonly canmount: string;
  readonly isPartial: boolean;
  /** Null also where it was finished, and somebody has renamed it out of `.diverged` since: then it is theirs, as any other is. */
  readonly mark: AsideMark | null;
  /** Its mark is there for people only: everything is done. */
  readonly isDone: boolean;
  /** That mark is still on it: forgotten before anything is marked anew, or what goes along with another would count as kept. */
  readonly isTakenOut: boolean;
  /** It has the word of an earlier set-aside: a new mark must take that away. */
  readonly hasKeptWord: boolean;
  /** Below `.diverged`. */
  readonly isKept: boolean;
  /** Oldest first. */
  readonly snapshots: readonly AsideSnapshot[];
}

export type AsidePool = ReadonlyMap<string, AsideDataset>;

const DATASETS = [
  ...['name', 'type', 'guid', 'origin', 'encryptionroot', 'written', 'used', 'creation', 'canmount'],
  'receive_resume_token',
] as const;
const WORD = 'quorate:readonly';

export interface AsideTexts {
  readonly datasets: string;
  readonly snapshots: string;
  readonly marks: string;
}

export const ASIDE_COMMANDS = {
  datasets: (pool: string) => [
    ...['zfs', 'list', '-H', '-p', '-r', '-t', 'filesystem,volume', '-o', DATASETS.join(',')],
    pool,
  ],
  snapshots: (pool: string) => [
    ...['zfs', 'list', '-H', '-p', '-r', '-t', 'snapshot', '-o', 'name,guid,createtxg'],
    pool,
  ],
  /** What was set here: a stream can bring a mark too, whose sender knows the GUIDs of this side, and would keep it from taking over. */
  marks: (pool: string) => [
    ...['zfs', 'get', '-H', '-p', '-r', '-t', 'filesystem,volume', '-s', 'local'],
    ...['-o', 'name,property,value', `${ASIDE_MARK},${WORD}`, pool],
  ],
  /** For `isPerhapsOpen`. */
  open: (pool: string) => [
    ...['zfs', 'list', '-H', '-p', '-r', '-t', 'filesystem,volume', '-o', `name,guid,${ASIDE_MARK},${WORD}`],
    pool,
  ],
} as const satisfies Record<keyof AsideTexts | 'open', (pool: string) => readonly string[]>;

/** "1": under way; "2": finished. */
export const markText = ({ epoch, common, original }: AsideMark, own: Guid, isDone = false): string =>
  `${isDone ? 2 : 1}:${epoch}:${own}:${common}:${original}`;

/** Null: none, or not ours. */
function readMark(text: string, own: Guid): (AsideMark & { readonly isDone: boolean }) | null {
  const [, version = '', epoch = '', of = '', common = '', original = ''] =
    /^([12]):(\d{1,15}):(\d{1,20}):(\d{1,20}):(.+)$/.exec(text) ?? [];
  const id = guid(common);
  if (of !== own || id === null) return null;
  return { epoch: Number(epoch), common: id, original, isDone: version === '2' };
}

/** What has been set aside whole counts below `.diverged` only: out of there somebody has taken it, to work with it or to keep it. */
function readState(marks: ReadonlyMap<string, string> | undefined, own: Guid, kept: boolean) {
  const hasKeptWord = marks?.get(WORD) === keptWord(own);
  const found = readMark(marks?.get(ASIDE_MARK) ?? '', own);
  // The word alone: of one that was finished before the marks said it.
  const isDone = found !== null && (found.isDone || hasKeptWord);
  const isTakenOut = isDone && !kept;
  if (found === null || isTakenOut) return { mark: null, isDone: false, isTakenOut, hasKeptWord };
  const { epoch, common, original } = found;
  return { mark: { epoch, common, original }, isDone, isTakenOut, hasKeptWord };
}

/**
 * False: nothing is left to do of any set-aside: all that is marked is finished, and what is kept without a mark lies below nothing that has
 * one. True also where only a whole reading can tell, as of a mark that came with a stream.
 */
export function isPerhapsOpen(pool: string, text: string): boolean {
  if (!text.endsWith('\n')) return true;
  const marked = new Set<string>();
  const rows = text
    .slice(0, -1)
    .split('\n')
    .map((line) => line.split('\t'));
  for (const [name = '', id = '', mark = '', word = '', ...more] of rows) {
    const own = guid(id);
    if (own === null || more.length > 0) return true;
    const found = readState(
      new Map([
        [ASIDE_MARK, mark],
        [WORD, word],
      ]),
      own,
      isKept(pool, name),
    );
    if (found.mark !== null && !found.isDone) return true;
    if (found.mark !== null) marked.add(name);
  }
  // Unmarked ones below a marked one, which was renamed with them.
  return rows.some(
    ([name = '']) =>
      !marked.has(name) && isKept(pool, name) && parentsOf(name).some((above) => marked.has(above)),
  );
}

/** Throws `ListTextError`. */
export function parseAside(pool: string, { datasets, snapshots, marks }: AsideTexts): AsidePool {
  const points = parseSnapshots(snapshots);
  const marked = parseMarks(marks);
  const found = new Map<string, AsideDataset>();
  for (const cells of rowsOf('zfs list', datasets, DATASETS.length)) {
    const [name = '', kind, id = '', origin = '', root = '', written = '', used = '', creation = ''] = cells;
    const [canmount = '', token] = cells.slice(8);
    const own = guid(id);
    if (own === null || (kind !== 'filesystem' && kind !== 'volume')) throw notUnderstood(cells);
    if (name !== pool && !name.startsWith(`${pool}/`)) throw notUnderstood(cells);
    // A line break in a property's value can look like a dataset of its own.
    if (found.has(name)) throw new ListTextError(`"zfs list" printed ${name} twice`);
    found.set(name, {
      name,
      kind,
      guid: own,
      origin: origin === '-' ? null : origin,
      encryptionRoot: root === '-' ? null : root,
      written: written === '-' ? null : numberOf(written, cells),
      used: numberOf(used, cells),
      createdAt: numberOf(creation, cells),
      canmount,
      isPartial: token !== '-',
      ...readState(marked.get(name), own, isKept(pool, name)),
      isKept: isKept(pool, name),
      snapshots: (points.get(name) ?? []).toSorted((left, right) => left.createtxg - right.createtxg),
    });
  }
  // Renamed between the two readings, or it hides in a line break: it would be lost sight of.
  for (const name of marked.keys())
    if (!found.has(name))
      throw new ListTextError(`"zfs get" printed a mark of ${name}, "zfs list" nothing of it`);
  if (!found.has(pool)) throw new ListTextError(`"zfs list" printed nothing of ${pool} itself`);
  return found;
}

function parseSnapshots(text: string): ReadonlyMap<string, readonly AsideSnapshot[]> {
  const found = new Map<string, AsideSnapshot[]>();
  for (const cells of rowsOf('zfs list', text, 3)) {
    const [full = '', id = '', txg = ''] = cells;
    const [dataset = '', name = '', ...more] = full.split('@');
    const own = guid(id);
    if (name === '' || more.length > 0 || own === null) throw notUnderstood(cells);
    const of = found.get(dataset) ?? [];
    of.push({ name, guid: own, createtxg: numberOf(txg, cells) });
    found.set(dataset, of);
  }
  return found;
}

/** By dataset and property. */
function parseMarks(text: string): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const found = new Map<string, Map<string, string>>();
  for (const cells of rowsOf('zfs get', text, 3)) {
    const [name = '', property = '', value = ''] = cells;
    const of = found.get(name) ?? new Map<string, string>();
    if ((property !== ASIDE_MARK && property !== WORD) || of.has(property)) throw notUnderstood(cells);
    found.set(name, of.set(property, value));
  }
  return found;
}

function rowsOf(command: string, text: string, columns: number): readonly (readonly string[])[] {
  if (text === '') return [];
  if (!text.endsWith('\n')) throw new ListTextError(`what "${command}" printed has no end`);
  const rows = text
    .slice(0, -1)
    .split('\n')
    .map((line) => line.split('\t'));
  for (const row of rows) if (row.length !== columns) throw notUnderstood(row);
  return rows;
}

function numberOf(text: string, cells: readonly string[]): number {
  if (!/^\d{1,15}$/.test(text)) throw notUnderstood(cells);
  return Number(text);
}

const notUnderstood = (cells: readonly string[]): ListTextError =>
  new ListTextError(
    `a line of what ZFS printed is not understood: ${JSON.stringify(cells.join(' ').slice(0, 120))}`,
  );

/** Of the names that `zfs get -o property` printed, those that a clone must have of its own: everything else it inherits or has by its data. */
export function ownNames(text: string): readonly string[] {
  return rowsOf('zfs get', text, 1).flatMap(([property = '']) =>
    NOT_COPIED.has(property) ? [] : [property],
  );
}

/** Null: the lines are not those of these properties, each once and in order, because a value has line breaks in it. */
export function ownValues(text: string, names: readonly string[]): readonly string[] | null {
  const lines = text === '' ? [] : text.slice(0, -1).split('\n');
  const isOf = (line: string, at: number): boolean => line.startsWith(`${names[at]}\t`);
  if (lines.length !== names.length || !lines.every(isOf)) return null;
  return lines.map((line, at) => line.slice((names[at]?.length ?? 0) + 1));
}

/** The words of a `zfs clone`, without these properties. */
export function withoutQuotas(command: readonly string[]): readonly string[] {
  const isQuota = (word = ''): boolean => /^(ref)?quota=/.test(word);
  return command.filter((word, at) => !isQuota(word) && !(word === '-o' && isQuota(command[at + 1])));
}

/** Fixed when a dataset is made, told by its data, taken care of elsewhere, or space that both would claim. */
const NOT_COPIED: ReadonlySet<string> = new Set([
  ...['encryption', 'keyformat', 'keylocation', 'pbkdf2iters', 'volblocksize', 'volsize', 'version'],
  ...['casesensitivity', 'normalization', 'utf8only', 'reservation', 'refreservation', 'canmount'],
  ASIDE_MARK,
]);
