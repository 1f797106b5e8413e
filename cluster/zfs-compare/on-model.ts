/** Does a step on the model: what ZFS is expected to do. */
import { assertNever } from '../../src/core/index.ts';
import { type ModelPool, type Stream, ZfsRefusal } from '../zfs-model/index.ts';
import { DONE, type Outcome, refusedBy } from './refusals.ts';
import { other, type Send, type Side, type Step } from './step.ts';

export type ModelPools = Readonly<Record<Side, ModelPool>>;

const CUT_OFF =
  'cannot receive: checksum mismatch or incomplete stream.\nPartially received snapshot is saved.';

/** Throws nothing that ZFS would say. */
export function performOnModel(pools: ModelPools, step: Step): Outcome {
  if (step.kind === 'send' || step.kind === 'resume') return transfer(pools, step);
  try {
    change(pools[step.side], step);
    return DONE;
  } catch (error) {
    if (!(error instanceof ZfsRefusal)) throw error;
    return refusedBy(step, 'zfs', error.message);
  }
}

function change(pool: ModelPool, step: Exclude<Step, { kind: 'send' | 'resume' }>): void {
  const full = (name: string): string => `${pool.name}/${name}`;
  switch (step.kind) {
    case 'create':
      return pool.create(full(step.dataset), false, step.isVolume ? 'volume' : 'filesystem');
    case 'destroy':
      return pool.destroyDataset(full(step.dataset));
    case 'write':
      return pool.write(full(step.dataset), step.text, false);
    case 'snapshot':
      return pool.snapshotAll(step.datasets.map(full), step.name);
    case 'snapshot-below':
      return pool.snapshotBelow(full(step.dataset), step.name);
    case 'destroy-snapshots':
      return destroySnapshots(pool, full(step.dataset), step.names);
    case 'hold':
      return ofEach(step.names, (name) => pool.hold(full(step.dataset), name, step.tag));
    case 'release':
      return ofEach(step.names, (name) => pool.release(full(step.dataset), name, step.tag));
    case 'bookmark':
      return pool.bookmark(full(step.dataset), step.snapshot, step.to);
    case 'rename-snapshot':
      return pool.renameSnapshot(full(step.dataset), step.snapshot, step.to);
    case 'destroy-bookmark':
      return pool.destroyBookmark(full(step.dataset), step.name);
    case 'rename':
      return pool.rename(full(step.dataset), full(step.to));
    case 'rollback':
      return pool.rollback(full(step.dataset), step.snapshot);
    case 'clone':
      return pool.clone(full(step.dataset), step.snapshot, full(step.to));
    case 'promote':
      return pool.promote(full(step.dataset));
    case 'set':
      return pool.setProperty(full(step.dataset), step.property, step.value);
    case 'inherit':
      return pool.inheritProperty(full(step.dataset), step.property);
    case 'abandon':
      return pool.abandon(full(step.dataset));
    default:
      return assertNever(step);
  }
}

/** Each for itself, with a line for each that was refused. */
function ofEach(names: readonly string[], act: (name: string) => void): void {
  const refusals = names.flatMap((name) => {
    try {
      act(name);
      return [];
    } catch (error) {
      if (!(error instanceof ZfsRefusal)) throw error;
      return [error.message];
    }
  });
  if (refusals.length > 0) throw new ZfsRefusal(refusals.join('\n'));
}

/** All that are there, or none. */
function destroySnapshots(pool: ModelPool, dataset: string, names: readonly string[]): void {
  const there = pool.get(dataset).snapshots.filter(({ name }) => names.includes(name));
  if (there.length === 0)
    throw new ZfsRefusal('could not find any snapshots to destroy; check snapshot names.');
  const cloned = there.find((one) => pool.clonesOf(one).length > 0);
  if (cloned !== undefined) throw new ZfsRefusal(`@${cloned.name}: snapshot has dependent clones`);
  if (there.some(({ holds }) => holds > 0)) throw new ZfsRefusal('dataset is busy');
  for (const { name } of there) pool.destroySnapshot(dataset, name);
}

function transfer(pools: ModelPools, step: Extract<Step, { kind: 'send' | 'resume' }>): Outcome {
  const [source, receiver] = [pools[other(step.side)], pools[step.side]];
  const target = `${receiver.name}/${step.target}`;
  const token = receiver.datasets.get(target)?.partial?.token ?? null;
  // Nobody can go on with what is not there.
  if (step.kind === 'resume' && token === null) return DONE;
  let streams: readonly Stream[];
  try {
    streams = step.kind === 'send' ? streamsOf(source, step) : resumed(source, receiver, target);
  } catch (error) {
    if (!(error instanceof ZfsRefusal)) throw error;
    return refusedBy(step, 'sender', error.message);
  }
  try {
    for (const [at, stream] of streams.entries()) {
      const isCut = step.cut !== 'no' && at === streams.length - 1;
      receiver.receive(target, stream, isCut, step.kind === 'resume' ? token : null);
      if (isCut) throw new ZfsRefusal(CUT_OFF);
    }
    return DONE;
  } catch (error) {
    if (!(error instanceof ZfsRefusal)) throw error;
    return refusedBy(step, 'receiver', error.message);
  }
}

function streamsOf(source: ModelPool, { dataset, snapshot, base, isRun }: Send): readonly Stream[] {
  const name = `${source.name}/${dataset}`;
  if (isRun && base !== null) return source.sendRun(name, snapshot, base, false);
  return [source.send(name, snapshot, base, false)];
}

function resumed(source: ModelPool, receiver: ModelPool, target: string): readonly Stream[] {
  const { partial } = receiver.get(target);
  return partial === null ? [] : [source.sendResumed(partial)];
}
