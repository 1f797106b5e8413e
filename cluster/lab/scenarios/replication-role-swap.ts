import { Copies, expectAlike, fileSystem, PoolWriter, RECORDS } from '../replication/index.ts';
import type { Scenario, Stage } from '../stage.ts';

const TOP = Array.from({ length: 16 }, (_, index) => fileSystem(`fs${String(index + 1).padStart(2, '0')}`));
const NESTED = ['home', 'mail', 'mail/old', 'mail/old/2019'].map((name) => `${TOP[0]}/${name}`);
const FILE_SYSTEMS = [...TOP, ...NESTED];
const VOLUMES = ['disk1', 'disk2'].map(fileSystem);
const DATASETS = [...FILE_SYSTEMS, ...VOLUMES];
/** Each gets a record in its turn; the others are sent too, and have nothing new. */
const WRITTEN = [...TOP.slice(0, 3), ...NESTED.slice(1, 3)];
const KIB = 256;
const PERIODS = 10;
const LIMIT_MS = 1_200_000;

export const replicationRoleSwap: Scenario = {
  name: 'replication-role-swap',
  about:
    'A pool with 20 file systems and 2 volumes is discovered and copied, and replicated for ten periods under write load. The holder loses its power. The standby goes on from its copy; the old one comes back, keeps what only it has, and receives.',
  storage: 'replicated',
  async run(stage) {
    const { holder, standby, lab } = stage;
    const copies = new Copies(lab);
    await copies.pair(holder);
    await copies.create(holder, { fileSystems: FILE_SYSTEMS, volumes: VOLUMES, kib: KIB });
    await expectDiscovered(stage, copies);
    stage.say('discovered; the first copy');
    await copies.complete(holder, DATASETS, LIMIT_MS);
    stage.say(`copied; ${PERIODS} periods of writing`);
    const writer = new PoolWriter(copies, WRITTEN, `run ${Date.now()}`);
    writer.writeOn(holder);
    try {
      await copies.rounds(holder, PERIODS, LIMIT_MS);
      const replicated = writer.acknowledged.length;
      await stage.waitFor(
        'something that is not replicated yet',
        () => writer.acknowledged.length > replicated + WRITTEN.length,
      );
      const known = [...(await copies.snapshots(holder)).keys(), ...(await copies.snapshots(standby)).keys()];
      await stage.fault(`${holder} loses its power`, () => lab.powerOff(holder));
      writer.writeOn(null);
      const { epoch } = await stage.takenOver(standby);
      const before = writer.acknowledged.length;
      writer.writeOn(standby);
      await stage.served();
      stage.say(`${holder} comes back`);
      await stage.restore([holder]);
      await copies.complete(standby, DATASETS, LIMIT_MS);
      stage.say(`replicated from ${standby} to ${holder}`);
      await stage.waitFor('writes after the takeover', () => writer.acknowledged.length > before + 3);
      await writer.stop();
      await copies.complete(standby, DATASETS, LIMIT_MS);
      await expectNothingDestroyed(stage, copies, known);
      await expectAlike(stage, copies, DATASETS);
      await expectRecords(stage, copies, writer, epoch);
    } finally {
      await writer.stop();
    }
  },
};

async function expectDiscovered(stage: Stage, copies: Copies): Promise<void> {
  const { complete, from, pools } = await copies.discovered(stage.holder);
  const tasks = pools.flatMap(({ tasks }) => tasks).filter(({ dataset }) => DATASETS.includes(dataset));
  stage.expect(complete && from === stage.holder, `the plan is not complete, or from ${from}`);
  stage.expect(tasks.length === DATASETS.length, `${tasks.length} of ${DATASETS.length} were discovered`);
  const volumes = tasks.filter(({ kind }) => kind === 'volume').length;
  stage.expect(volumes === VOLUMES.length, `${volumes} volumes were discovered`);
  const stuck = tasks.find(({ decision }) => decision === 'conflict' || decision === 'excluded');
  stage.expect(stuck === undefined, `${stuck?.dataset}: ${stuck?.decision}: ${stuck?.why}`);
}

/** By GUID, on either side: renamed, promoted to a tail or still where it was. */
async function expectNothingDestroyed(stage: Stage, copies: Copies, known: readonly string[]): Promise<void> {
  const here = await copies.snapshots(stage.holder);
  const there = await copies.snapshots(stage.standby);
  const gone = known.filter((guid) => !here.has(guid) && !there.has(guid));
  stage.expect(gone.length === 0, `${gone.length} of ${known.length} snapshots were destroyed`);
  const missing = [...there].filter(
    ([guid, name]) => DATASETS.some((one) => name.startsWith(`${one}@`)) && !here.has(guid),
  );
  // One more may have been taken meanwhile.
  const names = new Set(missing.map(([, name]) => name.slice(name.indexOf('@'))));
  stage.expect(names.size <= 1, `not on ${stage.holder}: ${[...names].join(' ')}`);
  stage.note(
    `${known.length} snapshots before the power cut, 0 destroyed; ${there.size} on the new holder in the end`,
  );
}

/** Each record that was acknowledged is in what goes on, or in what was set aside. */
async function expectRecords(stage: Stage, copies: Copies, writer: PoolWriter, epoch: number): Promise<void> {
  const { holder, standby } = stage;
  const kept = await copies.setAside(holder, epoch);
  const newest = await copies.newestCommon(WRITTEN);
  const tails = [...(await copies.snapshots(holder)).values()];
  let aside = 0;
  for (const [index, dataset] of WRITTEN.entries()) {
    const records = writer.acknowledged.filter((record) => record.dataset === dataset);
    const snapshot = newest[index] ?? '';
    const missing = writer.missingIn(await copies.read(standby, snapshot, RECORDS), records);
    aside += missing.length;
    if (missing.length === 0) continue;
    const tail = kept.find((name) => name.endsWith(dataset.slice(dataset.indexOf('/'))));
    const last = tails.findLast((name) => tail !== undefined && name.startsWith(`${tail}@`));
    stage.expect(
      last !== undefined,
      `${dataset}: ${missing.length} records are gone, and nothing was set aside`,
    );
    if (last === undefined) continue;
    const lost = writer.missingIn(await copies.read(holder, last, RECORDS), missing);
    stage.expect(lost.length === 0, `${dataset}: ${lost.length} records are neither here nor in ${last}`);
  }
  stage.expect(aside > 0, 'the old holder had nothing of its own, so nothing about tails was tried');
  stage.note(
    `${writer.acknowledged.length} synced records, ${aside} of them only in what ${holder} has set aside: ${kept.length} datasets`,
  );
}
