// Copies the documentation and the examples to where the package has them, with links that lead there.
//
//   node cluster/package/docs.mjs DIRECTORY

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A path of the repository to its place below DIRECTORY. */
const PLACES = [
  ['docs/', ''],
  ['cluster/aws/', 'examples/aws/'],
  ['cluster/vmware/', 'examples/vmware/'],
  ['cluster/host/r0.res', 'examples/r0.res'],
  ['cluster/host/r0-drbd9.res', 'examples/r0-drbd9.res'],
];

const target = process.argv[2];
if (target === undefined || !existsSync(target)) {
  process.stderr.write('docs.mjs: the directory to copy to is needed\n');
  process.exit(2);
}
process.chdir(fileURLToPath(new URL('../..', import.meta.url)));

for (const [from] of PLACES)
  for (const path of filesOf(from)) {
    const place = placeOf(path);
    mkdirSync(dirname(join(target, place)), { recursive: true });
    if (path.endsWith('.md')) writeFileSync(join(target, place), withLinks(path, place));
    else if (path.endsWith('.res'))
      writeFileSync(
        join(target, place),
        readFileSync(path, 'utf8').replaceAll('/usr/local/bin/quorate', '/usr/bin/quorate'),
      );
    else cpSync(path, join(target, place));
  }

function filesOf(from) {
  if (!from.endsWith('/')) return [from];
  return readdirSync(from, { recursive: true, encoding: 'utf8' })
    .map((name) => join(from, name))
    .filter((path) => statSync(path).isFile());
}

/** Null: the package does not have it. */
function placeOf(path) {
  const found = PLACES.find(([from]) => path === from || (from.endsWith('/') && path.startsWith(from)));
  return found === undefined ? null : found[1] + path.slice(found[0].length);
}

/** A link to what is not there becomes its text. */
function withLinks(path, place) {
  return readFileSync(path, 'utf8').replaceAll(
    /\[([^\]]*)\]\(([^)\s#]+)(#[^)]*)?\)/g,
    (whole, text, link, part = '') => {
      if (/^[a-z]+:/.test(link)) return whole;
      const led = placeOf(normalize(join(dirname(path), link)));
      return led === null ? text : `[${text}](${relative(dirname(place), led)}${part})`;
    },
  );
}
