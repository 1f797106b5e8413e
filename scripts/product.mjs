// Which files of a build a host needs, and which packages they were made of: the archive and the Debian package are made
// from this list, so that neither has what only a checkout runs.

import { readFileSync } from 'node:fs';

const PACKAGE = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*\/node_modules\/)/;

/**
 * `files`: of the build's folder, without the maps; `beside` are those that no bundle names. `external`: folders of node_modules that lie beside it. `packages`: folders of
 * node_modules whose code is in either, for their licences.
 */
export function productOf({ metafile, folder, bundles, page, beside: others, external }) {
  const files = new Set();
  const inputs = new Set(Object.keys(page.metafile.inputs));
  const add = (name) => {
    if (files.has(name)) return;
    files.add(name);
    const output = metafile.outputs[`${folder}/${name}`];
    for (const input of Object.keys(output.inputs)) inputs.add(input);
    for (const { path, external: isExternal } of output.imports)
      if (!isExternal) add(path.slice(folder.length + 1));
  };
  for (const name of bundles) add(name);
  const beside = withDependencies(external);
  const bundled = [...inputs].flatMap((input) => folderOf(input) ?? []);
  return {
    files: [...files, ...others, page.file].sort(),
    external: beside,
    packages: [...new Set([...bundled, ...beside])].sort(),
  };
}

/** A package may be there twice, in two versions. */
function folderOf(input) {
  const match = PACKAGE.exec(input);
  return match === null ? null : input.slice(0, match.index + match[0].length - 1);
}

function withDependencies(names) {
  const found = new Set();
  const add = (name) => {
    const folder = `node_modules/${name}`;
    if (found.has(folder)) return;
    found.add(folder);
    const { dependencies = {} } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
    for (const needed of Object.keys(dependencies)) add(needed);
  };
  for (const name of names) add(name);
  return [...found].sort();
}
