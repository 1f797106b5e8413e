import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LogStore, type LogStoreOptions, sha256, verifyDirectory } from '../../src/log/index.ts';
import { ScriptedNode } from '../support/log-fixtures.ts';

let parent: string;
let directory: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'quorate-log-test-'));
  directory = join(parent, 'data');
});
afterEach(() => rm(parent, { recursive: true, force: true }));

const open = (options: Partial<LogStoreOptions> = {}) =>
  LogStore.open(directory, { digest: sha256, ...options });

test('D2: a new directory is empty, and what was persisted is there after a restart', async () => {
  const first = await open();
  expect(first.recovered).toMatchObject({ status: 'empty', entries: [], damage: null, problems: [] });
  const node = new ScriptedNode();
  await first.store.persist([node.vote()]);
  await first.store.persist([node.append(3), node.append(2)]);
  await first.store.persist([node.commit(4)]);
  await first.store.close();

  const second = await open();
  expect(second.recovered).toEqual({
    status: 'clean',
    hardState: node.hardState,
    entries: node.log,
    damage: null,
    problems: [],
  });
  await second.store.close();
  expect((await readdir(directory)).sort()).toEqual(['FORMAT', 'level', 'lock', 'marker', 'salvage']);
  expect(await readdir(join(directory, 'salvage'))).toEqual([]);
});

test('D1: a conflict replaces and shortens the log, also inside one merged write', async () => {
  const { store } = await open();
  const node = new ScriptedNode();
  await store.persist([node.vote(), node.append(10)]);
  await store.persist([node.vote(), node.append(5), node.replaceFrom(4, 3)]);
  await store.close();
  const { recovered, store: again } = await open();
  expect(recovered.entries).toEqual(node.log);
  expect(recovered.status).toBe('clean');
  await again.close();
  expect((await verifyDirectory(directory, sha256)).problems).toEqual([]);
});

test('calls that arrive during a write are merged, and all of them are durable', async () => {
  let batches = 0;
  const { store } = await open({
    wrapMedium: (medium) => ({
      ...medium,
      writeBatch: (batch) => {
        batches += 1;
        return medium.writeBatch(batch);
      },
    }),
  });
  const node = new ScriptedNode();
  await Promise.all(Array.from({ length: 50 }, () => store.persist([node.append()])));
  expect(batches).toBe(2);
  await store.close();
  const { recovered, store: again } = await open();
  expect(recovered.entries).toEqual(node.log);
  await again.close();
});
