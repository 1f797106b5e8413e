// Bundles the commands into dist/. Bundling is for start-up time and memory: the EC2 client alone takes 480 ms and
// 128 MB when loaded as packages, 125 ms and 73 MB bundled by its ESM entry (reference of the measurement: docs/).

import { cpSync, existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundle, EXTERNAL, STANDARD_PROTOS } from './bundle.mjs';
import { productOf } from './product.mjs';
import { buildStatusPage } from './status-page.mjs';

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
/**
 * Programs that are built by themselves, and so without what only others use: of a module that two programs of one build
 * share, both load all that either needs. The guard is a thread, and loads everything of its own a second time.
 */
const APART = [
  ['quorate'],
  ['executor'],
  ['guard'],
  ['spawn-helper'],
  ['alerts'],
  ['replicator', 'receiver'],
];
const others = Object.keys(entries).filter((name) => !APART.flat().includes(name));
const builds = await Promise.all(
  [...APART, others].map((names) => {
    const there = names.filter((name) => existsSync(entries[name]));
    return bundle(Object.fromEntries(there.map((name) => [name, entries[name]])), next);
  }),
);
const metafile = {
  inputs: Object.assign({}, ...builds.map(({ inputs }) => inputs)),
  outputs: Object.assign({}, ...builds.map(({ outputs }) => outputs)),
};

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
  external: EXTERNAL,
});
writeFileSync(`${next}/product.json`, `${JSON.stringify(contents, null, 2)}\n`);
if (existsSync('dist')) renameSync('dist', previous);
renameSync(next, 'dist');
rmSync(previous, { recursive: true, force: true });
