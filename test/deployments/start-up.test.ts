/**
 * What the programs load before they do anything, from esbuild's own account. Every kilobyte is compiled at each start, and
 * where the processor is a program a start takes 20 times as long. A limit that is reached by what is needed may be raised;
 * what is named must not come in by accident.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Metafile, type Plugin } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundle } from '../../scripts/bundle.mjs';
import { shakeable } from '../../scripts/shakeable.mjs';
import { whereTheyDiffer } from './support/alike.ts';

const BUNDLING_LIMIT_MS = 120_000;
const OUT = join('/', 'nowhere');

const account = (entry: string): Promise<Metafile> => bundle({ program: entry }, OUT, false);

/** The sources, with their size, that the output of `entry` loads by itself: not those behind an `import()`. */
function loadedBy({ outputs }: Metafile, entry: string): Map<string, number> {
  const loaded = new Map<string, number>();
  const seen = new Set<string>();
  const visit = (name: string): void => {
    const output = outputs[name];
    if (output === undefined || seen.has(name)) return;
    seen.add(name);
    for (const [input, { bytesInOutput }] of Object.entries(output.inputs)) loaded.set(input, bytesInOutput);
    for (const { path, kind, external } of output.imports)
      if (kind === 'import-statement' && external !== true) visit(path);
  };
  const [name] = Object.entries(outputs).find(([, { entryPoint }]) => entryPoint === entry) ?? [];
  expect(name, `an output of ${entry}`).toBeDefined();
  visit(name ?? '');
  return loaded;
}

const kilobytes = (loaded: ReadonlyMap<string, number>): number =>
  [...loaded.values()].reduce((sum, bytes) => sum + bytes, 0) / 1_000;
const namesOf = (loaded: ReadonlyMap<string, number>, part: string): string[] =>
  [...loaded].filter(([name, bytes]) => bytes > 0 && name.includes(part)).map(([name]) => name);

describe('what is loaded at the start', () => {
  test.each([
    { entry: 'src/executor/spawn-helper.ts', limit: 20, without: ['node_modules/'] },
    { entry: 'src/alerts/worker.ts', limit: 30, without: ['node_modules/'] },
    { entry: 'src/executor/guard.ts', limit: 650, without: ['/yaml/', '/pino/', '@grpc/', '@aws-sdk/'] },
    {
      entry: 'src/executor/main.ts',
      limit: 1_150,
      without: ['@grpc/', '@aws-sdk/', '@smithy/', 'src/doctor/', 'src/peer/'],
    },
    { entry: 'src/receiver/main.ts', limit: 2_000, without: ['@aws-sdk/', 'src/doctor/', '/x509/'] },
  ])('$entry: at most $limit kB, and nothing of $without', { timeout: BUNDLING_LIMIT_MS }, async (one) => {
    const loaded = loadedBy(await account(one.entry), one.entry);
    expect(kilobytes(loaded)).toBeLessThan(one.limit);
    for (const part of one.without) expect(namesOf(loaded, part)).toEqual([]);
  });
});

describe('of the command', () => {
  let all: Metafile;
  beforeAll(async () => {
    all = await account('src/cli/main.ts');
  }, BUNDLING_LIMIT_MS);

  test("DRBD's handler needs nothing but itself: all I/O is suspended while it starts", () => {
    expect(kilobytes(loadedBy(all, 'src/cli/fence-peer.ts'))).toBeLessThan(10);
    expect(kilobytes(loadedBy(all, 'src/cli/main.ts'))).toBeLessThan(5);
  });

  test('the agent loads no cloud, no mail, and nothing that makes certificates', () => {
    const loaded = loadedBy(all, 'src/agent/index.ts');
    for (const part of ['@aws-sdk/', '@smithy/', '/nodemailer/', '/x509/', 'src/doctor/'])
      expect(namesOf(loaded, part)).toEqual([]);
    expect(kilobytes(loaded)).toBeLessThan(2_900);
  });

  test('the EC2 client is there with the shapes of our calls only', () => {
    const loaded = loadedBy(all, 'src/resources/ec2-client.ts');
    const shapes = namesOf(loaded, 'client-ec2/dist-es/schemas/');
    expect(shapes).toHaveLength(1);
    expect(loaded.get(shapes[0] ?? '')).toBeLessThan(200_000);
  });

  test('of the languages of zod English alone', () => {
    const languages = Object.values(all.outputs).flatMap(({ inputs }) =>
      Object.keys(inputs).filter((name) => name.includes('zod/v4/locales/')),
    );
    expect([...new Set(languages)].map((name) => name.split('/').at(-1))).toEqual(['en.js']);
  });
});

describe('what is rewritten as it is bundled means the same', () => {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-shapes-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  async function shapesOf(client: string, name: string, plugins: Plugin[]) {
    const outfile = join(directory, `${client}-${name}.mjs`);
    await build({
      absWorkingDir: fileURLToPath(new URL('../..', import.meta.url)),
      entryPoints: [`node_modules/@aws-sdk/${client}/dist-es/schemas/schemas_0.js`],
      ...{ outfile, bundle: true, format: 'esm', platform: 'node', target: 'node20' },
      ...{ mainFields: ['module', 'main'], logLevel: 'warning', plugins },
      banner: {
        js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
      },
    });
    const found: Record<string, unknown> = await import(pathToFileURL(outfile).href);
    return { text: await readFile(outfile, 'utf8'), exports: { ...found } };
  }

  test.each([
    { client: 'client-ec2', atLeast: 3_000 },
    { client: 'client-elastic-load-balancing-v2', atLeast: 200 },
  ])('the shapes of $client', { timeout: BUNDLING_LIMIT_MS }, async ({ client, atLeast }) => {
    const plain = await shapesOf(client, 'plain', []);
    const rewritten = await shapesOf(client, 'rewritten', [shakeable]);
    const keys = /\[_\w+\]:/g;
    expect(plain.text.match(keys)?.length ?? 0).toBeGreaterThan(0);
    expect(rewritten.text.match(keys)).toBeNull();
    expect(Object.keys(plain.exports).length).toBeGreaterThan(atLeast);
    expect(whereTheyDiffer(plain.exports, rewritten.exports)).toBeNull();
    // What is compared: a key or a text that is another one is found, however deep.
    const [last = ''] = Object.keys(plain.exports).slice(-1);
    const forged = structuredClone(Object.values(plain.exports).find(Array.isArray)?.slice(0, 3));
    expect(whereTheyDiffer(plain.exports, { ...rewritten.exports, [last]: forged })).toContain(last);
  });
});
