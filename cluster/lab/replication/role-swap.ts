/**
 * A holder's pool is replicated under writes; its power goes, the standby goes on from its copy, and the old one comes back as the receiver.
 * Then: nothing was destroyed, both sides have the same, and each acknowledged record is in what goes on or in what was set aside.
 */
import type { Stage } from '../stage.ts';
import { expectAlike } from './alike.ts';
import { type Contents, Copies } from './copies.ts';
import { PoolWriter, RECORDS } from './pool-writer.ts';

export interface RoleSwap extends Contents {
  /** Of the file systems; each gets a record in its turn. The others are sent too, and have nothing new. */
  readonly written: readonly string[];
  /** Of replication, before the power cut. */
  readonly periods: number;
}

const LIMIT_MS = 2_400_000;

export async function swapRoles(stage: Stage, swap: RoleSwap): Promise<void> {
  const datasets = [...swap.fileSystems, ...swap.volumes];
  const { holder, standby, lab } = stage;
  const copies = new Copies(lab);
  await copies.pair(holder);
  await copies.create(holder, swap);
  await expectDiscovered(stage, copies, swap);
  stage.say('discovered; the first copy');
  await copies.complete(holder, datasets, LIMIT_MS);
  stage.say(`copied; ${swap.periods} periods of writing`);
  const writer = new PoolWriter(copies, swap.written, `run ${Date.now()}`);
  writer.writeOn(holder);
  try {
    // A round of 22 datasets takes an emulated guest up to two minutes.
    await copies.rounds(holder, swap.periods, LIMIT_MS);
    const replicated = writer.acknowledged.length;
    await stage.waitFor(
      'something that is not replicated yet',
      () => writer.acknowledged.length > replicated + swap.written.length,
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
    await copies.complete(standby, datasets, LIMIT_MS);
    stage.say(`replicated from ${standby} to ${holder}`);
    await stage.waitFor('writes after the takeover', () => writer.acknowledged.length > before + 3);
    await writer.stop();
    await copies.complete(standby, datasets, LIMIT_MS);
    await expectNothingDestroyed(stage, copies, known, datasets);
    await expectAlike(stage, copies, datasets);
    await expectRecords(stage, copies, writer, epoch, swap.written);
  } finally {
    await writer.stop();
  }
}

async function expectDiscovered(stage: Stage, copies: Copies, swap: RoleSwap): Promise<void> {
  const datasets = [...swap.fileSystems, ...swap.volumes];
  let found = await copies.discovered(stage.holder);
  // A slow guest may take longer than it has for an answer; then it says that it does not know.
  await stage.waitFor('both pools are read', async () => {
    if (!found.complete) found = await copies.discovered(stage.holder);
    return found.complete;
  });
  const { from, pools } = found;
  const tasks = pools.flatMap(({ tasks }) => tasks).filter(({ dataset }) => datasets.includes(dataset));
  stage.expect(from === stage.holder, `the plan is from ${from}`);
  stage.expect(tasks.length === datasets.length, `${tasks.length} of ${datasets.length} were discovered`);
  const volumes = tasks.filter(({ kind }) => kind === 'volume').length;
  stage.expect(volumes === swap.volumes.length, `${volumes} volumes were discovered`);
  const stuck = tasks.find(({ decision }) => decision === 'conflict' || decision === 'excluded');
  stage.expect(stuck === undefined, `${stuck?.dataset}: ${stuck?.decision}: ${stuck?.why}`);
}

/** By GUID, on either side: renamed, promoted to a tail or still where it was. */
async function expectNothingDestroyed(
  stage: Stage,
  copies: Copies,
  known: readonly string[],
  datasets: readonly string[],
): Promise<void> {
  const here = await copies.snapshots(stage.holder);
  const there = await copies.snapshots(stage.standby);
  const gone = known.filter((guid) => !here.has(guid) && !there.has(guid));
  stage.expect(gone.length === 0, `${gone.length} of ${known.length} snapshots were destroyed`);
  const missing = [...there].filter(
    ([guid, name]) => datasets.some((one) => name.startsWith(`${one}@`)) && !here.has(guid),
  );
  // One more may have been taken meanwhile.
  const names = new Set(missing.map(([, name]) => name.slice(name.indexOf('@'))));
  stage.expect(names.size <= 1, `not on ${stage.holder}: ${[...names].join(' ')}`);
  stage.note(
    `${known.length} snapshots before the power cut, 0 destroyed; ${there.size} on the new holder in the end`,
  );
}

/** Each record that was acknowledged is in what goes on, or in what was set aside. */
async function expectRecords(
  stage: Stage,
  copies: Copies,
  writer: PoolWriter,
  epoch: number,
  written: readonly string[],
): Promise<void> {
  const { holder, standby } = stage;
  const kept = await copies.setAside(holder, epoch);
  const newest = await copies.newestCommon(written);
  const tails = [...(await copies.snapshots(holder)).values()];
  let aside = 0;
  for (const [index, dataset] of written.entries()) {
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
