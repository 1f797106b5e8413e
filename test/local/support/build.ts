import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Bundles one program of the local cluster into a directory of this test's own: `dist` may be under rebuild. */
export async function bundle(entries: Record<string, string>): Promise<string> {
  const outdir = mkdtempSync(join(tmpdir(), 'quorate-local-bundle-'));
  process.once('exit', () => rmSync(outdir, { recursive: true, force: true }));
  await build({
    absWorkingDir: ROOT,
    entryPoints: entries,
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    mainFields: ['module', 'main'],
    external: ['classic-level'],
    outExtension: { '.js': '.mjs' },
    logLevel: 'warning',
    // As in scripts/build.mjs: packages in CommonJS call require().
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  return outdir;
}

/** The programs of a local cluster without agents. */
export function bundleMachine(): Promise<string> {
  return bundle({
    'local-cluster': 'cluster/local/main.ts',
    'local-drbd': 'cluster/local/drbd/main.ts',
    'local-store': 'cluster/local/store/main.ts',
  });
}
