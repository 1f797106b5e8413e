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

test('a write leaves the event loop to what its turn has sent, and begins when that is done', async () => {
  const order: string[] = [];
  const { store } = await open({
    wrapMedium: (medium) => ({
      ...medium,
      writeBatch: (batch) => {
        order.push('write');
        return medium.writeBatch(batch);
      },
    }),
  });
  const persisted = store.persist([new ScriptedNode().vote()]);
  // As HTTP/2 does: some promises later, at the end of the turn.
  for (let step = 0; step < 10; step += 1) await null;
  order.push('sent');
  await persisted;
  expect(order).toEqual(['sent', 'write']);
  await store.close();
});

test('calls of one turn, and calls that arrive during a write, are merged, and all of them are durable', async () => {
  let batches = 0;
  let begun: () => void = () => {};
  const begins = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const { store } = await open({
    wrapMedium: (medium) => ({
      ...medium,
      writeBatch: (batch) => {
        batches += 1;
        begun();
        return medium.writeBatch(batch);
      },
    }),
  });
  const node = new ScriptedNode();
  const many = () => Array.from({ length: 25 }, () => store.persist([node.append()]));
  const first = many();
  await begins;
  await Promise.all([...first, ...many()]);
  expect(batches).toBe(2);
  await store.close();
  const { recovered, store: again } = await open();
  expect(recovered.entries).toEqual(node.log);
  await again.close();
});
