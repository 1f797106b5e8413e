/**
 * The outputs of `zpool list`, `zpool status` and `zfs list`, taken apart. Strict: a line that is not as documented is an
 * error that names it. What is skipped would count as not there, and what is not there gets a full copy.
 */
import { LEFT_OUT, type LeftOut, readLeftOut } from '../resources/index.ts';
import {
  type Bookmark,
  type Dataset,
  type Guid,
  guid,
  type Point,
  type Pool,
  type Snapshot,
} from './pool.ts';
import { readResumeToken } from './resume-token.ts';

/** Not understood. The message says which line of which command, and what is wrong with it. */
export class ListTextError extends Error {
  override readonly name = 'ListTextError';
}

const POOL = ['name', 'guid', 'size', 'free'] as const;
const DATASETS = [
  ...['name', 'type', 'guid', 'used', 'available', 'usedbydataset', 'usedbysnapshots', 'written'],
  ...['volsize', 'encryption', 'readonly', 'origin', 'receive_resume_token', 'quorate:replicate'],
] as const;
const LEFT_OUTS = ['name', 'value'] as const;
const POINTS = ['name', 'type', 'guid', 'createtxg', 'written', 'userrefs'] as const;

export const COMMANDS = {
  pool: (pool: string) => ['zpool', 'list', '-H', '-p', '-o', POOL.join(','), pool],
  /** With full paths, and links resolved: a DRBD device has many names. */
  status: (pool: string) => ['zpool', 'status', '-L', '-P', pool],
  datasets: (pool: string) => list('filesystem,volume', DATASETS, pool),
  points: (pool: string) => list('snapshot,bookmark', POINTS, pool),
} as const;

/** What was set here: what a stream has brought is another node's word. */
export const leftOutCommand = (pool: string): readonly string[] => [
  ...['zfs', 'get', '-H', '-p', '-r', '-t', 'filesystem,volume', '-s', 'local', '-o', LEFT_OUTS.join(',')],
  ...[LEFT_OUT, pool],
];

function list(types: string, columns: readonly string[], pool: string): string[] {
  return ['zfs', 'list', '-H', '-p', '-r', '-t', types, '-o', columns.join(','), pool];
}

/** What the commands printed, by their names above. */
export type PoolTexts = Readonly<Record<keyof typeof COMMANDS, string>> & {
  /** Of `leftOutCommand`. Absent: not asked for, or nothing is; an older version does not know it. */
  readonly leftOut?: string | undefined;
};

/** Throws `ListTextError`. */
export function parsePool(name: string, texts: PoolTexts): Pool {
  const [line, ...more] = linesOf('zpool list', texts.pool, POOL);
  if (line === undefined || more.length > 0)
    throw new ListTextError('"zpool list" printed another number of lines than one');
  if (line.cell('name') !== name) throw line.error(`is not about ${name}`);
  return {
    name,
    guid: line.guid(),
    sizeBytes: line.number('size'),
    freeBytes: line.number('free'),
    devices: parseDevices(name, texts.status),
    datasets: parseDatasets(name, texts),
  };
}

