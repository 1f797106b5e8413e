/**
 * The programs of an earlier commit, made from the history of this checkout with the packages that are installed in it. Kept in
 * `.local` between runs.
 */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Build } from '../../../cluster/local/cluster.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const NAMED = join(ROOT, 'test', 'e2e', 'previous-build');
const LIMIT_MS = 120_000;
/** What a build reads, besides the packages. */
const PARTS = ['src', 'proto', 'scripts', 'cluster', 'package.json', 'tsconfig.json'];

/** The commit; `PREVIOUS_BUILD` in the environment names another one. */
export function previousCommit(): string {
  const given = process.env.PREVIOUS_BUILD;
  if (given !== undefined) return git('rev-parse', '--verify', `${given}^{commit}`);
  const lines = readFileSync(NAMED, 'utf8').split('\n');
  const commit = lines.find((line) => line !== '' && !line.startsWith('#'));
  if (commit === undefined || !/^[0-9a-f]{40}$/.test(commit)) throw new Error(`${NAMED} names no commit`);
  return commit;
}

/** Null: it can be built here; otherwise what is missing, and what to do about it. */
export function whyNoPreviousBuild(): string | null {
  try {
    git('rev-parse', '--git-dir');
  } catch {
    return 'this is no git checkout: there is no earlier version to build';
  }
  const commit = previousCommit();
  try {
    git('cat-file', '-e', `${commit}^{tree}`);
    return null;
  } catch {
    const isShallow = git('rev-parse', '--is-shallow-repository') === 'true';
    const remedy = isShallow ? 'this clone is shallow: git fetch --unshallow' : 'git fetch';
    return `the history has no ${commit.slice(0, 12)} (test/e2e/previous-build): ${remedy}`;
  }
}

export async function previousBuild(): Promise<Build> {
  const commit = previousCommit();
  const place = join(ROOT, '.local', 'previous', commit);
  if (!existsSync(place)) {
    const half = `${place}.${process.pid}`;
    mkdirSync(half, { recursive: true });
    try {
      const run = promisify(execFile);
      const tar = join(half, 'source.tar');
      await run('git', ['-C', ROOT, 'archive', '-o', tar, commit, ...PARTS], { timeout: LIMIT_MS });
      await run('tar', ['-xf', tar, '-C', half], { timeout: LIMIT_MS });
      symlinkSync(join(ROOT, 'node_modules'), join(half, 'node_modules'));
      await run(process.execPath, [join('scripts', 'build.mjs')], { cwd: half, timeout: LIMIT_MS });
      if (!existsSync(join(half, 'dist', 'quorate.mjs')))
        throw new Error(`the build of ${commit} made no quorate.mjs`);
      rmSync(tar);
      renameSync(half, place);
    } finally {
      rmSync(half, { recursive: true, force: true });
    }
  }
  const dist = join(place, 'dist');
  const help = execFileSync(process.execPath, [join(dist, 'quorate.mjs'), 'agent', '--help'], {
    encoding: 'utf8',
    timeout: LIMIT_MS,
  });
  return { dist, isSupervised: help.includes('--supervised') };
}

function git(...words: readonly string[]): string {
  return execFileSync('git', ['-C', ROOT, ...words], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
  }).trim();
}
