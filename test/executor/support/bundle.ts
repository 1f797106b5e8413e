/** The executor as it ships: its bundles, built once per test file into a scratch directory. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../../..', import.meta.url));

export interface Bundle {
  readonly program: string;
  remove(): void;
}

export async function bundleExecutor(): Promise<Bundle> {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-executor-'));
  await build({
    absWorkingDir: root,
    entryPoints: {
      executor: 'src/executor/main.ts',
      guard: 'src/executor/guard.ts',
      replicator: 'src/replicator/main.ts',
      'spawn-helper': 'src/executor/spawn-helper.ts',
    },
    outdir: directory,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    mainFields: ['module', 'main'],
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunks/[name]-[hash]',
    logLevel: 'error',
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  // The peer's schema is read from a folder above the bundle.
  cpSync(join(root, 'proto'), join(directory, 'proto'), { recursive: true });
  return {
    program: join(directory, 'executor.mjs'),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
