/** Which device a volume has, with udev's link and without, and what it means that none is found. */
import { beforeEach, describe, expect, it } from 'vitest';
import { instant } from '../../src/core/index.ts';
import { LinuxTools } from '../../src/resources/linux-tools.ts';
import type { Copy } from '../../src/resources/replicated-datasets.ts';
import { VolumeUsers } from '../../src/resources/volume-users.ts';
import { FakeCopies } from './support/fake-copies.ts';
import { VirtualClock } from './support/virtual-clock.ts';

let zfs: FakeCopies;
let clock: VirtualClock;
beforeEach(() => {
  zfs = new FakeCopies();
  clock = new VirtualClock();
});

const context = () => ({ deadline: instant(clock.now() + 5000), signal: new AbortController().signal });
const volume = (name: string, more: Partial<Copy> = {}): Copy => ({
  ...{ name, kind: 'volume', isReadonly: true, hasOwnReadonly: false, mark: null },
  ...{ isLocked: false, isPartial: false, leftOut: null },
  ...more,
});
const DISK = volume('tank/disk');
const users = () => new VolumeUsers('tank', new LinuxTools(zfs.runner, clock), zfs.devices);
const open = (copies: readonly Copy[] = [DISK]) => users().open(copies, context());
const asked = () => zfs.calls.filter((call) => call.includes('zvol_id'));
const nobody = { kind: 'read', value: [] };
const unknown = (why: RegExp) => ({ kind: 'unknown', why: expect.stringMatching(why) });

it('with its link the kernel is asked for the device, and nothing for its name', async () => {
  zfs.add('tank/more disks', '-', 'volume');
  const copies = [DISK, volume('tank/more disks')];
  expect(await open(copies)).toEqual(nobody);
  zfs.exported.add('tank/more disks');
  expect(await open(copies)).toEqual({ kind: 'read', value: ['tank/more disks'] });
  expect(asked()).toEqual([]);
});

describe('without udev', () => {
  beforeEach(() => {
    zfs.add('tank/more disks', '-', 'volume');
    zfs.add('other/disk', '-', 'volume');
    for (const name of ['tank/disk', 'tank/more disks', 'other/disk']) zfs.unlinked.add(name);
  });

  it('the device is found by the name that the kernel has for it, and nobody has it open', async () => {
    expect(await open()).toEqual(nobody);
    expect(zfs.calls.at(-1)).toBe('fuser /dev/zd0');
  });

  it.each(['kernel', 'process'])('R2: one that the %s has open is open', async (by) => {
    if (by === 'kernel') zfs.exported.add('tank/more disks');
    else zfs.busy.add('/dev/zd16');
    const found = await open([volume('tank/more disks')]);
    expect(found).toEqual({ kind: 'read', value: ['tank/more disks'] });
  });

  it('what another pool has open says nothing', async () => {
    zfs.exported.add('other/disk');
    expect(await open([DISK, volume('tank/more disks')])).toEqual(nobody);
  });

  it('R1: its users are killed by the path that it has', async () => {
    await users().close([DISK], context());
    expect(zfs.calls.at(-1)).toBe('fuser -k /dev/zd0');
  });

  it('what has a link is not asked for its name again', async () => {
    zfs.unlinked.delete('tank/disk');
    expect(await open([DISK, volume('tank/more disks')])).toEqual(nobody);
    expect(asked()).toEqual(['/lib/udev/zvol_id /dev/zd16', '/lib/udev/zvol_id /dev/zd32']);
  });

  it('R2: a volume into which a stream was running has a device too, and is looked at', async () => {
    zfs.exported.add('tank/disk');
    const found = await open([volume('tank/disk', { isPartial: true }), volume('tank/more disks')]);
    expect(found).toEqual({ kind: 'read', value: ['tank/disk'] });
  });

  it('R2: a device that does not answer may be this one, whoever it is; the sentence has the remedy', async () => {
    zfs.silent.add('/dev/zd32');
    const elsewhere = volume('tank/elsewhere');
    const why =
      /^whether \/dev\/zvol\/tank\/elsewhere is open .*: it is not there, and \/dev\/zd32 cannot be opened in time; does udev run\? \("udevadm trigger" makes it\)$/;
    expect(await open([DISK, volume('tank/more disks'), elsewhere])).toEqual(unknown(why));
    // Beyond the reach of a kill: no process is started for it.
    expect(asked()).not.toContain('/lib/udev/zvol_id /dev/zd32');
    expect(await open()).toEqual(nobody);
  });

  it.each([
    ['is not there', () => zfs.failures.set('/lib/udev/zvol_id', 'not found')],
    ['hangs', () => zfs.hangs.push('/lib/udev/zvol_id')],
  ])('R2: unknown where what asks for the name %s', async (_, happens) => {
    happens();
    expect(await open()).toEqual(unknown(/tank\/disk is open .*zvol_id \/dev\/zd0.*udevadm trigger/));
    expect(await open([volume('tank/disk', { isPartial: true })])).toEqual(unknown(/zvol_id/));
  });

  it('R2: unknown where the devices cannot be listed', async () => {
    const devices = {
      ...zfs.devices,
      all: () => {
        throw new Error('ENOENT: /sys/block');
      },
    };
    const of = new VolumeUsers('tank', new LinuxTools(zfs.runner, clock), devices);
    expect(await of.open([DISK], context())).toEqual(unknown(/\/sys\/block; does udev run/));
  });

  it('R2: an answer that is no name is none', async () => {
    zfs.zds.delete('tank/disk');
    zfs.zds.set('tank/disk\tx', '/dev/zd0');
    expect(await open()).toEqual(unknown(/said nothing that can be read/));
  });
});

