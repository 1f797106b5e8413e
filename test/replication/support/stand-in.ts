/** Two hosts with a pool of one name each, on directories: a `zfs` and a `zpool` for each of them. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deserialize } from 'node:v8';
import { build } from 'esbuild';
import { ModelPool, type ModelState, ZfsRefusal } from '../../../cluster/zfs-model/index.ts';
import type { CommandRunner, KernelFiles } from '../../../src/resources/index.ts';
import { runVerb } from './zfs-verbs.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

export interface Host {
  /** With `zfs` and `zpool`, and `unshare` for a mount that nobody else sees. */
  readonly bin: string;
  readonly directory: string;
  zfs(...args: string[]): Promise<string>;
  pool(): ModelPool;
}

export interface StandIn {
  readonly directory: string;
  readonly a: Host;
  readonly b: Host;
  remove(): void;
}

export async function standIn(): Promise<StandIn> {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-zfs-'));
  const outfile = join(directory, 'zfs-command.mjs');
  await bundle(join(root, 'test/replication/support/zfs-command.ts'), outfile);
  return {
    directory,
    a: hostIn(join(directory, 'a'), outfile),
    b: hostIn(join(directory, 'b'), outfile),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

export async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    mainFields: ['module', 'main'],
    logLevel: 'error',
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
}

function hostIn(directory: string, program: string): Host {
  const bin = join(directory, 'bin');
  mkdirSync(bin, { recursive: true });
  for (const name of ['zfs', 'zpool', 'unshare']) {
    const path = join(bin, name);
    writeFileSync(path, `#!/bin/sh\nexec "${process.execPath}" "${program}" "${directory}" ${name} "$@"\n`);
    chmodSync(path, 0o755);
  }
  return {
    bin,
    directory,
    zfs: (...args) => runVerb(directory, 'zfs', args),
    pool: () => {
      // As the first command finds it.
      const file = join(directory, 'state');
      const state = existsSync(file) ? (deserialize(readFileSync(file)) as ModelState) : undefined;
      return new ModelPool('tank', { next: () => '1' }, state);
    },
  };
}

/** The pool is imported, as the kernel says it. */
export const KERNEL: KernelFiles = { read: () => 'ONLINE\n', has: () => true };

/** Commands of that host, in this process: a process of its own for each of them would take most of a test's time. */
export function commandsOf({ directory }: Pick<Host, 'directory'>): Pick<CommandRunner, 'run'> {
  return {
    run: async ([program = '', ...args], { signal }) => {
      if (signal.aborted) return { kind: 'aborted' };
      try {
        const stdout = await runVerb(directory, program, args);
        return { kind: 'exited', code: 0, stdout, stderr: '' };
      } catch (error) {
        if (!(error instanceof ZfsRefusal)) throw error;
        return { kind: 'exited', code: 1, stdout: '', stderr: error.message };
      }
    },
  };
}
