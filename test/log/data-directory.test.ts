import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
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

async function written(): Promise<ScriptedNode> {
  const node = new ScriptedNode();
  const { store } = await open();
  await store.persist([node.vote(), node.append(5)]);
  await store.persist([node.commit(5)]);
  await store.close();
  return node;
}

async function fingerprint(path: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const item of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (!item.isFile()) continue;
    const file = join(item.parentPath, item.name);
    found[file] = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
  }
  return found;
}

describe('a data directory is refused with its path', () => {
  test('its parent is missing', async () => {
    directory = join(parent, 'missing', 'data');
    await expect(open()).rejects.toMatchObject({
      code: 'data-directory-unwritable',
      message: expect.stringContaining(directory),
      exitCode: 1,
    });
  });

  test('it is a file', async () => {
    await writeFile(directory, '');
    await expect(open()).rejects.toMatchObject({ code: 'data-directory-unwritable' });
  });

  test.skipIf(process.getuid?.() === 0)('it cannot be written', async () => {
    await mkdir(directory);
    await chmod(directory, 0o500);
    await expect(open()).rejects.toMatchObject({ code: 'data-directory-unwritable' });
  });

  test('another agent has it, and goes on undisturbed', async () => {
    const node = new ScriptedNode();
    const { store } = await open();
    await expect(open()).rejects.toMatchObject({ code: 'data-directory-locked', exitCode: 1 });
    expect(await readdir(directory)).not.toContain('salvage');
    await store.persist([node.append()]);
    await store.close();
  });

  test('its format is unknown', async () => {
    await written();
    await writeFile(join(directory, 'FORMAT'), 'quorate-log 2\n');
    const before = await fingerprint(directory);
    await expect(open()).rejects.toMatchObject({
      code: 'log-format-unknown',
      message: expect.stringContaining('quorate-log 2'),
      exitCode: 12,
    });
    await expect(verifyDirectory(directory, sha256)).rejects.toMatchObject({ code: 'log-format-unknown' });
    expect(await fingerprint(directory)).toEqual(before);
  });
});

describe('D3: a database that cannot be opened', () => {
  const losses: Record<string, (level: string) => Promise<unknown>> = {
    CURRENT: (level) => rm(join(level, 'CURRENT')),
    MANIFEST: async (level) => {
      for (const name of await readdir(level)) if (name.startsWith('MANIFEST')) await rm(join(level, name));
    },
    'everything of level': (level) => rm(level, { recursive: true }),
  };
  const data = async () =>
    (await readdir(directory, { recursive: true }))
      .filter((name) => /(level|salvage).*\d+\.(log|ldb)$/.test(name))
      .map(nameOf);
  const nameOf = (path: string) => path.split('/').at(-1) ?? '';

  test.each(Object.entries(losses))('without %s: set aside, and the node is damaged', async (_, lose) => {
    const node = await written();
    await lose(join(directory, 'level'));
    const before = await data();
    const { store, recovered } = await open();
    expect(recovered).toMatchObject({
      status: 'damaged',
      entries: [],
      damage: { markerIndex: 5, markerTerm: 1 },
      hardState: { term: 1, votedFor: 'b', commitIndex: 0 },
    });
    expect(await data()).toEqual(expect.arrayContaining(before));
    // The leader sends everything again.
    const healed = { ...node.hardState, damaged: null };
    await store.persist([{ id: 1, hardState: healed, entries: node.log }]);
    await store.close();
    const again = await open();
    expect(again.recovered).toMatchObject({ status: 'clean', entries: node.log, problems: [] });
    await again.store.close();
  });

  test('and no marker: refused, nothing is moved', async () => {
    await written();
    await rm(join(directory, 'level', 'CURRENT'));
    await rm(join(directory, 'marker'));
    const before = await data();
    await expect(open()).rejects.toMatchObject({ code: 'log-unreadable', exitCode: 12 });
    expect(await data()).toEqual(before);
  });
});

describe('D2: a creation that a power cut ended goes on', () => {
  const states: Record<string, () => Promise<unknown>> = {
    'an empty directory': () => mkdir(directory),
    'an empty level': () => mkdir(join(directory, 'level'), { recursive: true }),
    'no marker': async () => {
      await (await open()).store.close();
      await rm(join(directory, 'FORMAT'));
      await rm(join(directory, 'marker'));
    },
    'a short marker': async () => {
      await (await open()).store.close();
      await rm(join(directory, 'FORMAT'));
      await truncate(join(directory, 'marker'), 5000);
    },
    'a half FORMAT': async () => {
      await (await open()).store.close();
      await rm(join(directory, 'FORMAT'));
      await writeFile(join(directory, 'FORMAT.new'), 'quor');
    },
  };
  test.each(Object.entries(states))('%s', async (_, prepare) => {
    await prepare();
    const { store, recovered } = await open();
    expect(recovered).toMatchObject({ status: 'empty', problems: [] });
    await store.persist([new ScriptedNode().append(2)]);
    await store.close();
    const again = await open();
    expect(again.recovered).toMatchObject({ status: 'clean', problems: [] });
    expect((await readFile(join(directory, 'marker'))).length).toBe(8192);
    await again.store.close();
  });
});

test('a hurt lock database does not matter', async () => {
  const node = await written();
  await writeFile(join(directory, 'lock', 'CURRENT'), 'MANIFEST-999999\n');
  const { store, recovered } = await open();
  expect(recovered).toMatchObject({ status: 'clean', entries: node.log, problems: [] });
  await expect(open()).rejects.toMatchObject({ code: 'data-directory-locked' });
  await store.close();
});

test('D2: a table that a power cut left half written, and that nothing refers to, is no damage', async () => {
  const node = await written();
  await writeFile(join(directory, 'level', '000099.ldb'), 'half a table');
  const { store, recovered } = await open();
  expect(recovered).toMatchObject({ status: 'clean', entries: node.log, problems: [] });
  await store.close();
});

test.each(['marker', 'FORMAT'])(
  'without its file %s a log opens with a problem, and is whole again',
  async (name) => {
    const node = await written();
    await rm(join(directory, name));
    const { store, recovered } = await open();
    expect(recovered).toMatchObject({ status: 'clean', entries: node.log });
    expect(recovered.problems.join()).toMatch(/missing/);
    await store.persist([node.append(), node.append()]);
    await store.persist([node.append()]);
    await store.close();
    const again = await open();
    expect(again.recovered).toMatchObject({ status: 'clean', entries: node.log, problems: [] });
    await again.store.close();
  },
);

describe('read-only', () => {
  test('changes nothing and refuses to write', async () => {
    const node = await written();
    const before = await fingerprint(directory);
    const { store, recovered } = await open({ readOnly: true });
    expect(recovered).toMatchObject({ status: 'clean', entries: node.log });
    await expect(store.persist([node.vote()])).rejects.toThrow(/read-only/);
    await store.close();
    expect(await verifyDirectory(directory, sha256)).toMatchObject({
      entries: recovered.entries,
      problems: [],
    });
    expect(await fingerprint(directory)).toEqual(before);
  });

  test('leaves the lock of a store in the same process alone', async () => {
    const { store } = await open();
    await store.persist([new ScriptedNode().append()]);
    await verifyDirectory(directory, sha256);
    await expect(open()).rejects.toMatchObject({ code: 'data-directory-locked' });
    await store.close();
  });

  test('says that there is no log', async () => {
    await expect(open({ readOnly: true })).rejects.toMatchObject({ code: 'data-directory-missing' });
    await expect(verifyDirectory(parent, sha256)).rejects.toMatchObject({ code: 'data-directory-missing' });
  });
});
