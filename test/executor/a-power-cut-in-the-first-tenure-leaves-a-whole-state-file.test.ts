/**
 * Found in the lab: the first `begunEpoch` of a node was renamed into place without a sync. The next fsync of the agent's
 * log made the rename durable, not the content; after a power cut the file was empty, and the node never started again.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
        calls.push(`sync ${String(words[0]).split('/').at(-1)}`);
        await sync();
      };
      return file;
    },
    rename: async (...words: Parameters<typeof real.rename>) => {
      calls.push(`rename ${String(words[0]).split('/').at(-1)}`);
      await real.rename(...words);
    },
  };
});
const { StateFile } = await import('../../src/executor/state-file.ts');

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-state-'));
  calls.length = 0;
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it.each(['written', 'durable'] as const)('%s: the content is synced before it gets the name', async (how) => {
  await StateFile.open(directory).update({ begunEpoch: 3, begunTerm: 1 }, how);
  expect(calls.slice(0, 2)).toEqual(['sync executor-state.json.new', 'rename executor-state.json.new']);
});
