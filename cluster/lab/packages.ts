/**
 * Debian packages that the guests are made of: downloaded and unpacked into a cache folder, never installed. The cache is
 * filled once; to take newer ones, remove the folder.
 */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const LIMIT_MS = 240_000;

/** The engine; then what a guest has on top of the host's own programs. */
const ENGINE = ['user-mode-linux'] as const;
const KIT = [
  'drbd-utils',
  'busybox-static',
  'psmisc',
  'iputils-arping',
  'iputils-ping',
  'libndp-tools',
  'libndp0',
] as const;

export interface Unpacked {
  /** The program that is a kernel. */
  readonly kernel: string;
  readonly modules: string;
  /** Laid over the host's root in every guest. */
  readonly kit: string;
}

export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'quorate-lab');
}

function command(words: readonly string[], cwd: string): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(words[0] ?? '', words.slice(1), { cwd, timeout: LIMIT_MS }, (error, _stdout, stderr) => {
      if (error === null) resolve();
      else reject(new Error(`${words.join(' ')}: ${stderr.trim().split('\n').at(-1) || error.message}`));
    });
  });
}

async function download(names: readonly string[], folder: string): Promise<void> {
  const words = ['apt-get', '-qq', '-o', 'Acquire::Retries=1', 'download', ...names];
  try {
    await command(words, folder);
  } catch {
    // The lists may be older than the mirror, or not there at all.
    await command(['apt-get', '-qq', 'update'], folder);
    await command(words, folder);
  }
}

async function unpack(names: readonly string[], folder: string): Promise<void> {
  const debs = `${folder}.debs`;
  mkdirSync(debs, { recursive: true });
  await download(names, debs);
  for (const file of readdirSync(debs)) await command(['dpkg-deb', '-x', join(debs, file), folder], debs);
  rmSync(debs, { recursive: true });
  // Where the host has links (a merged /usr), folders would hide everything that the links lead to.
  for (const name of ['bin', 'sbin', 'lib']) {
    const from = join(folder, name);
    if (!existsSync(from)) continue;
    cpSync(from, join(folder, 'usr', name), { recursive: true, verbatimSymlinks: true });
    rmSync(from, { recursive: true });
  }
}

/** Rejects with one sentence when a package can neither be found in the cache nor be fetched. */
export async function unpackedPackages(say: (text: string) => void): Promise<Unpacked> {
  const cache = cacheFolder();
  if (!existsSync(cache)) {
    say(`fetching ${[...ENGINE, ...KIT].join(', ')} into ${cache} (44 MB, once)`);
    const next = `${cache}.${process.pid}`;
    try {
      await unpack(ENGINE, join(next, 'engine'));
      await unpack(KIT, join(next, 'kit'));
      // Whole or not at all: another lab may be waiting for the same folder.
      renameSync(next, cache);
    } catch (error) {
      rmSync(next, { recursive: true, force: true });
      rmSync(`${next}.debs`, { recursive: true, force: true });
      if (!existsSync(cache)) throw error;
    }
  }
  const modules = join(cache, 'engine/usr/lib/uml/modules');
  const [version] = existsSync(modules) ? readdirSync(modules) : [];
  if (version === undefined) throw new Error(`${cache} is not complete: remove it and try again`);
  return {
    kernel: join(cache, 'engine/usr/bin/linux.uml'),
    modules: join(modules, version),
    kit: join(cache, 'kit'),
  };
}
