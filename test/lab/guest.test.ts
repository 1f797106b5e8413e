/** The scripts that run in the lab's guests, as far as they can be tried without one. */
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { longestGapMs, lostOf, parseAcknowledged } from '../../cluster/lab/client-host.ts';
import { hasReadNothing } from '../../cluster/lab/replication/window.ts';
import { filesBelow, ROOT } from '../deployments/support/files.ts';

const FOLDER = 'cluster/lab/guest';
const SCRIPTS = filesBelow(FOLDER, '.sh');
const LIMIT_MS = 60_000;

it.each(SCRIPTS)('%s can be parsed', (script) => {
  const { stderr, status } = spawnSync('bash', ['-n', join(ROOT, script)], { encoding: 'utf8' });
  expect([stderr, status]).toEqual(['', 0]);
});

it.each(SCRIPTS)('%s: what it reads in is there', (script) => {
  const text = readFileSync(join(ROOT, script), 'utf8');
  for (const [, name = ''] of text.matchAll(/^\. "\$\{0%\/\*\}\/(\S+)"$/gm))
    expect(existsSync(join(ROOT, FOLDER, name))).toBe(true);
});

/** Not on every file system, a tmpfs of older kernels for one. */
function knowsDirect(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-direct-'));
  const words = ['if=/dev/zero', `of=${join(folder, 'file')}`, 'bs=512', 'count=1', 'oflag=direct'];
  const { status } = spawnSync('dd', words);
  rmSync(folder, { recursive: true });
  return status === 0;
}

describe.skipIf(!knowsDirect())('nfs-clients.sh, with folders in the place of mounts', () => {
  let top = '';
  let env: NodeJS.ProcessEnv = {};
  const run = (...words: string[]): string =>
    execFileSync(join(ROOT, FOLDER, 'nfs-clients.sh'), words, { env, encoding: 'utf8', timeout: LIMIT_MS });
  const file = (version: string, what: string): string =>
    join(top, 'mounts', version, `${what}-${version}-7`);
  const noted = (name: string): string => {
    const path = join(top, 'clients', name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };
  const until = async (what: string, condition: () => boolean): Promise<void> => {
    const deadline = performance.now() + LIMIT_MS;
    while (!condition()) {
      if (performance.now() > deadline) throw new Error(`not in ${LIMIT_MS} ms: ${what}`);
      await new Promise((next) => setTimeout(next, 50));
    }
  };
  const acknowledged = (way: string) => parseAcknowledged(noted(`${way}.acknowledged`));

  beforeEach(() => {
    top = mkdtempSync(join(tmpdir(), 'quorate-clients-'));
    for (const name of ['clients', 'mounts/nfs4', 'mounts/nfs3'])
      mkdirSync(join(top, name), { recursive: true });
    env = { ...process.env, CLIENTS_TOP: join(top, 'clients'), CLIENTS_MOUNTS: join(top, 'mounts') };
  });
  afterEach(async () => {
    await promisify(execFile)(join(ROOT, FOLDER, 'nfs-clients.sh'), ['stop'], { env, timeout: LIMIT_MS });
    rmSync(top, { recursive: true });
  });

  it(
    'write what is looked for later, and read their file on one open file',
    async () => {
      run('make', '7');
      run('start', '7');
      const ways = ['nfs4', 'nfs3', 'nfs4-reads', 'nfs3-reads'];
      await until('all have some', () => ways.every((way) => acknowledged(way).length > 2));
      // The name leads elsewhere now; who has it open must not notice.
      rmSync(file('nfs3', 'blocks'));
      const before = acknowledged('nfs3-reads').length;
      await until('it goes on', () => acknowledged('nfs3-reads').length > before + 1);
      expect(ways.map((way) => noted(`${way}.errors`))).toEqual(['', '', '', '']);
      run('stop');
      const records = acknowledged('nfs4');
      expect(lostOf('nfs4', records, readFileSync(file('nfs4', 'records')))).toEqual([]);
      expect(longestGapMs(records)).toBeGreaterThan(900);
      expect(run('seen', 'nfs4', '7')).toMatch(/^\d+ [0-9a-f]{32}\n$/);
    },
    2 * LIMIT_MS,
  );

  it(
    'note what is not what it was: nothing, or something else',
    async () => {
      run('make', '7');
      run('start', '7');
      run('late', '7');
      await until('the late files are read', () => acknowledged('nfs4-late').length > 0);
      truncateSync(file('nfs4', 'late'));
      writeFileSync(file('nfs3', 'late'), 'x'.repeat(128 * 512));
      await until('both are noted', () =>
        ['nfs4-late', 'nfs3-late'].every((way) => noted(`${way}.errors`) !== ''),
      );
      const errors = ['nfs4-late', 'nfs3-late'].map((way) => noted(`${way}.errors`));
      // Until the first error only.
      expect(errors.map((text) => text.trim().split('\n').length)).toEqual([1, 1]);
      expect(errors.map(hasReadNothing)).toEqual([true, false]);
    },
    2 * LIMIT_MS,
  );
});
