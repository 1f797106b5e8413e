// What a process loads at its start and never uses costs start-up time: seconds, where the processor is a program.
// esbuild leaves out what nobody uses as far as it can see that. In two packages it cannot; here they are rewritten, as they
// are bundled, to mean the same. That this still works with a newer version of them: test/deployments/start-up.test.ts.

import { readFile } from 'node:fs/promises';

/** `z` as a binding is one object with everything in it, fifty languages too (730 kB); of a namespace only what is used is left (190). */
const ZOD_AS_BINDING = /^import \{ z \} from 'zod';$/m;
const ZOD_AS_NAMESPACE = "import * as z from 'zod';";

/**
 * The EC2 client has one table of all its shapes (1 MB; those of our twelve calls are 90 kB). Its keys are written `[_NAME]`, with
 * `const _NAME = "text"`, and esbuild takes any such key for code that may do something.
 */
const SHAPE_KEY = /\[(_\w+)\]:/g;
const SHAPE_NAME = /^const (_\w+) = ("[^"\\]*");$/gm;

/** @param {string} text */
function withPlainKeys(text) {
  const names = new Map([...text.matchAll(SHAPE_NAME)].map(([, name, value]) => [name, value]));
  return text.replaceAll(SHAPE_KEY, (key, name) => (names.has(name) ? `${names.get(name)}:` : key));
}

/** esbuild's plugin. */
export const shakeable = {
  name: 'shakeable',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      if (!ZOD_AS_BINDING.test(text)) return null;
      return { contents: text.replace(ZOD_AS_BINDING, ZOD_AS_NAMESPACE), loader: 'ts' };
    });
    onLoad(
      { filter: /\/node_modules\/@aws-sdk\/client-[\w-]+\/dist-es\/schemas\/[\w-]+\.js$/ },
      async ({ path }) => ({ contents: withPlainKeys(await readFile(path, 'utf8')), loader: 'js' }),
    );
  },
};
