/** The parsers on what ZFS 2.1.11 printed in the lab (columns put together from its `zfs list` and `zfs get all`), and on damage. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COMMANDS, ListTextError, type PoolTexts, parsePool } from '../../src/replication/list-text.ts';

const line = (...cells: readonly (string | number)[]): string => `${cells.join('\t')}\n`;

/** The lab's pool: one file system with two snapshots, one volume. */
const LAB: PoolTexts = {
  pool: line('tank', '800996640596712129', 251658240, 241553408),
  status: `  pool: tank
 state: ONLINE
config:

	NAME          STATE     READ WRITE CKSUM
	tank          ONLINE       0     0     0
	  /dev/drbd0  ONLINE       0     0     0

errors: No known data errors
`,
  datasets:
    line('tank', 'filesystem', '7', 7143424, 118685696, 98304, 0, 0, '-', 'off', 'off', '-', '-', '-') +
    line(
      'tank/vol1',
      'filesystem',
      '8332567803890214861',
      6496256,
      118685696,
      6430720,
      65536,
      0,
      '-',
      'off',
      'off',
      '-',
      '-',
      '-',
    ) +
    line(
      'tank/zv',
      'volume',
      '3058639048913774507',
      57344,
      118685696,
      57344,
      0,
      0,
      33554432,
      'off',
      'off',
      '-',
      '-',
      '-',
    ),
  points:
    line('tank@s2', 'snapshot', '18288606599823286777', 12, 0, 0) +
    line('tank/vol1@s2', 'snapshot', '15476305271753760045', 12, 2163168, 1) +
    line('tank/vol1@s1', 'snapshot', '12089923524219815206', 11, 4317184, 0) +
    line('tank/vol1#s1', 'bookmark', '12089923524219815206', 11, '-', '-') +
    line('tank/zv@s2', 'snapshot', '2833094144918471051', 12, 57344, 0),
};

const parse = (change: Partial<PoolTexts> = {}) => parsePool('tank', { ...LAB, ...change });

describe("the lab's pool", () => {
  it('is read whole, ids as texts, the oldest snapshot first', () => {
    const { guid, freeBytes, devices, datasets } = parse();
    expect({ guid, freeBytes, devices }).toEqual({
      guid: '800996640596712129',
      freeBytes: 241553408,
      devices: ['/dev/drbd0'],
    });
    expect(datasets.map(({ name, kind, volumeBytes }) => [name, kind, volumeBytes])).toEqual([
      ['tank', 'filesystem', null],
      ['tank/vol1', 'filesystem', null],
      ['tank/zv', 'volume', 33554432],
    ]);
    expect(datasets[1]).toMatchObject({
      ownBytes: 6496256,
      written: 0,
      encryption: null,
      isReadonly: false,
      resume: null,
      snapshots: [
        { name: 's1', guid: '12089923524219815206', createtxg: 11, written: 4317184, holds: 0 },
        { name: 's2', guid: '15476305271753760045', createtxg: 12, written: 2163168, holds: 1 },
      ],
      bookmarks: [{ name: 's1', guid: '12089923524219815206' }],
    });
  });

  it('has no snapshot where none is listed', () => {
    expect(parse({ points: '' }).datasets.every(({ snapshots }) => snapshots.length === 0)).toBe(true);
  });

  it('says of an encrypted, read-only copy with part of a stream what it is', () => {
    // The token is what ZFS printed for a first copy of zroot/test/a@1 that broke off.
    const token =
      '1-9baebea70-b8-789c636064000310a500c4ec50360710e72765a52697303030419460caa7a515a79680647ce0f26c48f2499525a9c5405ac3c90fabfe92fcf4d2cc140686b30972c7850efd0cd24092e704cbe725e6a632305415e5e797e803cd2ad14f743084b805001b201795';
    const copy = line(
      'tank/a',
      'filesystem',
      '9',
      1,
      2,
      3,
      4,
      '-',
      '-',
      'aes-256-gcm',
      'on',
      'tank/vol1@s1',
      token,
      'off',
    );
    expect(parse({ datasets: LAB.datasets + copy }).datasets[1]).toMatchObject({
      name: 'tank/a',
      written: null,
      encryption: 'aes-256-gcm',
      isReadonly: true,
      origin: 'tank/vol1@s1',
      wish: 'off',
      resume: {
        token,
        stream: {
          toName: 'zroot/test/a@1',
          toGuid: String(0x52f9c212c71e60cdn),
          fromGuid: null,
          bytes: 0x4e4228,
        },
      },
    });
  });
});

