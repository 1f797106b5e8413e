import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { QuorateError } from '../../src/errors.ts';
import { LogStore, type RecoveredLog, sha256, verifyDirectory } from '../../src/log/index.ts';

interface Acknowledged {
  readonly log: readonly string[];
  readonly term: number;
  readonly votedFor: string;
}

const root = join(import.meta.dirname, '../..');
let work: string;
let child: string;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'quorate-killed-'));
  // In the checkout, where packages are found; ignored by git.
  child = join(root, '.local', `log-child-${process.pid}.mjs`);
  await build({
    entryPoints: [join(root, 'test/support/log-child.ts')],
    outfile: child,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
  });
});
afterAll(async () => {
  await rm(work, { recursive: true, force: true });
  await rm(child, { force: true });
});

/** Runs the writer, kills it after so many acknowledged writes, and returns what it was promised last. */
async function writeAndKill(directory: string, writes: number): Promise<Acknowledged> {
  const writer = spawn(process.execPath, [child, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(writer, 'exit');
  const lines: string[] = [];
  for await (const line of createInterface({ input: writer.stdout })) {
    lines.push(line);
    if (lines.length === writes) writer.kill('SIGKILL');
  }
  await exited;
  expect(lines.length).toBeGreaterThanOrEqual(writes);
  // A line that the kill cut is not an acknowledgement that anybody heard.
  for (const line of lines.reverse()) {
    try {
      return JSON.parse(line);
    } catch {}
  }
  throw new Error('the writer said nothing');
}

async function reopen(directory: string): Promise<RecoveredLog | QuorateError> {
  try {
    const { store, recovered } = await LogStore.open(directory, { digest: sha256 });
    await store.close();
    return recovered;
  } catch (error) {
    if (error instanceof QuorateError) return error;
    throw error;
  }
}

function expectNothingLost(recovered: RecoveredLog, acknowledged: Acknowledged): void {
  const hashes = recovered.entries.map(({ hash }) => hash);
  const { term, votedFor } = recovered.hardState;
  // The write after the last acknowledged one may have ended too; it may be the conflict of a newer term.
  if (term === acknowledged.term) {
    expect(hashes.slice(0, acknowledged.log.length)).toEqual(acknowledged.log);
    expect(votedFor).toBe(acknowledged.votedFor);
  } else {
    expect(term).toBe(acknowledged.term + 1);
    expect(hashes.slice(0, acknowledged.log.length - 3)).toEqual(acknowledged.log.slice(0, -3));
  }
}

async function flippedCopy(directory: string, file: string, offset: number): Promise<string> {
  const copy = await mkdtemp(join(work, 'flipped-'));
  await cp(directory, copy, { recursive: true });
  const path = join(copy, file);
  const bytes = await readFile(path);
  bytes[offset] = (bytes[offset] ?? 0) ^ 0x10;
  await writeFile(path, bytes);
  return copy;
}

const SAMPLES = 40;
/** Offsets all over a file: both ends, and evenly in between. */
function offsets(length: number): number[] {
  const between = Array.from({ length: SAMPLES }, (_, number) => Math.floor((number * length) / SAMPLES));
  return [...new Set([...between, 1, 7, length - 200, length - 1])].filter((at) => at >= 0 && at < length);
}

async function flipEverywhere(directory: string, pattern: RegExp, acknowledged: Acknowledged) {
  const outcomes: Record<string, number> = {};
  const files = (await readdir(join(directory, 'level'))).map((name) => join('level', name));
  for (const file of [...files, 'marker'].filter((name) => pattern.test(name))) {
    const { length } = await readFile(join(directory, file));
    for (const offset of offsets(length)) {
      const copy = await flippedCopy(directory, file, offset);
      const result = await reopen(copy);
      const outcome = result instanceof QuorateError ? result.code : result.status;
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      if (result instanceof QuorateError) {
        expect(['log-unreadable', 'hard-state-unreadable']).toContain(result.code);
      } else if (result.status === 'clean') {
        expectNothingLost(result, acknowledged);
      } else {
        expect(result.status).toBe('damaged');
        expect(result.hardState.term).toBeGreaterThanOrEqual(acknowledged.term);
        expect(result.damage?.markerIndex).toBeGreaterThanOrEqual(acknowledged.log.length - 3);
        // D3: what LevelDB dropped can still be looked at.
        if (/\.log$/.test(file)) expect(await readdir(join(copy, 'salvage'))).not.toEqual([]);
        // And the next open says the same: nothing hides the damage but a persist that ends it.
        expect(await reopen(copy)).toMatchObject({ status: 'damaged', damage: result.damage });
      }
      await rm(copy, { recursive: true });
    }
  }
  return outcomes;
}

describe('D1: a killed writer', () => {
  let directory: string;
  let acknowledged: Acknowledged;
  beforeAll(async () => {
    directory = await mkdtemp(join(work, 'log-'));
    acknowledged = await writeAndKill(directory, 150);
  });

  test('has lost nothing, however often it is killed', async () => {
    const again = await mkdtemp(join(work, 'again-'));
    for (const writes of [1, 3, 40, 2, 25]) {
      const promised = await writeAndKill(again, writes);
      const { recovered, problems } = await verifyDirectory(again, sha256);
      expect(recovered).toMatchObject({ status: 'clean', problems: [] });
      expect(problems).toEqual([]);
      if (recovered !== null) expectNothingLost(recovered, promised);
    }
  });

  test("one flipped byte in LevelDB's own log is never a silent loss", async () => {
    const outcomes = await flipEverywhere(directory, /level\/\d+\.log$/, acknowledged);
    // LevelDB dropped something without a word, or else this test looks at nothing.
    expect(outcomes).toHaveProperty('damaged');
    expect(outcomes).not.toHaveProperty('empty');
  }, 120_000);

  test("nor is one in LevelDB's tables, its manifest, or the marker", async () => {
    const settled = join(work, 'settled');
    await cp(directory, settled, { recursive: true });
    for (let times = 0; times < 2; times++) expect(await reopen(settled)).toMatchObject({ status: 'clean' });
    expect((await readdir(join(settled, 'level'))).some((name) => name.endsWith('.ldb'))).toBe(true);
    const tables = await flipEverywhere(settled, /\.ldb$/, acknowledged);
    expect(tables).toHaveProperty('damaged');
    const others = await flipEverywhere(settled, /MANIFEST|CURRENT|marker/, acknowledged);
    expect(others).not.toHaveProperty('empty');
  }, 120_000);
});
