import { readResumeToken } from '../../../src/replication/index.ts';
import { POOL } from '../plan.ts';
import { Copies, expectAlike, fileSystem } from '../replication/index.ts';
import type { Scenario, Stage } from '../stage.ts';

const BIG = fileSystem('big');
const SMALL = fileSystem('small');
const LATER = fileSystem('later');
const FILL = fileSystem('fill');
const BIG_KIB = 48 * 1024;
const LATER_KIB = 24 * 1024;
const LIMIT_MS = 1_200_000;

export const replicationInterrupted: Scenario = {
  name: 'replication-interrupted',
  about:
    'The first copy of a big file system is interrupted: the link is cut, the receiver loses its power, the receiving process is killed. Each time it goes on from where it was. Then the receiver is full: that is said, and once there is room it goes on by itself.',
  storage: 'replicated',
  async run(stage) {
    const { holder, standby, lab } = stage;
    const copies = new Copies(lab);
    await copies.pair(holder);
    // A new one for each run in the same lab.
    const run = `${Date.now()}`;
    const [big, small, later] = [BIG, SMALL, LATER].map((name) => `${name}-${run}`) as [
      string,
      string,
      string,
    ];
    await copies.create(holder, { fileSystems: [big], volumes: [], kib: BIG_KIB });
    await copies.create(holder, { fileSystems: [small], volumes: [], kib: 64 });
    await lab.admin(holder).runReplication(null);

    await underWay(stage, copies, big, 0);
    await stage.fault(`the replication link of ${standby} is cut`, () => lab.cut(standby, 'repl'));
    const first = await arrived(stage, copies, big);
    await lab.heal(standby, 'repl');
    await stage.healthy();

    await underWay(stage, copies, big, first);
    stage.say(`${standby} loses its power`);
    await lab.powerOff(standby);
    await stage.restore([standby]);
    const second = await arrived(stage, copies, big);
    stage.expect(second >= first, `what had arrived was thrown away: ${first} bytes, then ${second}`);

    await underWay(stage, copies, big, second);
    stage.say('what receives there is killed');
    // Fails where there is none, and is tried again: something must have been killed. Its own pattern is not what it looks for.
    await stage.waitFor('a receiver is killed', async () => {
      await copies.must(
        standby,
        'pids=$(grep -lzx "receiv[e]" /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3); [ -n "$pids" ] && kill -9 $pids',
      );
      return true;
    });
    await copies.complete(holder, [big, small], LIMIT_MS);
    stage.note(`went on after ${first} and ${second} bytes`);

    stage.say(`${standby} is filled`);
    const free = Number(await copies.must(standby, `zfs get -H -p -o value available ${POOL}`));
    const room = 8 * 1024 * 1024;
    await copies.must(standby, `zfs create -o reservation=${free - room} ${FILL}-${run}`);
    await copies.create(holder, { fileSystems: [later], volumes: [], kib: LATER_KIB });
    await lab.admin(holder).runReplication(null);
    await stage.waitFor(
      'it is said that there is no room',
      async () => {
        const { datasets } = await copies.status(holder);
        const found = datasets.find(({ dataset }) => dataset === later);
        return found?.state === 'conflict' || found?.state === 'failed' || found?.lastError != null;
      },
      LIMIT_MS,
    );
    const { datasets } = await copies.status(holder);
    const said = datasets.find(({ dataset }) => dataset === later);
    stage.note(`full: ${said?.state}: ${said?.why}`);
    await copies.must(standby, `zfs destroy ${FILL}-${run}`);
    await copies.complete(holder, [big, small, later], LIMIT_MS);
    await expectAlike(stage, copies, [big, small, later]);
  },
};

/** More of it has arrived than `bytes`, and not all. */
async function underWay(stage: Stage, copies: Copies, dataset: string, bytes: number): Promise<void> {
  await stage.waitFor(
    `a stream for ${dataset} is under way`,
    async () => ((await received(stage, copies, dataset)) ?? 0) > bytes + 1_048_576,
    LIMIT_MS,
  );
}

/** Bytes of an unfinished stream that the receiver keeps. */
async function arrived(stage: Stage, copies: Copies, dataset: string): Promise<number> {
  let bytes: number | null = null;
  await stage.waitFor(
    `what has arrived of ${dataset} is kept`,
    async () => {
      bytes = await received(stage, copies, dataset);
      return bytes !== null;
    },
    LIMIT_MS,
  );
  return bytes ?? 0;
}

/** By the receiving pool's own word, also while it receives; null where no stream is unfinished. */
async function received(stage: Stage, copies: Copies, dataset: string): Promise<number | null> {
  const text = await copies.must(
    stage.standby,
    `zfs get -H -o value receive_resume_token ${dataset} 2>/dev/null || :`,
  );
  return readResumeToken(text.trim())?.bytes ?? null;
}
