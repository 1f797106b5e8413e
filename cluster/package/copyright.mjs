// Prints the package's copyright file: our licence, and those of the packages whose code it contains.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));
const { packages } = JSON.parse(readFileSync('dist/product.json', 'utf8'));
/** Of LevelDB and snappy, which are compiled into classic-level. */
const COMPILED_IN = {
  'node_modules/classic-level': ['deps/leveldb/leveldb-1.20/LICENSE', 'deps/snappy/snappy/COPYING'],
};
const APACHE = 'Apache License 2.0: see /usr/share/common-licenses/Apache-2.0';

/** Text of a licence to the names of what is under it. */
const under = new Map();
const add = (name, text) => under.set(text, [...(under.get(text) ?? []), name]);
for (const folder of packages) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const label = `${name} ${version}`;
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying)/i.test(file));
  // Debian has the text of that one; copies of it are not wanted.
  if (license === 'Apache-2.0') add(label, APACHE);
  else if (files.length === 0) throw new Error(`${folder} has no text of its licence (${license})`);
  else for (const file of files) add(label, readFileSync(join(folder, file), 'utf8').trim());
  for (const file of readdirSync(folder).filter((each) => /^notice/i.test(each)))
    add(`${label} (notice)`, readFileSync(join(folder, file), 'utf8').trim());
  for (const file of COMPILED_IN[folder] ?? [])
    add(`${label}, ${file.split('/').at(-2)}`, readFileSync(join(folder, file), 'utf8').trim());
}
const rule = '-'.repeat(80);
const sections = [...under].map(([text, names]) => `${rule}\n${names.join('\n')}\n\n${text}\n`);
process.stdout.write(`Quorate: copyright the contributors of Quorate. ${APACHE}

The programs contain code of the packages below, each under its own licence.

${sections.join('\n')}`);
