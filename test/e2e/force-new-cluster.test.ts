/** O3 with real agents: the majority is gone, one data node goes on alone, and those that come back find themselves out. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Writer } from '../../cluster/local/demo/writer.ts';
import { PORT } from '../../cluster/local/plan.ts';
import { BUILT_LIMIT_MS, type Built, built } from './support/built.ts';
import { expectError } from './support/command.ts';
import { TestStage } from './support/stage.ts';

let program: Built;
let stage: TestStage;
beforeAll(async () => {
  program = await built();
  stage = await TestStage.create(program.dist);
}, BUILT_LIMIT_MS);
afterAll(async () => {
  await stage?.cluster.stop();
  program.remove();
});

/** Links accept whoever dials, also for a node without power: here the others must be asked themselves. */
function dialDirectly(id: string): void {
  const { cluster } = stage;
  const file = cluster.configFile(id);
  let text = readFileSync(file, 'utf8');
  for (const other of cluster.nodes.keys()) {
    const pattern = new RegExp(`(  ${other}:\\n(?:    .*\\n)*?    peer: )\\S+`);
    text = text.replace(pattern, `$1${cluster.plan(other).host1}:${PORT.peer}`);
  }
  writeFileSync(file, text);
}

test('refused while the agent runs, a node is left out, the name is wrong or an old member answers; then done, and the old ones stay out', async () => {
  const { cluster } = stage;
  const holder = await stage.healthy();
  const survivor = stage.other(holder);
  const writer = new Writer(cluster.serviceAddress, 3);
  writer.start();
  stage.watch();
  await cluster.waitFor('the client writes', () => writer.acknowledged > 50, 20_000);
  await cluster.powerOff(holder);
  await cluster.powerOff('w');
  const acknowledged = writer.acknowledged;
  await writer.stop();

  const force = (fenced: string, name = cluster.name, ...more: string[]) =>
    cluster.quorate(survivor, [
      ...['force-new-cluster', '--i-have-fenced', fenced, '--yes-i-know', name, '--why', 'two zones burned'],
      ...more,
    ]);
  const all = `${holder},w`;
  expectError(await force(all), 'data-directory-locked', /./);
  await cluster.stopAgent(survivor, 30_000);
  dialDirectly(survivor);
  expectError(await force(holder), 'usage', /must name every other member, w is missing/);
  expectError(await force(`${all},x`), 'usage', /the other members are/);
  expectError(await force(all, 'another'), 'usage', /"another" is not/);
  await cluster.boot('w');
  await cluster.waitFor('w listens', async () => (await cluster.status('w')).observer === 'w', 20_000);
  expectError(await force(all), 'refused-unsafe', /an old member is still there: w .*accepts connections/);
  await cluster.powerOff('w');
  const done = await force(all, cluster.name, '--json');
  expect(done, done.stderr).toMatchObject({ exit: 0 });
  const document: { node: string; fenced: string[]; mayLose: string } = JSON.parse(done.stdout);
  expect(document).toMatchObject({ node: survivor, fenced: [holder, 'w'] });
  expect(document.mayLose).toMatch(/acknowledged without/);

  await cluster.startAgent(survivor);
  await cluster.waitFor(
    `${survivor} holds`,
    async () => {
      const { holder: now, lastTakeover, epoch } = await cluster.status(survivor);
      return now === survivor && lastTakeover?.epoch === epoch && lastTakeover.totalMs !== null;
    },
    30_000,
  );
  const again = new Writer(cluster.serviceAddress, 3);
  again.start();
  await cluster.waitFor('a client writes', () => again.acknowledged > 20, 20_000);

  // They would be a majority of the old cluster. They are told, and end.
  await Promise.all([cluster.boot(holder), cluster.boot('w')]);
  for (const id of [holder, 'w']) {
    await cluster.waitFor(`the agent of ${id} ends`, () => cluster.node(id).pid('agent') === null, 30_000);
    expect(readFileSync(cluster.node(id).logFile('agent'), 'utf8')).toMatch(
      new RegExp(`${id} is no member any more: ${survivor} says`),
    );
  }
  const written = again.acknowledged;
  await cluster.waitFor('the client writes on', () => again.acknowledged > written + 20, 20_000);
  await again.stop();
  await stage.expectOneHolder();
  // What the first client was told is there, under what the second one has written since.
  expect(acknowledged).toBeGreaterThan(50);
  expect(await writer.lost()).toEqual([]);
  expect(await again.lost()).toEqual([]);
  const audit = await stage.audit(survivor);
  expect(audit.violations).toEqual([]);
  expect(audit.operators.at(-1)?.action).toMatch(
    new RegExp(`began a new cluster with ${survivor} alone, ${holder} w fenced: two zones burned`),
  );
}, 240_000);
