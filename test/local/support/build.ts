import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Bundles one program of the local cluster into a directory of this test's own: `dist` may be under rebuild. */
export async function bundle(entries: Record<string, string>): Promise<string> {
  const outdir = mkdtempSync(join(tmpdir(), 'quorate-local-bundle-'));
  await build({
    absWorkingDir: ROOT,
    entryPoints: entries,
    outdir,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    outExtension: { '.js': '.mjs' },
    logLevel: 'warning',
  });
  return outdir;
}
