/** What a takeover may take for ended: only what it has seen to be. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import { instant } from '../../../src/core/index.ts';
import { endReceives, RECEIVE_MARK, register } from '../../../src/replication/receiver/index.ts';
import { Zfs } from '../../../src/replication/receiver/zfs.ts';
import type { CommandOptions } from '../../../src/resources/index.ts';

let dataDir: string;
let directory: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'quorate-registry-'));
  directory = join(dataDir, 'replication', 'receiving');
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(dataDir, { recursive: true });
});

const soon = (ms = 2000) => instant(systemClock.now() + ms);
const place = (name: string, text: string): void => {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, name), text);
};
const DEAD = { pid: 2 ** 22 + 1, startTime: '1' };
const entry = (dataset: string) =>
  JSON.stringify({ version: 1, dataset, peer: 'a', epoch: 7, owner: DEAD, child: null });

it('what cannot be read is not taken for ended, and stays', async () => {
  mkdirSync(join(directory, '0.json'), { recursive: true });
  await expect(endReceives(dataDir, soon())).rejects.toThrow(/EISDIR/);
  expect(readdirSync(directory)).toEqual(['0.json']);
  rmSync(join(dataDir, 'replication'), { recursive: true });
  mkdirSync(join(dataDir, 'replication'));
  writeFileSync(directory, '');
  await expect(endReceives(dataDir, soon())).rejects.toThrow(/ENOTDIR/);
});

it('what another version has registered is not taken for ended, and stays', async () => {
  place('0.json', '{"version": 2, "runs": true}');
  await expect(endReceives(dataDir, soon())).rejects.toThrow(/0\.json is not understood/);
  expect(readdirSync(directory)).toEqual(['0.json']);
});

it('what is dead, and what a power cut has left, is nothing', async () => {
  place('0.json', '');
  place('1.json', '\0\0\0');
  place('2.json', entry('tank/x'));
  expect(await endReceives(dataDir, soon())).toEqual({ kind: 'ended', count: 0 });
  expect(readdirSync(directory)).toEqual([]);
});

it('one that lives is seen behind any number of dead ones', async () => {
  await register(dataDir, { dataset: 'tank/x', peer: 'a', epoch: 7 });
  // Before it, whatever its name is.
  for (let number = 0; number < 600; number++)
    place(`${'0'.repeat(20)}${String(number).padStart(12, '0')}.json`, entry(`tank/${number}`));
  expect(await endReceives(dataDir, soon(0))).toEqual({ kind: 'left', datasets: ['tank/x'] });
}, 60_000);

it('a change that has outlived who started it is ended too', async () => {
  let asked: CommandOptions | undefined;
  const run = async (_command: readonly string[], options: CommandOptions) => {
    asked = options;
    return { kind: 'exited', code: 0, stdout: '', stderr: '' } as const;
  };
  const zfs = new Zfs({ dataDir, commands: { run }, clock: systemClock });
  await zfs.change(['rename', 'tank/x', 'tank/y'], new AbortController().signal);
  expect(asked?.environment).toMatchObject({ [RECEIVE_MARK]: dataDir });
  const child = spawn('sleep', ['60'], { env: { ...process.env, ...asked?.environment }, stdio: 'ignore' });
  children.push(child);
  await once(child, 'spawn');
  const exited = once(child, 'exit');
  expect(await endReceives(dataDir, soon())).toEqual({ kind: 'ended', count: 1 });
  await exited;
});