describe('a volume for which the kernel has no device', () => {
  beforeEach(() => zfs.zds.delete('tank/disk'));

  it('is open nowhere, as one with volmode=none', async () => {
    expect(await open()).toEqual(nobody);
    expect(await open([volume('tank/disk', { isPartial: true })])).toEqual(nobody);
  });

  it.each(['tank/disk2@s1', 'tank/.diverged/7/disk', 'other/disk'])(
    'also beside a device of %s',
    async (name) => {
      zfs.zds.set(name, '/dev/zd0');
      zfs.add('tank/disk2', '-', 'volume');
      expect(await open([DISK, volume('tank/disk2')])).toEqual(nobody);
    },
  );

  it('R2: but not beside one of a name that the pool does not have: a rename reaches the device later', async () => {
    zfs.zds.set('tank/old-name', '/dev/zd0');
    expect(await open()).toEqual(unknown(/zvol\/tank\/disk .*\/dev\/zd0 is of tank\/old-name/));
  });

  it('for a locked one nobody is asked', async () => {
    zfs.zds.set('other/disk', '/dev/zd0');
    expect(await open([volume('tank/disk', { isLocked: true })])).toEqual(nobody);
    expect(asked()).toEqual([]);
  });

  const going = (isListed: () => boolean) => {
    let times = 0;
    const reach = async () => (times++ === 0 ? ('there' as const) : ('absent' as const));
    const devices = { ...zfs.devices, all: () => (times === 0 || isListed() ? ['/dev/zd0'] : []), reach };
    return new VolumeUsers('tank', new LinuxTools(zfs.runner, clock), devices).open([DISK], context());
  };

  it('one that goes away while it is asked is none', async () => {
    expect(await going(() => false)).toEqual(nobody);
  });

  it('R2: one that the kernel lists, and that has no node here, may be any', async () => {
    expect(await going(() => true)).toEqual(unknown(/\/dev\/zd0: .*does udev run/));
  });
});

it('R2: unknown where it cannot be left alone for long enough to be looked at', async () => {
  const devices: typeof zfs.devices = {
    ...zfs.devices,
    leaveAlone: (_paths, _context, action) => action([]),
  };
  const of = new VolumeUsers('tank', new LinuxTools(zfs.runner, clock), devices);
  expect(await of.open([DISK], context())).toEqual(unknown(/zvol\/tank\/disk is open cannot be found out/));
  expect(await of.close([DISK], context())).toEqual(unknown(/cannot be found out/));
  expect(zfs.calls.filter((call) => call.startsWith('fuser'))).toEqual([]);
});
