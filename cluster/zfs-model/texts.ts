/** What a pool holds, as the commands print it: so that the parsers are in the loop. */
import type { PoolTexts } from '../../src/replication/index.ts';
import type { ModelDataset, ModelPool } from './zfs-model.ts';

export function textsOf(pool: ModelPool): PoolTexts {
  const datasets = [...pool.datasets.values()];
  const line = (cells: readonly (string | number)[]): string => `${cells.join('\t')}\n`;
  return {
    pool: line([pool.name, '800996640596712129', 1e9, 1e9]),
    status: `  pool: ${pool.name}\n state: ONLINE\nconfig:\n\n\tNAME        STATE     READ WRITE CKSUM\n\t${pool.name}        ONLINE       0     0     0\n\t  /dev/vdb  ONLINE       0     0     0\n\nerrors: No known data errors\n`,
    datasets: datasets.map((one) => line(cellsOf(pool, one))).join(''),
    points: datasets
      .flatMap(({ name, snapshots, bookmarks }) => [
        ...snapshots.map((one, at) => {
          const written = one.content.length - (snapshots[at - 1]?.content.length ?? 0);
          return line([
            `${name}@${one.name}`,
            'snapshot',
            one.guid,
            one.txg,
            Math.max(0, written),
            one.holds,
          ]);
        }),
        ...bookmarks.map((one) => line([`${name}#${one.name}`, 'bookmark', one.guid, one.txg, '-', '-'])),
      ])
      .join(''),
  };
}

/** By its own quota only. */
function availableOf({ availableBytes }: ModelPool, { properties, content }: ModelDataset): number {
  const quota = properties.get('quota');
  return quota === undefined ? availableBytes : Math.min(availableBytes, Number(quota) - content.length);
}

function cellsOf(pool: ModelPool, one: ModelDataset): readonly (string | number)[] {
  const newest = (one.snapshots.at(-1) ?? one.origin)?.content ?? '';
  const isModified = newest !== one.content || one.isLogChanged === true;
  return [
    ...[one.name, one.kind, one.guid, one.content.length, availableOf(pool, one), one.content.length, 0],
    ...[
      isModified ? 1 : 0,
      one.kind === 'volume' ? 1024 : '-',
      one.isEncrypted ? 'aes-256-gcm' : 'off',
      pool.isReadonly(one.name) ? 'on' : 'off',
      one.origin === null ? '-' : `${pool.ownerOf(one.origin).name}@${one.origin.name}`,
    ],
    ...[one.partial?.token ?? '-', pool.property(one.name, 'quorate:replicate')[0]],
  ];
}
