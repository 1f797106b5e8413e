/** `npm run sim` as its users call it. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';

const script = fileURLToPath(new URL('../../scripts/sim.mjs', import.meta.url));

function sim(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [script, ...words],
      { maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        resolve({ code, stdout, stderr });
      },
    );
  });
}

const report = z.strictObject({
  seeds: z.number(),
  simulatedSeconds: z.number(),
  wallSeconds: z.number(),
  violations: z.array(
    z.strictObject({
      seed: z.number(),
      rule: z.string(),
      at: z.number(),
      what: z.string(),
      profile: z.string(),
    }),
  ),
  marks: z.strictObject({ reached: z.number(), missed: z.array(z.string()) }),
  hash: z.string().regex(/^[0-9a-f]{16}$/),
});

describe('sim', { timeout: 60_000 }, () => {
  test('--json prints the document of the contract, the same for the same seeds', async () => {
    const [first, second] = [
      await sim('--seeds', '4', '--json'),
      await sim('--seeds', '4', '--json', '--workers', '1'),
    ];
    expect(first).toMatchObject({ code: 0, stderr: '' });
    const document = report.parse(JSON.parse(first.stdout));
    expect(document).toMatchObject({ seeds: 4, violations: [] });
    expect(document.simulatedSeconds).toBeGreaterThanOrEqual(80);
    expect(report.parse(JSON.parse(second.stdout)).hash).toBe(document.hash);
  });

  test('a seed run twice is the same run, to the word', async () => {
    const [first, second] = [await sim('--seed', '7'), await sim('--seed', '7')];
    expect(first.code).toBe(0);
    expect(first.stdout).toBe(second.stdout);
    expect(first.stdout).toMatch(/writes acknowledged, \d+ tenures, .* hash [0-9a-f]{8}\n$/);
  });

  test('a rule switched off: exit code 1, the seed, the faults that are enough, and the story', async () => {
    const { code, stdout, stderr } = await sim('--without', 'H2', '--seeds', '3', '--stop-first');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^\nseed \d+ \(\w+\): action-epoch: /);
    expect(stderr).toMatch(/\d+ faults, 0 of them are enough:/);
    expect(stderr).toMatch(/leads term \d\n/);
    expect(stderr).toMatch(/again: npm run sim -- --seed \d+ --profile \w+\n$/);
    expect(stdout).toMatch(/\d violations: \d+ action-epoch/);
  });

  test.each([
    [['--without', 'X9'], /no switch "X9"; there are .*L1 L2/],
    [['--profile', 'nice'], /--profile nice: there are everything/],
    [['--seeds', 'many'], /--seeds takes a whole number from 1 on, not many/],
    [['--sed', '1'], /Unknown option '--sed'/],
  ])('%j: one line, and exit code 2', async (words, says) => {
    const { code, stdout, stderr } = await sim(...words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(says);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
