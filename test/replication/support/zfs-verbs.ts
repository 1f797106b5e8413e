/** The commands of ZFS that are no streams, over the model in a directory: as a process of their own, or in the caller's. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import {
  type ModelDataset,
  ModelPool,
  type ModelState,
  ZfsRefusal,
} from '../../../cluster/zfs-model/index.ts';

const POOL = 'tank';
const guids = { next: () => String(randomBytes(8).readBigUInt64LE() | 1n) };

/** What it prints; throws a ZfsRefusal with what it says on stderr. */
export function runVerb(directory: string, program: string, words: readonly string[]): Promise<string> {
  return locked(directory, (pool) => runOn(pool, program, words));
}

export function runOn(pool: ModelPool, program: string, words: readonly string[]): string {
  if (program === 'zfs') {
    const said = zfs(pool, words);
    return typeof said === 'string' ? said : '';
  }
  if (program === 'unshare') {
    // intent-log.ts: a mount that nobody else sees.
    if (!words.some((word) => word.startsWith('mount -t zfs ')))
      throw new Error(`unknown: unshare ${words.join(' ')}`);
    pool.replay(words.at(-1) ?? '');
    return '';
  }
  const texts = pool.texts();
  return words[0] === 'status' ? texts.status : texts.pool;
}

/** The kernel gives it back when its owner dies. */
export async function locked<Result>(directory: string, work: (pool: ModelPool) => Result): Promise<Result> {
  const file = join(directory, 'state');
  const name = `\0stand-in-${createHash('sha256').update(directory).digest('hex').slice(0, 32)}`;
  const server = await new Promise<Server>((resolve) => {
    const attempt = (): void => {
      const one = createServer();
      one.once('error', () => setTimeout(attempt, 2));
      one.listen(name, () => resolve(one));
    };
    attempt();
  });
  try {
    const state = existsSync(file) ? (deserialize(readFileSync(file)) as ModelState) : undefined;
    const pool = new ModelPool(POOL, guids, state);
    try {
      return work(pool);
    } finally {
      // Also where something was refused: of several names the others are done. With its references: a clone has the snapshot of another
      // dataset.
      const next = `${file}.${process.pid}`;
      writeFileSync(next, serialize(pool.state()));
      renameSync(next, file);
    }
  } finally {
    server.close();
  }
}

/** With -u it takes no volume. */
function rename(pool: ModelPool, args: readonly string[]): void {
  const [from, to] = [args.at(-2) ?? '', args.at(-1) ?? ''];
  if (from.includes('@')) return pool.renameSnapshot(...split(from, '@'), split(to, '@')[1]);
  if (args[0] === '-u' && pool.get(from).kind === 'volume')
    throw new ZfsRefusal(`cannot open '${from}': operation not applicable to datasets of this type`);
  pool.rename(from, to);
}

export const split = (name: string, mark: '@' | '#'): [string, string] => {
  const at = name.indexOf(mark);
  if (at < 0) throw new ZfsRefusal(`'${name}' is no name with ${mark}`);
  return [name.slice(0, at), name.slice(at + 1)];
};

/** Flags, the values of those that have one, and the rest. */
export function parse(args: readonly string[], withValue: readonly string[]) {
  const flags = new Map<string, string>();
  const rest: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? '';
    if (!word.startsWith('-')) rest.push(word);
    else if (withValue.includes(word)) flags.set(word, args[++at] ?? '');
    else flags.set(word, '');
  }
  return { flags, rest };
}

/** What stands behind each `-o`. */
const optionsOf = (words: readonly string[]): readonly string[] =>
  words.filter((_, at) => words[at - 1] === '-o');

/** As zfs(8) holds and releases: of several each for itself, with a line for each that it could not. */
function ofEach(names: readonly string[], act: (dataset: string, of: string) => void): void {
  const refusals: string[] = [];
  for (const name of names) {
    try {
      act(...split(name, '@'));
    } catch (error) {
      if (!(error instanceof ZfsRefusal)) throw error;
      refusals.push(error.message);
    }
  }
  if (refusals.length > 0) throw new ZfsRefusal(refusals.join('\n'));
}

/** Properties of datasets, then their names. */
function set(pool: ModelPool, words: readonly string[]): void {
  const isProperty = (word: string): boolean => word.includes('=');
  for (const name of words.filter((word) => !isProperty(word))) {
    for (const property of words.filter(isProperty)) {
      const at = property.indexOf('=');
      pool.setProperty(name, property.slice(0, at), property.slice(at + 1));
    }
  }
}

