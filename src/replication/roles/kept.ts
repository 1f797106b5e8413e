/** What is kept on this node of its own earlier tenures, for people. Pure. */
import { TAKEN, UNREPLAYED } from './aside.ts';
import type { AsideDataset, AsidePool } from './aside-reading.ts';

export interface Kept {
  readonly dataset: string;
  readonly kind: AsideDataset['kind'];
  /** What it was called, and what goes on under that name without it. */
  readonly original: string;
  /** Of the tenure of the other node in which it was set aside. */
  readonly epoch: number;
  /** DATASET@SNAPSHOT that both nodes had; null where that is not there any more. */
  readonly common: string | null;
  /** What the other node never had, oldest first. */
  readonly snapshots: readonly string[];
  /** What was written last may be in its intent log alone, and in no snapshot: that could not be replayed when it was set aside. */
  readonly isUnreplayed: boolean;
  /** Bytes that are here only for it. */
  readonly usedBytes: number;
  /** False: setting it aside is under way, and goes on with the next round. */
  readonly isDone: boolean;
}

export function keptIn(pool: AsidePool): readonly Kept[] {
  const all = [...pool.values()];
  return all
    .flatMap(({ mark, ...one }): readonly Kept[] => {
      if (mark === null) return [];
      const owner = all.find(({ snapshots }) => snapshots.some(({ guid }) => guid === mark.common));
      const common = owner?.snapshots.find(({ guid }) => guid === mark.common);
      return [
        {
          dataset: one.name,
          kind: one.kind,
          original: mark.original,
          epoch: mark.epoch,
          common: owner === undefined || common === undefined ? null : `${owner.name}@${common.name}`,
          snapshots: one.snapshots
            .filter(({ createtxg }) => common === undefined || createtxg > common.createtxg)
            .map(({ name }) => name),
          isUnreplayed: isUnreplayed(one),
          usedBytes: one.used,
          isDone: one.isDone,
        },
      ];
    })
    .toSorted((left, right) => (left.dataset < right.dataset ? -1 : 1));
}

const isUnreplayed = ({ snapshots }: Pick<AsideDataset, 'snapshots'>): boolean =>
  snapshots.findLast(({ name }) => TAKEN.test(name))?.name.endsWith(UNREPLAYED) === true;
