/** Where the agent finds the script that the build has made: its own code lies deeper in the bundle than in the source. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { loadStatusPage } from '../../../src/http/index.ts';

const directory = mkdtempSync(join(tmpdir(), 'quorate-assets-'));
const chunk = join(directory, 'dist', 'chunks', 'agent.mjs');
beforeAll(async () => {
  await build({
    entryPoints: [fileURLToPath(new URL('../../../src/http/status-page/assets.ts', import.meta.url))],
    outfile: chunk,
    bundle: true,
    format: 'esm',
    platform: 'node',
    logLevel: 'warning',
  });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const load = async (): Promise<ReturnType<typeof loadStatusPage>> =>
  ((await import(pathToFileURL(chunk).href)) as { loadStatusPage: typeof loadStatusPage }).loadStatusPage();

it('no script: no page, and no error', async () => {
  expect(await load()).toBeNull();
});

it('beside the bundle, above its chunks; in a checkout in dist', async () => {
  const beside = join(directory, 'dist', 'status-page.js');
  writeFileSync(beside, 'let beside;');
  expect((await load())?.get('/status-page.js')?.body).toBe('let beside;');
  rmSync(beside);
  mkdirSync(join(directory, 'dist', 'chunks', 'dist'));
  writeFileSync(join(directory, 'dist', 'chunks', 'dist', 'status-page.js'), 'let checkout;');
  expect((await load())?.get('/status-page.js')?.body).toBe('let checkout;');
});
