/**
 * Two versions side by side, as a rolling upgrade leaves them (docs/restart.md): all nodes begin with an earlier build, and are upgraded
 * one agent at a time while a client writes. No two ever hold, nothing acknowledged is lost, and both builds find the log in order.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Build } from '../../cluster/local/cluster.ts';
import { Writer } from '../../cluster/local/demo/writer.ts';
import { BUILT_LIMIT_MS, type Built, built } from './support/built.ts';
import { previousBuild, previousCommit, whyNoPreviousBuild } from './support/previous-build.ts';
import { TestStage } from './support/stage.ts';

const missing = whyNoPreviousBuild();
if (missing !== null) process.stderr.write(`skipped: versions side by side: ${missing}\n`);
const name = `an upgrade from ${missing ?? previousCommit().slice(0, 12)} and back, node by node, under load`;

let program: Built;
let stage: TestStage;
let older: Build;
let newer: Build;
beforeAll(async () => {
  if (missing !== null) return;
  program = await built();
  older = await previousBuild();
  newer = { dist: program.dist, isSupervised: true };
  // What is tested is who understands whom: a lease that a busy machine does not cost.
  const timing = { leaseMs: 2_000 };
  stage = await TestStage.create(program.dist, { timing, builds: { a: older, b: older, w: older } });
}, BUILT_LIMIT_MS);
afterAll(async () => {
  await stage?.cluster.stop();
  program?.remove();
});

/** As `systemctl restart quorate.target`: agent and executor, of what is installed now. */
async function restartWith(node: string, build: Build): Promise<void> {
  const { cluster } = stage;
  cluster.install(node, build);
  expect(await cluster.stopAgent(node), `${node} ends`).toBe(0);
  await cluster.waitFor('its executor has gone', () => stage.executor(node) === null, 20_000);
  await cluster.startAgent(node);
}

/** The log of every node, by the command of either version. */
async function verify(builds: readonly Build[]): Promise<void> {
  for (const node of ['a', 'b', 'w'])
    for (const build of builds) {
      const words = ['audit', '--json', '--verify'];
      const { exit, stdout, stderr } = await stage.cluster.quorate(node, words, 30_000, build);
      expect({ exit, stderr }, `audit of ${node} by ${build.dist}`).toEqual({ exit: 0, stderr: '' });
      expect(JSON.parse(stdout).violations).toEqual([]);
    }
}

/** The leader refuses what `lacks` could not read, and says so; nothing is written. */
async function expectRefused(leader: string, words: readonly string[], lacks: string): Promise<void> {
  const { exit, stdout, stderr } = await stage.cluster.quorate(leader, words);
  expect({ exit, said: stdout + stderr }, words.join(' ')).toMatchObject({
    exit: 4,
    said: expect.stringMatching(new RegExp(`\\b${lacks}\\b.*(version|upgrade)`, 's')),
  });
}

test.skipIf(missing !== null)(
  name,
  async () => {
    const { cluster } = stage;
    const first = await stage.healthy();
    const second = stage.other(first);
    const writer = new Writer(cluster.serviceAddress, 7);
    writer.start();
    stage.watch();
    const writesOn = async (what: string): Promise<void> => {
      const { acknowledged } = writer;
      await cluster.waitFor(
        `the client writes: ${what}`,
        () => writer.acknowledged > acknowledged + 20,
        20_000,
      );
    };
    await writesOn('all of the older version');

    // --- an older leader with newer followers
    const epoch = await stage.epoch();
    await restartWith('w', newer);
    expect(await stage.healthy()).toBe(first);
    await restartWith(second, newer);
    expect(await stage.healthy()).toBe(first);
    expect(await stage.epoch()).toBe(epoch);
    await writesOn('an older leader, newer followers');

    // --- and back: the log that it has brought along is readable to the older version
    await restartWith('w', older);
    expect(await stage.healthy()).toBe(first);
    await writesOn('the witness is of the older version again');

    // --- a takeover: the newer one from the older one's log, with the older witness's vote
    await cluster.powerOff(first);
    await stage.nextHolder(epoch, [second]);
    await writesOn('a newer leader, an older witness');
    await cluster.boot(first);
    expect(await stage.healthy()).toBe(second);
    await writesOn('a newer leader, older followers');

    // --- nothing is written that an older voter could not read
    await expectRefused(second, ['pause'], 'w');
    await expectRefused(second, ['standby', first], 'w');
    await expectRefused(second, ['restart'], 'w');
    // The command gives each order a request id, and that is newer too: a repeat could not be told from a new order.
    await expectRefused(second, ['switchover'], 'w');
    await verify([older, newer]);

    // --- an order that names its node is carried out, by an entry that both can read, and says what it lacks
    const given = await cluster.quorate(second, ['switchover', '--to', first, '--json']);
    expect({ exit: given.exit, stderr: given.stderr }).toEqual({ exit: 0, stderr: '' });
    expect(JSON.parse(given.stdout)).toMatchObject({ to: first, idNotInLog: true });
    expect(await stage.healthy()).toBe(first);
    await writesOn('an older leader, by an order that a newer one was given');
    const back = await cluster.quorate(first, ['switchover', '--to', second]);
    expect({ exit: back.exit, stderr: back.stderr }).toEqual({ exit: 0, stderr: '' });
    expect(await stage.healthy()).toBe(second);
    await writesOn('a newer leader again');
    await verify([older, newer]);

    // --- a newer leader that is stopped hands over to an older one; its operator hands back
    await restartWith(second, newer);
    expect(await stage.healthy()).toBe(first);
    await writesOn('an older leader, by a hand-over of the newer one');
    const moved = await cluster.quorate(first, ['switchover', '--to', second]);
    expect({ exit: moved.exit, stderr: moved.stderr }).toEqual({ exit: 0, stderr: '' });
    expect(await stage.healthy()).toBe(second);

    // --- the rest of the upgrade
    await restartWith('w', newer);
    expect(await stage.healthy()).toBe(second);
    await expectRefused(second, ['pause'], first);
    await restartWith(first, newer);
    expect(await stage.healthy()).toBe(second);
    await writesOn('all of the newer version');
    for (const words of [['pause'], ['resume'], ['restart']]) {
      const { exit, stderr } = await cluster.quorate(second, words);
      expect({ exit, stderr }, words.join(' ')).toEqual({ exit: 0, stderr: '' });
    }
    await writesOn('with what only the newer version knows in the log');
    await writer.stop();
    expect(await writer.lost()).toEqual([]);
    await stage.expectOneHolder();
    await verify([newer]);
  },
  300_000,
);
