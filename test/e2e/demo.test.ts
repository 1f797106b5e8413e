/** `scripts/demo --json --seed N` as others run it: one document, nothing lost, one holder, no process left. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NODE_VARIABLE } from '../../cluster/local/node/index.ts';
import { BUILT_LIMIT_MS, type Built, built } from './support/built.ts';
import { demo } from './support/contract.ts';
import { eventually } from './support/eventually.ts';

const SEED = '11';
/** 60 s, and what it takes to set up on a busy machine. */
const LIMIT_MS = 90_000;
const EVENTS = [
  'planned switchover',
  'agent killed',
  'power cut',
  'frozen briefly',
  'frozen for long',
  'holder cut off',
  'witness lost',
  'replication cut',
];

let program: Built;
beforeAll(async () => {
  program = await built();
}, BUILT_LIMIT_MS);
afterAll(() => program.remove());

/** Processes of the clusters of this very demo: their names begin with its pid. */
function remains(pid: number): string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      const environment = readFileSync(`/proc/${name}/environ`, 'latin1');
      return environment.split('\0').some((one) => one.startsWith(`${NODE_VARIABLE}=local-${pid}-`));
    } catch {
      return false;
    }
  });
}

/** Whether `wanted` is found in `all` in its order, with others in between. */
function isInOrder(wanted: readonly string[], all: readonly string[]): boolean {
  let found = 0;
  for (const one of all) if (one === wanted[found]) found += 1;
  return found === wanted.length;
}

test(
  'the demo',
  async () => {
    const child = spawn(process.execPath, [join(program.dist, 'demo.mjs'), '--json', '--seed', SEED], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const limit = setTimeout(() => child.kill('SIGTERM'), LIMIT_MS);
    const pid = child.pid ?? 0;
    const [exit] = await once(child, 'close');
    clearTimeout(limit);
    expect(exit, stderr).toBe(0);
    const { writes, maxHolders, events, audit } = demo.parse(JSON.parse(stdout));
    expect(writes.lost).toBe(0);
    expect(writes.acknowledged).toBeGreaterThan(0);
    expect(maxHolders).toBe(1);
    expect(audit).toMatchObject({ ok: true, violations: [] });
    expect(events.map(({ name }) => name)).toEqual(EVENTS);
    const moved = events.filter(({ from, to }) => from !== to).map(({ name }) => name);
    expect(moved).toEqual([
      'planned switchover',
      'agent killed',
      'power cut',
      'frozen for long',
      'holder cut off',
    ]);
    // One tenure for each move, in this order. A machine that stands still for longer than the lease costs a tenure more:
    // that is what the lease is for, and the audit has found no fault with it.
    const holders = audit.tenures.map(({ node }) => node);
    const expected = events.filter(({ from, to }) => from !== to).map(({ to }) => to);
    expect(holders.length, `holders: ${holders.join(', ')}`).toBeGreaterThan(expected.length);
    expect(isInOrder(expected, holders), `moves to ${expected}, holders ${holders}`).toBe(true);
    await eventually('no process is left', () => remains(pid).length === 0, 10_000);
  },
  LIMIT_MS + 20_000,
);