function get(pool: ModelPool, args: readonly string[]): string {
  const { flags, rest } = parse(args, ['-t', '-o', '-s']);
  const [keys = '', ...names] = rest;
  const [name = ''] = names;
  const columns = (flags.get('-o') ?? '').split(',');
  if (keys === 'all') return ownOf(pool.get(name), columns);
  // Of several it prints them by their names.
  const datasets = flags.has('-r') ? below(pool, name, null) : names.toSorted().map((one) => pool.get(one));
  const sources = flags.get('-s')?.split(',');
  return datasets
    .flatMap((one) =>
      keys.split(',').map((property) => {
        const [value, source] = cellOf(pool, one, property);
        if (sources?.includes(source) === false) return '';
        const cells: Record<string, string> = { name: one.name, property, value, source };
        return `${columns.map((column) => cells[column]).join('\t')}\n`;
      }),
    )
    .join('');
}

function ownOf({ properties, isReadonly }: ModelDataset, columns: readonly string[]): string {
  const own = isReadonly === null ? [] : [['readonly', isReadonly ? 'on' : 'off']];
  const all = [...properties, ...own];
  return all
    .map(([property = '', value = '']) => {
      const cells: Record<string, string> = { property, value };
      return `${columns.map((column) => cells[column]).join('\t')}\n`;
    })
    .join('');
}

function list(pool: ModelPool, args: readonly string[]): string {
  const { flags, rest } = parse(args, ['-t', '-o', '-d', '-S']);
  const types = (flags.get('-t') ?? 'filesystem').split(',');
  const columns = (flags.get('-o') ?? 'name').split(',');
  if (columns.includes('usedbydataset')) return pool.texts().datasets;
  if (types.includes('bookmark')) return pool.texts().points;
  const print = (rows: readonly (readonly string[])[]): string =>
    rows.map((cells) => `${cells.join('\t')}\n`).join('');
  if (types.includes('snapshot')) {
    // One snapshot, or those of a dataset.
    const points = rest.flatMap((name) => {
      const [dataset = '', of] = name.split('@');
      const datasets = flags.has('-r') ? below(pool, dataset, null) : [pool.get(dataset)];
      const found = datasets.flatMap((one) =>
        one.snapshots
          .filter((snapshot) => of === undefined || snapshot.name === of)
          .map((snapshot) => ({ ...snapshot, full: `${one.name}@${snapshot.name}` })),
      );
      if (of !== undefined && found.length === 0)
        throw new ZfsRefusal(`cannot open '${name}': dataset does not exist`);
      return found;
    });
    return print(
      points.map(({ full, guid, txg, holds, takenAt = 1_790_000_000 }) => {
        const cells: Record<string, unknown> = { name: full, guid, createtxg: txg, userrefs: holds };
        return columns.map((column) => String(column === 'creation' ? takenAt : (cells[column] ?? '-')));
      }),
    );
  }
  const depth = flags.has('-d') ? Number(flags.get('-d')) : null;
  const rows = rest
    .flatMap((name) => (flags.has('-r') || depth !== null ? below(pool, name, depth) : [pool.get(name)]))
    .filter(({ kind }) => types.includes(kind));
  if (flags.has('-S')) rows.sort((left, right) => (left.name < right.name ? 1 : -1));
  return print(rows.map((one) => columns.map((column) => cellOf(pool, one, column)[0])));
}

function below(pool: ModelPool, name: string, depth: number | null): ModelDataset[] {
  const own = pool.get(name);
  if (depth === 0) return [own];
  return [...pool.datasets.values()].filter((one) => one === own || one.name.startsWith(`${name}/`));
}

/** With where it comes from. */
function cellOf(
  pool: ModelPool,
  one: ModelDataset,
  property: string,
): readonly [value: string, source: string] {
  const newest = (one.snapshots.at(-1) ?? one.origin)?.content ?? '';
  switch (property) {
    case 'name':
      return [one.name, '-'];
    case 'type':
      return [one.kind, '-'];
    case 'guid':
      return [one.guid, '-'];
    case 'createtxg':
      return ['7', '-'];
    case 'origin':
      return [one.origin === null ? '-' : `${pool.ownerOf(one.origin).name}@${one.origin.name}`, '-'];
    case 'encryptionroot':
      return [one.keyOf?.name ?? '-', '-'];
    case 'keystatus':
      return [pool.isShut(one) ? 'unavailable' : one.isEncrypted ? 'available' : '-', '-'];
    case 'written':
      return [
        String(Math.abs(one.content.length - newest.length) + (one.isLogChanged === true ? 1 : 0)),
        '-',
      ];
    case 'used':
      return [String(one.content.length), '-'];
    case 'creation':
      return ['1790000000', '-'];
    case 'receive_resume_token':
      return [one.partial?.token ?? '-', '-'];
    case 'canmount':
      return [one.kind === 'volume' ? '-' : (one.properties.get('canmount') ?? 'on'), 'local'];
    case 'mountpoint':
      return [one.kind === 'volume' ? '-' : (one.properties.get('mountpoint') ?? `/${one.name}`), 'local'];
    default:
      return pool.property(one.name, property);
  }
}

