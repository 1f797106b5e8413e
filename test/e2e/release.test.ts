/** `quorate release` beside a real agent, and without one. */
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { killProcesses } from '../../cluster/local/node/index.ts';
import { BUILT_LIMIT_MS, type Built, built } from './support/built.ts';
import { complaints, expectError, quorate } from './support/command.ts';
import { OneNode } from './support/one-node.ts';

/** Written from docs/release.md and not from src. */
const document = z.strictObject({
  node: z.literal('a'),
  outcome: z.enum(['released', 'unverified']),
  epoch: z.int().nullable(),
  replaced: z.int().nullable(),
  evidence: z.string().nullable(),
  ms: z.number().nullable(),
  totalMs: z.number(),
  releaseMs: z.number(),
  resources: z.array(
    z.strictObject({
      name: z.string(),
      kind: z.string(),
      scope: z.enum(['local', 'cloud']),
      probe: z.enum(['held', 'not-held', 'unknown']).nullable(),
      detail: z.string().nullable(),
      action: z.string().nullable(),
    }),
  ),
  isRemembered: z.boolean(),
  isWatchdogTicking: z.boolean().nullable(),
  isAgentRunning: z.boolean(),
});

let program: Built;
let node: OneNode;
beforeAll(async () => {
  program = await built();
}, BUILT_LIMIT_MS);
afterAll(() => program.remove());
beforeEach(async () => {
  node = await OneNode.create(program.dist);
});
afterEach(() => node.remove());

const isServing = () => existsSync(node.path('bin', 'serving'));

test('beside a running agent: its tenure is over, and whatever it takes again is a new one', async () => {
  await node.bootstrap();
  const before = await node.holds();
  const { exit, stdout } = await node.command('release', '--json');
  expect(exit).toBe(0);
  const report = document.parse(JSON.parse(stdout));
  expect(report).toMatchObject({ outcome: 'released', epoch: before, isAgentRunning: true });
  expect(report.replaced).not.toBeNull();
  // The agent runs on, gets an executor that verifies again, and, alone in its cluster, is elected again.
  await node.holds(before);
  expect(isServing()).toBe(true);
  expect(await node.stop()).toBe(0);
  expect(isServing()).toBe(false);
  expect(await node.remains()).toEqual([]);
}, 60_000);

test('after the agent and its executor were killed: text for people, and the next tenure is another one', async () => {
  await node.bootstrap();
  const before = await node.holds();
  killProcesses(node.tag);
  expect(isServing()).toBe(true);
  const { exit, stdout, stderr } = await node.command('release');
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
  expect(isServing()).toBe(false);
  expect(stdout).toMatch(/^nothing is held on a: verified after .* \(D is 400 ms\)\n/);
  expect(stdout).toMatch(
    /\n {2}store +service +not-held +does not run \(code 1\) \(.*stop ended with code 0\)\n/,
  );
  expect(stdout).toContain(`\nepoch ${before} is dead for ever\n`);
  expect(stdout).toContain('\nno agent runs on this node\n');
  node.start();
  await node.answers();
  await node.holds(before);
  await node.stop();
}, 60_000);

test('what cannot be given up: exit code 1, the resource, the remedy, and the document all the same', async () => {
  node.writeConfig({ resources: [{ ...node.service, probe: ['/bin/true'] }] });
  const { exit, stdout, stderr } = await node.command('release', '--timeout', '1', '--json');
  expect(exit).toBe(1);
  expect(document.parse(JSON.parse(stdout))).toMatchObject({ outcome: 'unverified', isAgentRunning: false });
  const [line = '', ...others] = complaints(stderr);
  expect(others).toEqual([]);
  expect(line).toMatch(/a is not shown to have let go after 1(\.\d+)? s: store reads held \(runs\)/);
  expect(line).toMatch(/run this again, or power the host off.*\[release-unverified\]$/);
  expect(await node.remains()).toEqual([]);
});

test('a certificate that is gone keeps nothing held', async () => {
  node.writeConfig();
  renameSync(node.path('a.key'), node.path('a.key.gone'));
  writeFileSync(node.path('bin', 'serving'), '');
  expect((await node.command('release')).exit).toBe(0);
  expect(isServing()).toBe(false);
});

test('bad config and usage: exit code 2, nothing is touched', async () => {
  writeFileSync(node.path('bin', 'serving'), '');
  const missing = await quorate(program.dist, ['release', '--config', node.path('none.yaml')]);
  expectError(missing, 'config-unreadable', /none\.yaml/);
  node.writeConfig({ watchdog: { mode: 'perhaps' } });
  expectError(await node.command('release'), 'config-invalid', /q\.yaml:\d+: watchdog\.mode/, /required/);
  node.writeConfig();
  expectError(await node.command('release', '--timeout', 'soon'), 'usage', /1 to 3600 seconds/);
  expect(isServing()).toBe(true);
});

test('O1: a state file that is damaged: everything is given up, and it says that no executor will start', async () => {
  node.writeConfig();
  mkdirSync(node.path('data'));
  writeFileSync(node.path('data', 'executor-state.json'), '{');
  writeFileSync(node.path('bin', 'serving'), '');
  const { exit, stdout, stderr } = await node.command('release', '--json');
  expect(isServing()).toBe(false);
  expect(exit).toBe(10);
  expect(document.parse(JSON.parse(stdout))).toMatchObject({ outcome: 'released', isRemembered: false });
  expect(complaints(stderr)).toEqual([
    expect.stringMatching(/given up and verified, but .*\[executor-state-damaged\]$/),
  ]);
});
