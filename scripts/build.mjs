// Bundles the commands into dist/. Bundling is for start-up time and memory: the EC2 client alone takes 480 ms and
// 128 MB when loaded as packages, 125 ms and 73 MB bundled by its ESM entry (reference of the measurement: docs/).

import { cpSync, existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { productOf } from './product.mjs';
import { buildStatusPage } from './status-page.mjs';

/**
 * The standard gRPC services read their own descriptions from beside themselves at run time. They get a copy beside the chunks,
 * because the bundle is installed without their packages.
 */
const STANDARD_PROTOS = {
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

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
/** What a host runs. The others are for a checkout. */
const product = {
  quorate: 'src/cli/main.ts',
  executor: 'src/executor/main.ts',
  guard: 'src/executor/guard.ts',
  alerts: 'src/alerts/worker.ts',
  replicator: 'src/replicator/main.ts',
  'spawn-helper': 'src/executor/spawn-helper.ts',
  receiver: 'src/receiver/main.ts',
};
/** Not bundled: it has native code. Packed beside the bundles with what it depends on (cluster/package/stage.sh). */
const external = ['classic-level'];
const entries = {
  ...product,
  'local-cluster': 'cluster/local/main.ts',
  'local-controller': 'cluster/local/controller/main.ts',
  'local-drbd': 'cluster/local/drbd/main.ts',
  'local-store': 'cluster/local/store/main.ts',
  demo: 'cluster/local/demo/main.ts',
  network: 'cluster/network/main.ts',
  'network-helper': 'cluster/network/helpers.ts',
  lab: 'cluster/lab/main.ts',
  'lab-helper': 'cluster/lab/helpers.ts',
  bench: 'scripts/bench/main.ts',
  abuse: 'scripts/abuse/main.ts',
  'man-page': 'scripts/man-page/main.ts',
};
// Built aside and swapped in, so that a running command never finds half of it.
const next = `dist.${process.pid}`;
const previous = `${next}.old`;
const { metafile } = await build({
  entryPoints: Object.fromEntries(Object.entries(entries).filter(([, path]) => existsSync(path))),
  outdir: next,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  mainFields: ['module', 'main'],
  external,
  plugins: [readsOwnFiles],
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
for (const directory of Object.keys(STANDARD_PROTOS))
  cpSync(`node_modules/${directory}`, `${next}/chunks/standard/${directory}`, {
    recursive: true,
    filter: (path) => !path.endsWith('/sample'),
  });
const page = await buildStatusPage();
writeFileSync(`${next}/status-page.js`, page.script);
const contents = productOf({
  metafile,
  folder: next,
  bundles: Object.keys(product).map((name) => `${name}.mjs`),
  beside: readdirSync(`${next}/chunks/standard`, { recursive: true })
    .filter((name) => name.endsWith('.proto'))
    .map((name) => `chunks/standard/${name}`),
  page: { file: 'status-page.js', metafile: page.metafile },
  external,
});
writeFileSync(`${next}/product.json`, `${JSON.stringify(contents, null, 2)}\n`);
if (existsSync('dist')) renameSync('dist', previous);
renameSync(next, 'dist');
rmSync(previous, { recursive: true, force: true });
