// Bundles the script of the status page. The browser gets it from the agent, and nothing from anywhere else.

import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** @returns {Promise<string>} the script */
export async function bundleStatusPage() {
  return (await buildStatusPage()).script;
}

/** The script, and what it was made of. */
export async function buildStatusPage() {
  const { outputFiles, metafile } = await build({
    entryPoints: [fileURLToPath(new URL('../src/http/status-page/browser/main.tsx', import.meta.url))],
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: ['chrome109', 'firefox115', 'safari16.4'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    logLevel: 'warning',
    metafile: true,
  });
  return { script: outputFiles[0].text, metafile };
}
