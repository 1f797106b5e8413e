import { Copies, expectAlike, fileSystem, pathOf } from '../replication/index.ts';
import type { Scenario, Stage } from '../stage.ts';

const KIB = 64;
const LIMIT_MS = 1_200_000;

export const replicationConflict: Scenario = {
  name: 'replication-conflict',
  about:
    'Somebody takes a snapshot of a copy, writes into another one, and makes a dataset of a third name on the receiver. Each is a conflict that is said, nothing is destroyed, everything else goes on; and it goes on where an operator has cleared it.',
  storage: 'replicated',
  async run(stage) {
    const { holder, standby, lab } = stage;
    const copies = new Copies(lab);
    const run = `${Date.now()}`;
    const name = (what: string): string => `${fileSystem(what)}-${run}`;
    const [snapped, written, taken, other] = [name('snapped'), name('written'), name('taken'), name('other')];
    const replicated = [snapped, written, other];
    await copies.pair(holder);
    await copies.create(holder, { fileSystems: replicated, volumes: [], kib: KIB });
    await copies.complete(holder, replicated, LIMIT_MS);

    await stage.fault(`somebody changes the copies on ${standby}`, async () => {
      await copies.must(standby, `zfs snapshot ${snapped}@by-hand`);
      await copies.must(
        standby,
        `zfs set readonly=off ${written} && zfs mount ${written} && echo by hand >${pathOf(written)}/by-hand && zfs unmount ${written} && zfs set readonly=on ${written}`,
      );
      await copies.must(standby, `zfs create -o canmount=off ${taken} && zfs snapshot ${taken}@mine`);
    });
    const before = [...(await copies.snapshots(standby)).keys()];
    // Something to send for each.
    for (const dataset of replicated) await copies.must(holder, `echo new >${pathOf(dataset)}/new`);
    await copies.create(holder, { fileSystems: [taken], volumes: [], kib: KIB });
    await lab.admin(holder).runReplication(null);
    for (const [dataset, reason] of [
      [snapped, 'by-hand'],
      [written, 'written'],
      [taken, ''],
    ] as const)
      await inConflict(stage, copies, dataset, reason);
    await copies.complete(holder, [other], LIMIT_MS);
    const after = await copies.snapshots(standby);
    const gone = before.filter((guid) => !after.has(guid));
    stage.expect(gone.length === 0, `${gone.length} snapshots of ${standby} were destroyed`);

    stage.say('an operator clears them');
    await copies.must(standby, `zfs destroy ${snapped}@by-hand`);
    const [newest] = await copies.newestCommon([written]);
    await copies.must(standby, `zfs rollback ${newest}`);
    await copies.must(standby, `zfs rename ${taken} ${taken}-of-somebody`);
    await copies.complete(holder, [...replicated, taken], LIMIT_MS);
    await expectAlike(stage, copies, [...replicated, taken]);
    const mine = await copies.snapshots(standby, `${taken}-of-somebody`);
    stage.expect(mine.size === 1, 'what somebody had there is not there any more');
  },
};

async function inConflict(stage: Stage, copies: Copies, dataset: string, word: string): Promise<void> {
  let why = '';
  await stage.waitFor(
    `the conflict of ${dataset} is said`,
    async () => {
      const { datasets } = await copies.status(stage.holder);
      const found = datasets.find((one) => one.dataset === dataset);
      why = found?.why ?? '';
      return found?.state === 'conflict';
    },
    LIMIT_MS,
  );
  stage.expect(why.includes(word), `the conflict of ${dataset} does not name its cause: ${why}`);
  stage.note(why);
}
