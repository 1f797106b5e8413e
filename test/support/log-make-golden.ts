/**
 * Writes the golden files of the present log format. Run once for a new format version, never again for an old one: old
 * bytes must go on opening. Refuses to overwrite. Run like log-latency.ts.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { logIndex, nodeId, term } from '../../src/core/index.ts';
import { encodeEntry, LogStore, sha256 } from '../../src/log/index.ts';
import { chain, SAMPLE_BODIES } from './log-fixtures.ts';

const [golden, version] = ['test/log/golden', 'v1'];
const write = (name: string, value: unknown) =>
  writeFile(join(golden, `${name}.${version}.golden.json`), `${JSON.stringify(value, null, 1)}\n`, {
    flag: 'wx',
  });

const entries = chain([], 2, SAMPLE_BODIES);
await write(
  'entries',
  entries.map((entry) => ({ bytes: Buffer.from(encodeEntry(entry)).toString('hex'), entry })),
);

const directory = await mkdtemp('.local/golden-');
const { store } = await LogStore.open(directory, { digest: sha256 });
const state = { term: term(2), votedFor: nodeId('a'), commitIndex: logIndex(5), damaged: null };
await store.persist([{ id: 1, hardState: state, entries: entries.slice(0, 9) }]);
const hardState = { ...state, term: term(3), damaged: { markerIndex: logIndex(40), markerTerm: term(2) } };
await store.persist([{ id: 2, hardState, entries: entries.slice(9) }]);
const files: Record<string, string> = {};
for (const name of ['FORMAT', 'marker'])
  files[name] = (await readFile(join(directory, name))).toString('base64');
for (const name of await readdir(join(directory, 'level')))
  if (!/^LO/.test(name))
    files[`level/${name}`] = (await readFile(join(directory, 'level', name))).toString('base64');
await write('data-directory', { hardState, entries, files });
await store.close();
await rm(directory, { recursive: true });
