/** The files that a guest starts over and over: programs of the host and of the unpacked packages, with their libraries. */
import { execFile } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

const PROGRAMS = [
  '/bin/sh',
  '/bin/bash',
  '/bin/mount',
  '/bin/umount',
  '/sbin/ip',
  '/usr/bin/fuser',
  '/usr/sbin/drbdadm',
  '/usr/sbin/drbdsetup',
  '/usr/lib/drbd/drbdadm-84',
  '/usr/lib/drbd/drbdsetup-84',
];
const LIMIT_MS = 5_000;

/** Paths as a guest sees them. */
export async function preloadList(kit: string): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const program of PROGRAMS) {
    const inKit = join(kit, program);
    const here = existsSync(inKit) ? inKit : program;
    found.add(here === inKit ? program : realpathSync(here));
    for (const library of await librariesOf(here)) found.add(realpathSync(library));
  }
  return [...found];
}

function librariesOf(program: string): Promise<readonly string[]> {
  return new Promise((resolve) => {
    // A static program makes it fail, and has none.
    execFile('ldd', [program], { timeout: LIMIT_MS }, (_error, stdout) => {
      resolve([...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path ?? ''));
    });
  });
}
