/** The parser against what real DRBD 8.4 printed (kernel 8.4.11, drbd-utils 9.22), and lines of 9.x. */
import { describe, expect, it } from 'vitest';
import { roleProbe } from '../../src/resources/drbd-view.ts';
import { DrbdEvents, parseEvents, replicatedData } from '../../src/resources/index.ts';
import { CAPTURES } from './drbd-captures.ts';

const read = (name: keyof typeof CAPTURES) => parseEvents(CAPTURES[name], 'r0');
const data = (name: keyof typeof CAPTURES) => replicatedData([read(name)], ['b']);

describe('drbdsetup events2', () => {
  it('a healthy Primary holds, its peer is in sync', () => {
    expect(roleProbe(read('healthyPrimary')).probe).toBe('held');
    expect(data('healthyPrimary')).toEqual({
      peers: new Map([['b', 'in-sync']]),
      disk: 'up-to-date',
      isWhole: true,
    });
  });

  it('a Secondary does not hold', () => {
    expect(roleProbe(read('healthySecondary')).probe).toBe('not-held');
  });

  it('H3: a peer that syncs is not in sync, although it is connected', () => {
    expect(data('syncing').peers.get('b')).toBe('not-in-sync');
  });

  it('H3: a dead peer is not in sync, the own disk still is up to date', () => {
    expect(data('peerDead')).toEqual({
      peers: new Map([['b', 'not-in-sync']]),
      disk: 'up-to-date',
      isWhole: true,
    });
    expect(roleProbe(read('primaryAlone')).probe).toBe('held');
  });

  it('H3: StandAlone lacks conn-name and is not in sync', () => {
    expect(data('standAlone').peers.get('b')).toBe('not-in-sync');
    const { probe, detail } = roleProbe(read('standAlone'));
    expect(probe).toBe('held');
    expect(detail).toMatch(/^degraded: DRBD stands alone .*"quorate doctor".*; role Primary, disk UpToDate$/);
    expect(roleProbe(read('primaryAlone')).detail).not.toContain('degraded');
  });

  it.each([
    ['Outdated', true],
    ['Consistent', true],
    ['Inconsistent', false],
    ['Diskless', false],
    ['Failed', false],
    ['Negotiating', null],
  ] as const)('O3: what is on a disk that is %s can be of one moment: %s', (disk, isWhole) => {
    const text = (of: string) =>
      `exists resource name:r0 role:Secondary suspended:no\nexists device name:r0 volume:0 minor:0 disk:${of}\nexists -\n`;
    const good = parseEvents(text('UpToDate'), 'r0');
    expect(replicatedData([good, parseEvents(text(disk), 'r0')], ['b']).isWhole).toBe(isWhole);
    expect(replicatedData([good, null], ['b']).isWhole).toBeNull();
  });

  it('a resource that is down is not held, but its data is unknown', () => {
    expect(roleProbe(parseEvents('exists -\n', 'r0')).probe).toBe('not-held');
    expect(replicatedData([parseEvents('exists -\n', 'r0')], ['b'])).toEqual({
      peers: new Map([['b', 'not-in-sync']]),
      disk: 'unknown',
      isWhole: null,
    });
  });

  it('an output that breaks off is unknown, never not-held', () => {
    const cut = CAPTURES.healthySecondary.split('\n').slice(0, 2).join('\n');
    expect(roleProbe(parseEvents(cut, 'r0')).probe).toBe('unknown');
    expect(replicatedData([parseEvents('', 'r0')], ['b'])).toEqual({
      peers: new Map([['b', 'unknown']]),
      disk: 'unknown',
      isWhole: null,
    });
  });

  it('reads 9.x: more keys, underscores, colons in values, a diskless witness, several volumes', () => {
    const state = parseEvents(CAPTURES.nine, 'r0');
    expect(state).toMatchObject({ role: 'Secondary', mayPromote: true });
    expect(replicatedData([state], ['nodeb']).peers.get('nodeb')).toBe('in-sync');
  });

  it('H3: every replicated volume and every resource counts: the worst one decides', () => {
    const oneBehind = CAPTURES.nine.replace(
      'volume:1 replication:Established peer-disk:UpToDate',
      'volume:1 replication:SyncSource peer-disk:Inconsistent',
    );
    expect(replicatedData([parseEvents(oneBehind, 'r0')], ['nodeb']).peers.get('nodeb')).toBe('not-in-sync');
    const missing = CAPTURES.nine.replace(
      /exists peer-device name:r0 peer-node-id:1 conn-name:nodeb volume:1.*\n/,
      '',
    );
    expect(replicatedData([parseEvents(missing, 'r0')], ['nodeb']).peers.get('nodeb')).toBe('unknown');
    const good = parseEvents(CAPTURES.healthyPrimary, 'r0');
    expect(replicatedData([good, null], ['b']).peers.get('b')).toBe('unknown');
    expect(replicatedData([good, parseEvents(CAPTURES.peerDead, 'r0')], ['b']).peers.get('b')).toBe(
      'not-in-sync',
    );
  });

  it('a failed own disk is told apart from one in passing', () => {
    const withDisk = (disk: string) =>
      replicatedData(
        [parseEvents(CAPTURES.healthyPrimary.replace('disk:UpToDate\n', `disk:${disk}\n`), 'r0')],
        ['b'],
      ).disk;
    expect(withDisk('Failed')).toBe('failed');
    expect(withDisk('Diskless')).toBe('failed');
    expect(withDisk('Inconsistent')).toBe('failed');
    expect(withDisk('Attaching')).toBe('unknown');
  });

  it('an unnamed connection among several nodes belongs to nobody', () => {
    expect(replicatedData([read('healthyPrimary')], ['b', 'c']).peers).toEqual(
      new Map([
        ['b', 'not-in-sync'],
        ['c', 'not-in-sync'],
      ]),
    );
  });

  it('follows changes, partial ones too, and forgets what is destroyed', () => {
    const events = new DrbdEvents('r0');
    for (const line of CAPTURES.healthySecondary.split('\n')) events.read(line);
    expect(events.read('change resource name:r0 role:Primary suspended:no')).toBe(true);
    expect(events.state()?.role).toBe('Primary');
    expect(
      events.read('change peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 peer-disk:DUnknown'),
    ).toBe(true);
    expect(events.state()?.connections[0]?.volumes[0]).toMatchObject({
      replication: 'Established',
      peerDisk: 'DUnknown',
    });
    expect(events.read('change resource name:other role:Secondary')).toBe(false);
    expect(events.read('call helper name:r0 helper:before-resync-source')).toBe(false);
    events.read('destroy resource name:r0');
    expect(events.state()?.kind).toBe('absent');
  });

  it('R1: an isolated Primary holds, with its writes frozen; once they are abandoned it is Secondary without a disk', () => {
    expect(roleProbe(read('isolatedPrimary'))).toMatchObject({
      probe: 'held',
      detail: expect.stringContaining('I/O suspended (fencing)'),
    });
    expect(data('isolatedPrimary')).toMatchObject({
      peers: new Map([['b', 'not-in-sync']]),
      disk: 'up-to-date',
    });
    expect(roleProbe(read('abandoned')).probe).toBe('not-held');
    expect(data('abandoned').disk).toBe('failed');
  });

  it('follows a whole isolation: changes without a value, and calls of helpers, change nothing', () => {
    const events = new DrbdEvents('r0');
    const seen = new Set<string>();
    for (const line of CAPTURES.isolation.split('\n')) {
      events.read(line);
      const state = events.state();
      if (state !== null) seen.add(`${state.role} ${state.suspended} ${state.volumes[0]?.disk}`);
    }
    expect([...seen]).toEqual([
      'Primary no UpToDate',
      'Primary fencing UpToDate',
      'Primary fencing Failed',
      'Primary fencing Diskless',
      'Primary no Diskless',
      'Secondary no Diskless',
    ]);
    expect(events.state()).toEqual(parseEvents(CAPTURES.abandoned, 'r0'));
  });
});
