/**
 * The quick lane of the lab: three real kernels with real DRBD, the product inside, the holder's power cut under write load.
 * Alone on the machine: it runs in real time.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { whyNoLab, whyNoPackages } from '../../../cluster/lab/prerequisites.ts';
import type { ScenarioResult } from '../../../cluster/lab/stage.ts';
import { BUILT_LIMIT_MS, type Built, built } from '../support/built.ts';

const why = (await whyNoLab('uml')) ?? (await whyNoPackages('uml'));
if (why !== null) console.info(`The test on three real kernels with real DRBD is skipped: ${why}.`);

const RUN_LIMIT_MS = 420_000;

let program: Built;
let folder: string;
beforeAll(async () => {
  if (why !== null) return;
  program = await built();
  folder = mkdtempSync(join(tmpdir(), 'quorate-lab-'));
}, BUILT_LIMIT_MS);
afterAll(() => {
  program?.remove();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

interface Ran {
  readonly pid: number;
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

function lab(words: readonly string[], limitMs: number): Promise<Ran> {
  return new Promise((resolve) => {
    const all = [join(program.dist, 'lab.mjs'), ...words, '--folder', folder];
    const child = execFile(process.execPath, all, { timeout: limitMs }, (error, stdout, stderr) => {
      const exit = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ pid: child.pid ?? 0, exit, stdout, stderr });
    });
  });
}

/** Of the lab that this process made: its guests run in its namespaces, their taps end there. */
const namespacesOf = (pid: number): string[] =>
  readdirSync('/run/netns').filter((name) => name.startsWith(`quorate-${pid}-`));

/** Kernels whose disks are in our folder. */
function guestsLeft(): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`ubd0=${folder}`);
    } catch {
      return false;
    }
  });
}

describe.skipIf(why !== null)('the lab', () => {
  it(
    'power-cut: the standby takes over, no acknowledged write is lost, never two at once, and nothing is left behind',
    async () => {
      const ran = await lab(['run', 'power-cut', '--json', '--timing', 'patient'], RUN_LIMIT_MS);
      expect(ran.exit, ran.stderr).toBe(0);
      const result = JSON.parse(ran.stdout) as ScenarioResult;
      expect(result).toMatchObject({
        scenario: 'power-cut',
        engine: 'uml',
        ok: true,
        writes: { lost: 0 },
        maxHolders: 1,
        failures: [],
      });
      expect(result.writes.acknowledged).toBeGreaterThan(100);
      expect(result.split).not.toBeNull();
      expect(namespacesOf(ran.pid)).toEqual([]);
      expect(guestsLeft()).toEqual([]);
      // The logs stay, the disks do not.
      expect(readdirSync(folder).sort()).toEqual(
        ['a', 'b', 'w'].flatMap((node) => [`${node}-agent.log`, `${node}-console.log`]),
      );
    },
    RUN_LIMIT_MS,
  );

  it('says in one sentence what it does not know', async () => {
    const ran = await lab(['run', 'power-cute'], 30_000);
    expect(ran).toMatchObject({ exit: 2, stdout: '' });
    expect(ran.stderr).toContain('no scenario power-cute; there are power-cut,');
  });
});
