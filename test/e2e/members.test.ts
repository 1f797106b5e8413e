/** E5 with real agents: a witness and a data node are replaced while a client writes. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Writer } from '../../cluster/local/demo/writer.ts';
import { PORT } from '../../cluster/local/plan.ts';
import type { MembersDocument } from '../../src/admin/index.ts';
import { BUILT_LIMIT_MS, type Built, built } from './support/built.ts';
import { TestStage } from './support/stage.ts';

const ZONE = 'us-east-1';
let program: Built;
let stage: TestStage;
beforeAll(async () => {
  program = await built();
  stage = await TestStage.create(program.dist, {
    members: [
      { id: 'a', zone: `${ZONE}a`, isWitness: false },
      { id: 'b', zone: `${ZONE}b`, isWitness: false },
      { id: 'w', zone: `${ZONE}c`, isWitness: true },
      // Of two DRBD stand-ins the one with the smaller name dials: so the new one finds b, whose own setup stays as it is.
      { id: 'a2', zone: `${ZONE}a`, isWitness: false, spareFor: 'a' },
      { id: 'v', zone: `${ZONE}d`, isWitness: true, spareFor: 'w' },
    ],
  });
}, BUILT_LIMIT_MS);
afterAll(async () => {
  await stage?.cluster.stop();
  program.remove();
});

const at = (id: string): string => `${stage.cluster.plan(id).host1}:${PORT.peer}`;

async function members(...words: string[]): Promise<string> {
  const { exit, stdout, stderr } = await stage.cluster.quorate('b', ['members', ...words]);
  expect({ exit, stderr }, words.join(' ')).toEqual({ exit: 0, stderr: '' });
  return stdout;
}
const list = async (): Promise<MembersDocument> => JSON.parse(await members('list', '--json'));

test('a witness in a new zone and a data node with a new disk take the places of old ones, and no write is lost', async () => {
  const { cluster } = stage;
  if ((await cluster.status('b')).holder !== 'b') {
    await cluster.waitFor(
      'b holds',
      async () => {
        await cluster.quorate('a', ['switchover', '--to', 'b']);
        return (await cluster.status('b')).holder === 'b';
      },
      30_000,
    );
  }
  const writer = new Writer(cluster.serviceAddress, 7);
  writer.start();
  stage.watch();
  await cluster.waitFor('the client writes', () => writer.acknowledged > 20, 20_000);
  const epoch = await stage.epochAt('b');

  // --- the witness
  expect(
    await members('add', 'v', '--peer', at('v'), '--zone', `${ZONE}d`, '--witness', '--why', 'zone c closes'),
  ).toMatch(/^v is a learner \(entry \d+\)/);
  await cluster.boot('v');
  await members('promote', 'v');
  const written = writer.acknowledged;
  await members('remove', 'w');
  const after = await list();
  expect(after.members.map(({ id, kind, hasVote, zone }) => [id, kind, hasVote, zone])).toEqual([
    ['a', 'data', true, `${ZONE}a`],
    ['b', 'data', true, `${ZONE}b`],
    ['v', 'witness', true, `${ZONE}d`],
  ]);
  expect([after.removed, after.leader]).toEqual([['w'], 'b']);
  expect(after.differences).toEqual([
    `v is a member (at ${at('v')}), and the file does not list it`,
    'w was removed, and the file still lists it',
  ]);
  // The removed one is told, says so, and ends.
  await cluster.waitFor('the agent of w ends', () => cluster.node('w').pid('agent') === null, 20_000);
  expect(readFileSync(cluster.node('w').logFile('agent'), 'utf8')).toMatch(/w is no member any more/);
  await cluster.waitFor('the client writes on', () => writer.acknowledged > written + 20, 20_000);

  // --- the data node
  await cluster.powerOff('a');
  await cluster.waitFor(
    'a is out of sync',
    async () => (await cluster.status('b')).nodes.find(({ id }) => id === 'a')?.inSync === false,
    20_000,
  );
  await members('add', 'a2', '--peer', at('a2'), '--zone', `${ZONE}a`, '--why', 'the disk of a is dead');
  await cluster.boot('a2');
  await members('promote', 'a2');
  await cluster.waitFor(
    'a2 is resynced',
    async () => (await cluster.drbd('b')).peerDisk === 'UpToDate',
    60_000,
  );
  // H3: whose data that is cannot be told while a is a member: neither comes in.
  const { inSync: own } = (await cluster.status('b')).nodes.find(({ id }) => id === 'a') ?? {};
  expect(own).toBe(false);
  await members('remove', 'a');
  await stage.inSync('b', 'a2');
  expect(await stage.epochAt('b')).toBe(epoch);

  const moved = await cluster.quorate('b', ['switchover', '--to', 'a2']);
  expect(moved, moved.stderr).toMatchObject({ exit: 0 });
  const now = writer.acknowledged;
  await cluster.waitFor('the client writes to a2', () => writer.acknowledged > now + 20, 20_000);
  await writer.stop();
  expect(await writer.lost()).toEqual([]);
  await stage.expectOneHolder();
  const audit = await stage.audit('a2');
  expect(audit.violations).toEqual([]);
  expect(audit.operators.map(({ action }) => action)).toEqual(
    expect.arrayContaining([
      'added v as a learner: zone c closes',
      'removed w, for good',
      'removed a, for good',
    ]),
  );
}, 240_000);
