/** The commands of ZFS that are no streams, over the model in a directory: as a process of their own, or in the caller's. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { ModelPool, type ModelState, ZfsRefusal } from '../zfs-model.ts';

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
  const texts = pool.texts();
  return words[0] === 'status' ? texts.status : texts.pool;
}

/** The kernel gives it back when its owner dies. */
export async function locked<Result>(directory: string, work: (pool: ModelPool) => Result): Promise<Result> {
  const file = join(directory, 'state.json');
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
    const state = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as ModelState) : undefined;
    const pool = new ModelPool(POOL, guids, state);
    const result = work(pool);
    const next = `${file}.${process.pid}`;
    writeFileSync(next, JSON.stringify(pool.state()));
    renameSync(next, file);
    return result;
  } finally {
    server.close();
  }
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

/** A text is what it prints. */
function zfs(pool: ModelPool, [verb = '', ...args]: readonly string[]): unknown {
  switch (verb) {
    case 'list': {
      const types = parse(args, ['-t', '-o']).flags.get('-t');
      const texts = pool.texts();
      return types === 'filesystem,volume' ? texts.datasets : texts.points;
    }
    case 'create':
      return pool.create(args.at(-1) ?? '', args.includes('encryption=on'));
    case 'snapshot': {
      const names = args.map((name) => split(name, '@'));
      // All of them, or none.
      for (const [dataset, as] of names)
        if (pool.get(dataset).snapshots.some((one) => one.name === as))
          throw new ZfsRefusal(`cannot create snapshot '${dataset}@${as}': dataset already exists`);
      for (const [dataset, as] of names) pool.snapshot(dataset, as);
      return;
    }
    case 'hold':
      return pool.hold(...split(args[1] ?? '', '@'), args[0] ?? '');
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
      return pool.release(...split(args[1] ?? '', '@'), args[0] ?? '');
    case 'bookmark':
      return pool.bookmark(...split(args[0] ?? '', '@'), split(args[1] ?? '', '#')[1]);
    case 'destroy':
      return destroy(pool, args[0] ?? '');
    case 'rename':
      return pool.rename(args[0] ?? '', args[1] ?? '');
    case 'receive':
      return pool.abandon(args[1] ?? '');
    // Not of ZFS: what a program writes into a file system.
    case 'write':
      return pool.write(args[0] ?? '', args[1] ?? '');
    default:
      throw new ZfsRefusal(`unrecognized command '${verb}'`);
  }
}

function destroy(pool: ModelPool, name: string): void {
  if (name.includes('#')) return pool.destroyBookmark(...split(name, '#'));
  const [dataset, list] = split(name, '@');
  const names = list.split(',');
  for (const of of names)
    if ((pool.get(dataset).snapshots.find((one) => one.name === of)?.holds ?? 0) > 0)
      throw new ZfsRefusal(`cannot destroy snapshot ${dataset}@${of}: dataset is busy`);
  for (const of of names) pool.destroySnapshot(dataset, of);
}
