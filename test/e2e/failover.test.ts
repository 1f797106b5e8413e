/**
 * O3: the machine of the only node in sync is gone for good, and an operator decides. Real agents, executors and commands; DRBD is
 * the stand-in.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BUILT_LIMIT_MS, type Built, built } from './support/built.ts';
import { complaints, expectError } from './support/command.ts';
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
beforeEach(() => stage.watch());
afterEach(() => stage.expectOneHolder());

function drbdadm(node: string, ...words: string[]): Promise<number> {
  return new Promise((resolve) => {
    execFile(join(stage.cluster.directory, node, 'bin', 'drbdadm'), words, (error) =>
      resolve(typeof error?.code === 'number' ? error.code : 0),
    );
  });
}

async function append(from: number, to: number): Promise<void> {
  const client = await stage.cluster.client();
  for (let number = from; number <= to; number += 1)
    expect(await client.ask(`append ${number} record ${number}`, 2_000)).toBe(`ok ${number}`);
  client.close();
}

async function lastRecord(): Promise<string> {
  const client = await stage.cluster.client();
  const last = await client.ask('last', 2_000);
  client.close();
  return last;
}

describe('quorate failover', () => {
  let gone = '';
  let left = '';
  const failover = (at: string, ...words: string[]) =>
    stage.cluster.quorate(at, ['failover', '--to', left, ...words]);

  test('a node in sync is not forced: the way without loss is named', async () => {
    gone = await stage.healthy();
    left = stage.other(gone);
    const result = await failover(gone, '--accept-data-loss');
    expectError(result, 'refused-unsafe', new RegExp(`in the in-sync set.*quorate switchover --to ${left}`));
    expectError(
      await failover(left, '--accept-data-loss'),
      'not-leader',
      new RegExp(`the leader is ${gone}`),
    );
  });

  test('one that is out of sync is not forced while the other one holds', async () => {
    const { cluster } = stage;
    await append(1, 10);
    await Promise.all([cluster.cut(gone, left), cluster.cut(left, gone)]);
    await cluster.waitFor(
      'it is out of the in-sync set',
      async () => (await cluster.status(gone)).nodes.find(({ id }) => id === left)?.inSync === false,
      20_000,
    );
    await append(11, 15);
    expectError(await failover(gone, '--accept-data-loss'), 'refused-unsafe', new RegExp(`${gone} holds`));
  });

  test('with that machine gone nobody holds; then the dry run says what would be, and changes nothing', async () => {
    const { cluster } = stage;
    // Its DRBD knows that its data is old: without --force it could not be promoted at all.
    expect(await drbdadm(left, 'outdate', 'r0')).toBe(0);
    await cluster.powerOff(gone);
    await cluster.waitFor(
      'it leads, and would do what it is told',
      async () => (await failover(left, '--dry-run')).exit === 0,
      30_000,
    );
    expect((await cluster.status(left)).holder).not.toBe(left);
    expect(await cluster.canWrite(left)).toBe(false);
    expect(await drbdadm(left, 'primary', 'r0')).toBe(17);
    const before = await cluster.entries(left);
    const { stdout } = await failover(left, '--dry-run', '--json');
    const { checks, steps, mayLose, dryRun, epoch } = JSON.parse(stdout);
    expect({ dryRun, epoch }).toEqual({ dryRun: true, epoch: null });
    expect(checks.every((check: { ok: boolean }) => check.ok)).toBe(true);
    expect(mayLose).toMatch(
      new RegExp(`every write that ${gone} acknowledged since ${left} left the in-sync set`),
    );
    expect(steps.map((step: { name: string }) => step.name)).toContain(`${left}: acquire block`);
    const usage = await failover(left);
    expect(usage.exit).toBe(2);
    expect(complaints(usage.stderr)[0]).toMatch(/--accept-data-loss: what may be lost is every write that/);
    expect(await cluster.entries(left)).toEqual(before);
  });

  test('forced, it holds: with all that it had, and without what the other one wrote alone', async () => {
    const { cluster } = stage;
    let forced = await failover(left, '--accept-data-loss', '--why', 'the rack burned');
    // An election of the witness may come between the dry run and the order.
    for (let tries = 0; forced.exit !== 0 && tries < 5; tries += 1) {
      expect(forced.stderr).toMatch(/not-leader|only just elected/);
      await cluster.waitFor('it leads', async () => (await failover(left, '--dry-run')).exit === 0, 30_000);
      forced = await failover(left, '--accept-data-loss', '--why', 'the rack burned');
    }
    expect(forced.stderr).toBe('');
    expect(forced.stdout).toMatch(new RegExp(`^forced ${left} to hold \\(entry \\d+\\), epoch \\d+`));
    await cluster.waitFor('it can write', () => cluster.canWrite(left), 5_000);
    await cluster.waitFor(
      'the address leads there',
      async () => (await cluster.addressHolder()) === left,
      5_000,
    );
    expect(await lastRecord()).toBe('last 10 record 10');
    await append(11, 12);
    // `--verify` finds no violation.
    const { operators, tenures, violations } = await stage.audit(left);
    expect(operators.at(-1)?.action).toMatch(
      new RegExp(
        `^forced ${left} to hold: the rack burned \\(may lose every write that ${gone} acknowledged`,
      ),
    );
    expect([tenures.at(-1)?.node, violations]).toEqual([left, []]);
  });

  test('the old machine comes back as one that is behind, and holds only after the resync', async () => {
    const { cluster } = stage;
    await cluster.healAll();
    await cluster.boot(gone);
    await cluster.waitFor(
      'its agent follows',
      async () => (await cluster.status(gone)).leader === left,
      20_000,
    );
    await cluster.waitFor(
      'DRBD sees that both have written alone',
      async () => (await cluster.drbd(gone)).connection === 'StandAlone',
      20_000,
    );
    expect((await cluster.status(left)).nodes.find(({ id }) => id === gone)?.inSync).toBe(false);
    expect((await cluster.quorate(left, ['switchover', '--to', gone])).exit).toBe(4);
    expect(await drbdadm(gone, 'connect', '--discard-my-data', 'r0')).toBe(0);
    await drbdadm(left, 'connect', 'r0');
    await stage.inSync(left, gone);
    expect(await stage.healthy()).toBe(left);
    expect(await lastRecord()).toBe('last 12 record 12');
    expect((await cluster.quorate(left, ['switchover'])).exit).toBe(0);
    expect(await stage.healthy()).toBe(gone);
    expect(await lastRecord()).toBe('last 12 record 12');
  });
});
