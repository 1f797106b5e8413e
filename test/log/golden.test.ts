import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Entry } from '../../src/core/index.ts';
import { decodeEntry, encodeEntry, LogStore, sha256, verifyDirectory } from '../../src/log/index.ts';
import { SAMPLE_BODIES } from '../support/log-fixtures.ts';

const golden = async (name: string) =>
  JSON.parse(await readFile(join(import.meta.dirname, 'golden', name), 'utf8'));

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quorate-golden-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test('entry records of version 1 still open, and are still written so', async () => {
  const samples: { bytes: string; entry: Entry }[] = [
    ...(await golden('entries.v1.golden.json')),
    ...(await golden('later-entries.v1.golden.json')),
    ...(await golden('schedule-entries.v1.golden.json')),
  ];
  expect(new Set(samples.map(({ entry }) => entry.body.kind))).toEqual(
    new Set(SAMPLE_BODIES.map(({ kind }) => kind)),
  );
  for (const { bytes, entry } of samples) {
    expect(decodeEntry(Buffer.from(bytes, 'hex'), sha256)).toEqual(entry);
    expect(Buffer.from(encodeEntry(entry)).toString('hex')).toBe(bytes);
  }
});

test('a data directory of version 1 still opens', async () => {
  const { hardState, entries, files } = await golden('data-directory.v1.golden.json');
  await mkdir(join(directory, 'level'));
  for (const [name, content] of Object.entries(files as Record<string, string>))
    await writeFile(join(directory, name), Buffer.from(content, 'base64'));
  const { recovered } = await verifyDirectory(directory, sha256);
  const { store, recovered: opened } = await LogStore.open(directory, { digest: sha256 });
  await store.close();
  expect(opened).toEqual({
    status: 'damaged',
    hardState,
    entries,
    damage: hardState.damaged,
    problems: [],
  });
  expect(recovered).toEqual(opened);
});
