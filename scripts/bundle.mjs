// How programs are bundled. What a build consists of is in build.mjs.

import { readFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { shakeable } from './shakeable.mjs';

/** Not bundled: it has native code. Packed beside the bundles with what it depends on (cluster/package/stage.sh). */
export const EXTERNAL = ['classic-level'];

/**
 * The standard gRPC services read their own descriptions from beside themselves at run time. They get a copy beside the chunks,
 * because the bundle is installed without their packages.
 */
export const STANDARD_PROTOS = {
  '@grpc/reflection/build/proto': 'grpc/reflection/v1/reflection.proto',
  'grpc-health-check/proto': 'health/v1/health.proto',
};
const readsOwnFiles = {
  name: 'reads-own-files',
  setup({ onLoad }) {
    onLoad(
      { filter: /node_modules\/(@grpc\/reflection|grpc-health-check)\/build\/src\/.*\.js$/ },
      async ({ path }) => {
        const text = await readFile(path, 'utf8');
        const place = dirname(path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length));
        const [directory, file] = Object.entries(STANDARD_PROTOS).find(([own]) =>
          place.startsWith(dirname(own)),
        );
        // Where it would stand beside the copy, by a file that is there; not by "import.meta", which would make an ES module of it.
        const known = `./standard/${directory}/${file}`;
        const back = relative(`${directory}/${file}`, place);
        const own = `require('node:path').resolve(require['resolve']('${known}'), '${back}')`;
        return { contents: text.replaceAll('__dirname', own), loader: 'js' };
      },
    );
  },
};

/**
 * Programs that belong together: what they share is there once, and loaded whole by each of them.
 *
 * @param {Record<string, string>} entries a name without its ending, and the source from the root
 * @param {string} outdir
 * @param {boolean} [write] false: nothing is written
 * @returns esbuild's account of what came of what
 */
export async function bundle(entries, outdir, write = true) {
  const { metafile } = await build({
    absWorkingDir: fileURLToPath(new URL('..', import.meta.url)),
    entryPoints: entries,
    outdir,
    write,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    mainFields: ['module', 'main'],
    external: EXTERNAL,
    plugins: [readsOwnFiles, shakeable],
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunks/[name]-[hash]',
    sourcemap: 'linked',
    legalComments: 'none',
    logLevel: 'warning',
    metafile: true,
    // Packages in CommonJS call require() for Node's own modules; an ES module has none.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  return metafile;
}
