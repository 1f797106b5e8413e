import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

const calls = vi.hoisted((): string[] => []);
vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs/promises')>();
  return {
    ...real,
    open: async (...words: Parameters<typeof real.open>) => {
      const file = await real.open(...words);
      const sync = file.sync.bind(file);
      file.sync = async () => {
        calls.push(`sync ${basename(String(words[0]))}`);
        await sync();
      };
      return file;
    },
    rename: async (...words: Parameters<typeof real.rename>) => {
      calls.push(`rename ${basename(String(words[0]))}`);
      await real.rename(...words);
    },
    rm: async (...words: Parameters<typeof real.rm>) => {
      calls.push(`remove ${basename(String(words[0]))}`);
      await real.rm(...words);
    },
  };
});
const { removeFile, replaceFile } = await import('../src/durable-file.ts');

let parent: string;
let path: string;
const folder = () => basename(parent);
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'quorate-durable-'));
  path = join(parent, 'file');
  calls.length = 0;
});
afterEach(() => rm(parent, { recursive: true, force: true }));

it('the content is synced before it gets the name, and the name before it counts as durable', async () => {
  await replaceFile(path, 'one', 'durable');
  expect(calls).toEqual(['sync file.new', 'rename file.new', `sync ${folder()}`]);
  calls.length = 0;
  await replaceFile(path, 'two', 'written');
  expect(calls).toEqual(['sync file.new', 'rename file.new']);
  expect(await readFile(path, 'utf8')).toBe('two');
});

it('what a power cut left of an earlier write is written over', async () => {
  await writeFile(`${path}.new`, 'longer than what comes');
  await replaceFile(path, 'one', 'durable');
  expect([await readdir(parent), await readFile(path, 'utf8')]).toEqual([['file'], 'one']);
});

it('a removal is durable when it resolves, and none where there is nothing', async () => {
  await replaceFile(path, 'one', 'durable');
  calls.length = 0;
  await removeFile(path);
  await removeFile(path);
  expect(calls).toEqual(['remove file', `sync ${folder()}`, 'remove file', `sync ${folder()}`]);
  expect(await readdir(parent)).toEqual([]);
});
