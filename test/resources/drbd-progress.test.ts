/** That a resync runs, from `events2`, and how far it is, from `status`: real DRBD 8.4 (drbd-utils 9.22), and 9.x as it is documented. */
import { describe, expect, it } from 'vitest';
import { parseEvents, parseProgress, syncingVolumes } from '../../src/resources/index.ts';
import { CAPTURES } from './drbd-captures.ts';

const syncing = (output: string, others: readonly string[] = ['b']) =>
  syncingVolumes(parseEvents(output, 'r0'), others);

/** Byte for byte, of the same moment as `CAPTURES.syncing`. */
const STATUS_OF_8_4 = `r0 role:Primary
  disk:UpToDate
  peer role:Secondary congested:yes
    replication:SyncSource peer-disk:Inconsistent done:7.82

`;
/** With `--verbose --statistics`, two volumes and a diskless third node. */
const STATUS_OF_9 = `r0 node-id:0 role:Primary suspended:no force-io-failures:no
    write-ordering:flush
  volume:0 minor:0 disk:UpToDate backing_dev:/dev/nvme1n1 quorum:yes open:yes
      size:1048508 read:2048 written:0 al-writes:1 bm-writes:0 upper-pending:0
      lower-pending:0 al-suspended:no blocked:no
  volume:1 minor:1 disk:UpToDate backing_dev:/dev/nvme2n1 quorum:yes open:no
  nodeb node-id:1 connection:Connected role:Secondary congested:no
      ap-in-flight:0 rs-in-flight:1024
    volume:0 replication:SyncSource peer-disk:Inconsistent done:60.50
        resync-suspended:no
        received:0 sent:634368 out-of-sync:414140 pending:2 unacked:4
    volume:1 replication:Established peer-disk:UpToDate resync-suspended:no
        received:0 sent:0 out-of-sync:0 pending:0 unacked:0
  witness node-id:2 connection:Connected role:Secondary congested:no
    volume:0 replication:Established peer-disk:Diskless peer-client:yes
        resync-suspended:no
`;

describe('that a resync runs', () => {
  it('is told by events2, with the node that 8.4 calls `peer`', () => {
    expect(syncing(CAPTURES.syncing)).toEqual([
      { volume: 0, connName: 'peer', peer: 'b', role: 'source', paused: false },
    ]);
    expect(syncing(CAPTURES.syncing, ['b', 'c'])).toMatchObject([{ peer: null }]);
  });

  it.each(['healthyPrimary', 'healthySecondary', 'peerDead', 'primaryAlone', 'standAlone', 'nine'] as const)(
    'none in %s',
    (name) => expect(syncing(CAPTURES[name])).toEqual([]),
  );

  it('goes on while it is paused; a verification is none; an unknown state has none', () => {
    const as = (word: string) => syncing(CAPTURES.syncing.replace('SyncSource', word));
    expect(as('PausedSyncT')).toMatchObject([{ role: 'target', paused: true }]);
    expect(as('SyncTarget')).toMatchObject([{ role: 'target', paused: false }]);
    expect(as('VerifyS')).toEqual([]);
    expect(syncingVolumes(null, ['b'])).toEqual([]);
  });
});

describe('how far it is', () => {
  it('of 8.4: a percentage; the bytes that it does not name are not known', () => {
    expect(parseProgress(STATUS_OF_8_4, 'r0')).toEqual([
      { connName: 'peer', volume: 0, isSyncing: true, donePercent: 7.82, outOfSyncBytes: null },
    ]);
  });

  it('of 9.x: each volume of each peer, `out-of-sync` in KiB', () => {
    const known = { isSyncing: false, donePercent: null, outOfSyncBytes: null };
    expect(parseProgress(STATUS_OF_9, 'r0')).toEqual([
      {
        ...{ connName: 'nodeb', volume: 0, isSyncing: true },
        ...{ donePercent: 60.5, outOfSyncBytes: 414_140 * 1024 },
      },
      { ...known, connName: 'nodeb', volume: 1, outOfSyncBytes: 0 },
      { ...known, connName: 'witness', volume: 0 },
    ]);
  });

  it.each(['done:101.00', 'done:', 'done:nan', 'done:-1', 'out-of-sync:1e9', 'out-of-sync:99999999999999'])(
    'what is no number of it is not known: %s',
    (words) =>
      expect(parseProgress(`r0 role:Primary\n  peer\n    replication:SyncTarget ${words}\n`, 'r0')).toEqual([
        { connName: 'peer', volume: 0, isSyncing: true, donePercent: null, outOfSyncBytes: null },
      ]),
  );

  it('of another resource, of none, and of too many lines it is not known at all', () => {
    expect(parseProgress(STATUS_OF_8_4, 'r1')).toBeNull();
    expect(parseProgress('', 'r0')).toBeNull();
    expect(parseProgress(`r0 role:Primary\n${'  peer\n'.repeat(5_000)}`, 'r0')).toBeNull();
    expect(parseProgress('r0 role:Secondary\n  disk:UpToDate\n', 'r0')).toEqual([]);
  });
});