/** A text is what it prints. */
function zfs(pool: ModelPool, [verb = '', ...args]: readonly string[]): unknown {
  switch (verb) {
    case 'list':
      return list(pool, args);
    case 'get':
      return get(pool, args);
    case 'set':
      return set(pool, args);
    case 'inherit':
      for (const name of args.slice(1)) pool.inheritProperty(name, args[0] ?? '');
      return '';
    case 'create': {
      const name = args.at(-1) ?? '';
      pool.create(name, args.includes('encryption=on'), args.includes('-V') ? 'volume' : 'filesystem');
      return set(pool, [...optionsOf(args).filter((one) => one !== 'encryption=on'), name]);
    }
    case 'clone': {
      const name = args.at(-1) ?? '';
      const refquota = optionsOf(args).find((one) => one.startsWith('refquota='));
      const bytes = refquota === undefined ? [] : [Number(refquota.split('=')[1])];
      pool.clone(...split(args.at(-2) ?? '', '@'), name, ...bytes);
      return set(pool, [...optionsOf(args), name]);
    }
    case 'promote':
      return pool.promote(args[0] ?? '');
    case 'rollback':
      return pool.rollback(...split(args[0] ?? '', '@'));
    case 'snapshot': {
      if (args[0] === '-r') return pool.snapshotBelow(...split(args[1] ?? '', '@'));
      const names = args.map((name) => split(name, '@'));
      // Of one name, as everybody here asks for them.
      return pool.snapshotAll(
        names.map(([dataset]) => dataset),
        names[0]?.[1] ?? '',
      );
    }
    case 'hold':
      return ofEach(args.slice(1), (dataset, of) => pool.hold(dataset, of, args[0] ?? ''));
    case 'holds':
      return parse(args, [])
        .rest.flatMap((name) => {
          const [dataset, of] = split(name, '@');
          const found = pool.get(dataset).snapshots.find((one) => one.name === of);
          if (found === undefined) throw new ZfsRefusal(`cannot get holds of '${name}': does not exist`);
          return (found.tags ?? []).map((tag) => `${name}\t${tag}\tFri Nov 27 19:45 2026\n`);
        })
        .join('');
    case 'release':
      return ofEach(args.slice(1), (dataset, of) => pool.release(dataset, of, args[0] ?? ''));
    case 'bookmark':
      return pool.bookmark(...split(args[0] ?? '', '@'), split(args[1] ?? '', '#')[1]);
    case 'destroy':
      return destroy(pool, args[0] ?? '');
    case 'rename':
      return rename(pool, args);
    case 'receive':
      return pool.abandon(args.at(-1) ?? '');
    // Not of ZFS: what a program writes into a file system, and reads in a snapshot of it.
    case 'write':
      return pool.write(args[0] ?? '', args[1] ?? '', false);
    case 'read': {
      const [dataset, of] = split(args[0] ?? '', '@');
      return pool.get(dataset).snapshots.find(({ name }) => name === of)?.content ?? '';
    }
    default:
      throw new ZfsRefusal(`unrecognized command '${verb}'`);
  }
}

function destroy(pool: ModelPool, name: string): void {
  if (name.includes('#')) return pool.destroyBookmark(...split(name, '#'));
  if (!name.includes('@')) return pool.destroyDataset(name);
  const [dataset, list] = split(name, '@');
  const names = list.split(',');
  // All that are there, or none.
  const there = pool.get(dataset).snapshots.filter(({ name: of }) => names.includes(of));
  if (there.length === 0)
    throw new ZfsRefusal('could not find any snapshots to destroy; check snapshot names.');
  for (const one of there) {
    const clones = pool.clonesOf(one);
    if (clones.length > 0)
      throw new ZfsRefusal(
        `cannot destroy '${dataset}@${one.name}': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\n${clones.join('\n')}`,
      );
  }
  for (const { name: of, holds } of there)
    if (holds > 0) throw new ZfsRefusal(`cannot destroy snapshot ${dataset}@${of}: dataset is busy`);
  for (const { name: of } of there) pool.destroySnapshot(dataset, of);
}