function parseDatasets(pool: string, texts: PoolTexts): readonly Dataset[] {
  const lines = linesOf('zfs list', texts.datasets, DATASETS);
  const names = new Set(lines.map((line) => line.cell('name')));
  if (!names.has(pool)) throw new ListTextError(`"zfs list" printed nothing of ${pool} itself`);
  if (names.size !== lines.length) throw new ListTextError('"zfs list" printed a dataset twice');
  const points = parsePoints(texts.points, names);
  const leftOut = parseLeftOut(texts.leftOut ?? '', names);
  return lines
    .map((line) => ({ ...parseDataset(line, pool, points), leftOut: leftOut.get(line.cell('name')) ?? null }))
    .toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

function parseDataset(line: Line, pool: string, points: Points): Omit<Dataset, 'leftOut'> {
  const name = line.cell('name');
  if (name !== pool && !name.startsWith(`${pool}/`)) throw line.error(`is not of ${pool}`);
  if (!DATASET_NAME.test(name)) throw line.error('has no name of a dataset');
  const kind = line.oneOf('type', ['filesystem', 'volume']);
  const encryption = line.optional('encryption');
  const token = line.optional('receive_resume_token');
  const origin = line.optional('origin');
  if (origin !== null && !SNAPSHOT_NAME.test(origin)) throw line.error('has no snapshot for origin');
  const { snapshots = [], bookmarks = [] } = points.get(name) ?? {};
  return {
    name,
    kind,
    guid: line.guid(),
    used: line.number('used'),
    available: line.number('available'),
    ownBytes: line.number('usedbydataset') + line.number('usedbysnapshots'),
    written: line.optional('written') === null ? null : line.number('written'),
    volumeBytes: kind === 'volume' ? line.number('volsize') : null,
    encryption: encryption === 'off' ? null : encryption,
    isReadonly: line.oneOf('readonly', ['on', 'off']) === 'on',
    origin,
    resume: token === null ? null : { token, stream: readResumeToken(token) },
    wish: line.optional('quorate:replicate') === null ? null : line.oneOf('quorate:replicate', ['on', 'off']),
    snapshots: snapshots.toSorted(byAge),
    bookmarks: bookmarks.toSorted(byAge),
  };
}

type Points = ReadonlyMap<string, { readonly snapshots: Snapshot[]; readonly bookmarks: Bookmark[] }>;

function parsePoints(text: string, datasets: ReadonlySet<string>): Points {
  const points = new Map([...datasets].map((name) => [name, { snapshots: [], bookmarks: [] } as Of]));
  for (const line of linesOf('zfs list', text, POINTS)) {
    const kind = line.oneOf('type', ['snapshot', 'bookmark']);
    const [, dataset = '', name = ''] =
      (kind === 'snapshot' ? SNAPSHOT_NAME : BOOKMARK_NAME).exec(line.cell('name')) ?? [];
    if (name === '') throw line.error(`has no name of a ${kind}`);
    const of = points.get(dataset);
    if (of === undefined) throw line.error('is of a dataset that was not there a moment before: ask again');
    const point = { name, guid: line.guid(), createtxg: line.number('createtxg') };
    if (kind === 'bookmark') of.bookmarks.push(point);
    else of.snapshots.push({ ...point, written: line.number('written'), holds: line.number('userrefs') });
  }
  return points;
}

function parseLeftOut(text: string, datasets: ReadonlySet<string>): ReadonlyMap<string, LeftOut> {
  const lines = linesOf('zfs get', text, LEFT_OUTS);
  const gone = lines.find((line) => !datasets.has(line.cell('name')));
  if (gone !== undefined) throw gone.error('is of a dataset that was not there a moment before: ask again');
  return new Map(lines.map((line) => [line.cell('name'), readLeftOut(line.cell('value'))]));
}

interface Of {
  readonly snapshots: Snapshot[];
  readonly bookmarks: Bookmark[];
}

const byAge = (left: Point, right: Point): number => left.createtxg - right.createtxg;

/** As ZFS allows them (zfs_namecheck.c); "%" only where ZFS itself names something, and that it does not list. */
const DATASET_NAME = /^[A-Za-z][A-Za-z0-9_.: -]*(\/[A-Za-z0-9_.: -]+)*$/;
const SNAPSHOT_NAME = /^([A-Za-z0-9_.: /-]+)@([A-Za-z0-9_.: -]+)$/;
const BOOKMARK_NAME = /^([A-Za-z0-9_.: /-]+)#([A-Za-z0-9_.: -]+)$/;

// ---- zpool status

const HEADER = /^\tNAME +STATE +READ +WRITE +CKSUM$/;
/** A device that is gone has its id for a name, and its path behind it. */
const DEVICE = /^\t +(?:(\/[!-~]+) .*|\d{1,20} .* was (\/[!-~]+)(?: .*)?)$/;
const GROUP =
  /^\t( +(mirror|raidz[123]?|draid[^ ]*|replacing|spare|indirect|hole)-\d+ .*|(logs|cache|spares|special|dedup)\t?.*)$/;

function parseDevices(pool: string, text: string): readonly string[] {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => HEADER.test(line));
  const end = lines.indexOf('', start);
  if (start < 0 || end < 0) throw new ListTextError('"zpool status" printed no list of devices');
  const devices = lines.slice(start + 1, end).flatMap((line): string[] => {
    const [, present, gone] = DEVICE.exec(line) ?? [];
    const path = present ?? gone;
    if (path !== undefined) return [path];
    if (GROUP.test(line) || line.startsWith(`\t${pool} `)) return [];
    throw new ListTextError(`"zpool status" printed ${quoted(line)}, which is neither a device nor a group`);
  });
  if (devices.length === 0) throw new ListTextError('"zpool status" printed no device');
  return devices;
}

// ---- lines and their columns

class Line {
  readonly #command: string;
  readonly #position: number;
  readonly #text: string;
  readonly #columns: readonly string[];
  readonly #cells: readonly string[];

  constructor(command: string, position: number, text: string, columns: readonly string[]) {
    this.#command = command;
    this.#position = position;
    this.#text = text;
    this.#columns = columns;
    this.#cells = text.split('\t');
    if (this.#cells.length !== columns.length)
      throw this.error(`has ${this.#cells.length} columns, not ${columns.length}`);
  }

  cell(column: string): string {
    return this.#cells[this.#columns.indexOf(column)] ?? '';
  }

  /** Null for "-", as ZFS prints what there is none of. */
  optional(column: string): string | null {
    const text = this.cell(column);
    if (text === '') throw this.error(`has nothing for ${column}`);
    return text === '-' ? null : text;
  }

  number(column: string): number {
    const text = this.cell(column);
    const value = Number(text);
    if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value))
      throw this.error(`has ${quoted(text)} for ${column}, not a whole number`);
    return value;
  }

  oneOf<const Word extends string>(column: string, words: readonly Word[]): Word {
    const text = this.cell(column);
    const found = words.find((word) => word === text);
    if (found === undefined) throw this.error(`has ${quoted(text)} for ${column}, not ${words.join(' or ')}`);
    return found;
  }

  guid(): Guid {
    const id = guid(this.cell('guid'));
    if (id === null) throw this.error(`has ${quoted(this.cell('guid'))} for guid`);
    return id;
  }

  error(what: string): ListTextError {
    return new ListTextError(`line ${this.#position} of "${this.#command}", ${quoted(this.#text)}, ${what}`);
  }
}

function linesOf(command: string, text: string, columns: readonly string[]): readonly Line[] {
  if (text === '') return [];
  if (!text.endsWith('\n')) throw new ListTextError(`what "${command}" printed has no end`);
  return text
    .slice(0, -1)
    .split('\n')
    .map((line, at) => new Line(command, at + 1, line, columns));
}

/** Somebody else's text, short and on one line, for a terminal. */
const quoted = (text: string): string => JSON.stringify(text.slice(0, 100)).replaceAll(/[^\x20-\x7e]/g, '?');
