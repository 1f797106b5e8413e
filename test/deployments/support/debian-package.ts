/** The Debian package, made of this checkout, for the tests that look into it and those that install it. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './files.ts';

/** Null where the package can be made; otherwise why not. */
export function whyNoPackage(): string | null {
  try {
    execFileSync('dpkg-deb', ['--version'], { stdio: 'pipe' });
    return null;
  } catch {
    return 'needs dpkg-deb';
  }
}

/** Builds what is older than its source, too. The path of the package. */
export function makePackage(directory: string, env: Readonly<Record<string, string>> = {}): string {
  const said = execFileSync(join(ROOT, 'cluster/package/deb.sh'), [directory], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return said.trim().split(/\s+/)[1] ?? '';
}

/** The same programs as another version: what an upgrade goes to. */
export function asVersion(file: string, version: string, directory: string): string {
  const folder = join(directory, `next-${version}`);
  execFileSync('dpkg-deb', ['--raw-extract', file, folder]);
  const control = join(folder, 'DEBIAN/control');
  writeFileSync(control, readFileSync(control, 'utf8').replace(/^Version: .*$/m, `Version: ${version}`));
  writeFileSync(join(folder, 'usr/lib/quorate/package/build'), `${version}-next\n`);
  const next = join(directory, `quorate_${version}_amd64.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', '-Znone', '--build', folder, next], { stdio: 'pipe' });
  return next;
}
