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
    // Six tenures: the first, and one for each move.
    expect(audit.tenures).toHaveLength(moved.length + 1);
    await eventually('no process is left', () => remains(pid).length === 0, 10_000);
  },
  LIMIT_MS + 20_000,
);
