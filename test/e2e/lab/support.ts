/** Runs `scripts/lab` as a user would, and looks for what it may have left behind. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import type { ScenarioResult } from '../../../cluster/lab/stage.ts';
import { BUILT_LIMIT_MS, type Built, built } from '../support/built.ts';

export interface Ran {
  readonly pid: number;
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface LabProgram {
  readonly folder: () => string;
  run(words: readonly string[], limitMs: number): Promise<Ran>;
}

/** With hooks of the test file: the program is built, and its folder removed, but where nothing can run. */
export function labProgram(isSkipped: boolean): LabProgram {
  let program: Built;
  let folder: string;
  beforeAll(async () => {
    if (isSkipped) return;
    program = await built();
    folder = mkdtempSync(join(tmpdir(), 'quorate-lab-'));
  }, BUILT_LIMIT_MS);
  afterAll(() => {
    program?.remove();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });
  return {
    folder: () => folder,
    run: (words, limitMs) =>
      new Promise((resolve) => {
        const all = [join(program.dist, 'lab.mjs'), ...words, '--folder', folder];
        const child = execFile(process.execPath, all, { timeout: limitMs }, (error, stdout, stderr) => {
          const exit = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
          resolve({ pid: child.pid ?? 0, exit, stdout, stderr });
        });
      }),
  };
}

/** One line of JSON for each scenario. */
export function resultsOf({ exit, stdout, stderr }: Ran): readonly ScenarioResult[] {
  expect(exit, stderr + stdout).toBe(0);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as ScenarioResult);
}

export const GOOD = { ok: true, maxHolders: 1, failures: [], writes: { lost: 0 } };

/** Nothing but the logs: no namespace of this lab's, no kernel with a disk in its folder. */
export function expectNothingLeft({ pid }: Ran, folder: string): void {
  expect(readdirSync('/run/netns').filter((name) => name.startsWith(`quorate-${pid}-`))).toEqual([]);
  expect(kernelsOf(folder)).toEqual([]);
  expect(readdirSync(folder).sort()).toEqual(
    ['a', 'b', 'w'].flatMap((node) => [`${node}-agent.log`, `${node}-console.log`]),
  );
}

function kernelsOf(folder: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`=${folder}/run/`);
    } catch {
      return false;
    }
  });
}