describe('devices', () => {
  const status = (...devices: readonly string[]): string =>
    LAB.status.replace('\t  /dev/drbd0  ONLINE       0     0     0', devices.join('\n'));

  it('are found in groups, and by their path where they are gone', () => {
    const text = status(
      '\t  mirror-0  DEGRADED     0     0     0',
      '\t    /dev/sda1  ONLINE       0     0     0  (resilvering)',
      '\t    12345678901234567890  UNAVAIL      0     0     0  was /dev/sdb1',
      '\tlogs\t',
      '\t  /dev/nvme0n1p1  ONLINE       0     0     0',
      '\tspares',
      '\t  /dev/sdc   AVAIL   ',
    );
    expect(parse({ status: text }).devices).toEqual(['/dev/sda1', '/dev/sdb1', '/dev/nvme0n1p1', '/dev/sdc']);
  });

  it.each([
    ['a word that is neither', status('\t  something  ONLINE 0 0 0'), /neither a device nor a group/],
    ['letters of a terminal', status('\t  /dev/\u001b[2J  ONLINE 0 0 0'), /neither a device nor a group/],
    ['none', status('\t  mirror-0  ONLINE 0 0 0'), /no device/],
    ['no list', 'no pools available\n', /no list of devices/],
  ])('%s is an error', (_what, text, message) => {
    expect(() => parse({ status: text })).toThrow(message);
  });
});

describe('a line that is not understood is an error that names it', () => {
  const damaged = (from: string, to: string): Partial<PoolTexts> => ({
    datasets: LAB.datasets.replace(from, to),
  });
  const points = (text: string): Partial<PoolTexts> => ({ points: LAB.points + text });
  it.each([
    ['a column less', damaged('\tvolume', ''), /line 3 of "zfs list".*has 13 columns, not 14/],
    ['another kind', damaged('volume', 'zvol'), /line 3.*"zvol" for type, not filesystem or volume/],
    ['a size with a unit', damaged('6496256', '6.2M'), /line 2.*"6.2M" for used, not a whole number/],
    ['an id that is none', damaged('8332567803890214861', '0x73'), /line 2.*"0x73" for guid/],
    [
      'a wish that is neither',
      damaged('65536\t0\t-\toff\toff\t-\t-\t-', '65536\t0\t-\toff\toff\t-\t-\tno'),
      /"no" for quorate:replicate, not on or off/,
    ],
    [
      'another pool',
      { datasets: LAB.datasets + LAB.datasets.replaceAll('tank', 'bank') },
      /line 4 of "zfs list".*is not of tank/,
    ],
    [
      'an origin that is none',
      damaged('off\toff\t-\t-\t-', 'off\toff\t\u001b[2J\t-\t-'),
      /line 1.*no snapshot for origin/,
    ],
    [
      'no line of the pool itself',
      { datasets: LAB.datasets.slice(LAB.datasets.indexOf('\n') + 1) },
      /nothing of tank itself/,
    ],
    ['an end that is missing', { datasets: LAB.datasets.slice(0, -1) }, /has no end/],
    ['a dataset twice', { datasets: LAB.datasets + LAB.datasets }, /a dataset twice/],
    [
      'a snapshot of nobody',
      points(line('tank/new@s1', 'snapshot', '5', 1, 1, 0)),
      /line 6.*not there a moment before: ask again/,
    ],
    [
      'a bookmark called snapshot',
      points(line('tank#s1', 'snapshot', '5', 1, 1, 0)),
      /no name of a snapshot/,
    ],
    ['another pool asked about', { pool: line('bank', '8', 1, 1) }, /is not about tank/],
    ['no pool', { pool: '' }, /another number of lines than one/],
    ['two pools', { pool: LAB.pool + LAB.pool }, /another number of lines than one/],
  ] as const)('%s', (_what, change, message) => {
    expect(() => parse(change)).toThrow(ListTextError);
    expect(() => parse(change)).toThrow(message);
  });

  it('whatever is printed: a pool or that error, and never the letters of a terminal', () => {
    const texts = fc.record({
      pool: fc.oneof(fc.string(), fc.constant(LAB.pool)),
      status: fc.oneof(fc.string(), fc.constant(LAB.status)),
      datasets: fc.oneof(fc.string({ unit: 'binary' }), fc.constant(LAB.datasets)),
      points: fc.oneof(
        fc.string({ unit: 'binary' }).map((text) => `${text}\n`),
        fc.constant(LAB.points),
      ),
    });
    fc.assert(
      fc.property(texts, (change) => {
        try {
          parse(change);
        } catch (error) {
          expect(error).toBeInstanceOf(ListTextError);
          expect(String(error)).toMatch(/^[\x20-\x7e]*$/);
        }
      }),
      { numRuns: Number(process.env.FUZZ_RUNS ?? 300) },
    );
  });
});

it('asks for columns only that every release since 0.8 has, and changes nothing', () => {
  expect(Object.values(COMMANDS).map((command) => command('tank').slice(0, 2))).toEqual([
    ['zpool', 'list'],
    ['zpool', 'status'],
    ['zfs', 'list'],
    ['zfs', 'list'],
  ]);
});
