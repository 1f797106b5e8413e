import { writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { blockOf, DrbdPair } from './support/drbd-pair.ts';
import { until } from './support/until.ts';

describe('DRBD stand-in', () => {
  let pair: DrbdPair;
  afterEach(async () => {
    await pair.stop();
  });

  test('prints what the captures show of a healthy pair', async () => {
    pair = await DrbdPair.start();
    expect((await pair.adm('a', 'primary', 'r0')).exit).toBe(0);
    expect((await pair.shim('a', 'drbdsetup', 'events2', '--now', 'r0')).stdout).toBe(
      [
        'exists resource name:r0 role:Primary suspended:no',
        'exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connected role:Secondary',
        'exists device name:r0 volume:0 minor:0 disk:UpToDate',
        'exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:Established peer-disk:UpToDate resync-suspended:no',
        'exists -\n',
      ].join('\n'),
    );
    expect((await pair.shim('a', 'drbdsetup', 'status', 'r0')).stdout).toBe(
      'r0 role:Primary\n  disk:UpToDate\n  peer role:Secondary\n    replication:Established peer-disk:UpToDate\n\n',
    );
    expect((await pair.adm('a', 'role', 'r0')).stdout).toBe('Primary/Secondary\n');
    expect((await pair.adm('b', 'role', 'r0')).stdout).toBe('Secondary/Primary\n');
    expect((await pair.adm('b', 'cstate', 'r0')).stdout).toBe('Connected\n');
    expect((await pair.adm('b', 'dstate', 'r0')).stdout).toBe('UpToDate/UpToDate\n');
    expect(await pair.shim('a', 'drbdsetup', 'status', '--json', 'r0')).toMatchObject({ exit: 20 });
  });

  test('refuses a second Primary, and Secondary while the device is open', async () => {
    pair = await DrbdPair.start();
    await pair.adm('a', 'primary', 'r0');
    const second = await pair.adm('b', 'primary', 'r0');
    expect(second).toMatchObject({
      exit: 11,
      stderr:
        "0: State change failed: (-1) Multiple primaries not allowed by config\nCommand 'drbdsetup-84 primary 0' terminated with exit code 11\n",
    });
    const device = await pair.open('a');
    await expect(pair.open('a')).rejects.toThrow('EBUSY');
    await expect(pair.open('b')).rejects.toThrow('EMEDIUMTYPE');
    expect(await pair.adm('a', 'secondary', 'r0')).toMatchObject({
      exit: 11,
      stderr: expect.stringContaining('(-12) Device is held open by someone'),
    });
    device.destroy();
    expect((await pair.adm('a', 'secondary', 'r0')).exit).toBe(0);
    expect((await pair.adm('b', 'primary', 'r0')).exit).toBe(0);
  });

  test('protocol C: an acknowledged write is on both disks', async () => {
    pair = await DrbdPair.start();
    await pair.adm('a', 'primary', 'r0');
    const device = await pair.open('a');
    await Promise.all(
      Array.from({ length: 100 }, (_, block) => device.write(block, blockOf(`block ${block}`))),
    );
    expect(pair.differences()).toEqual([]);
    expect((await device.read(42)).toString('utf8', 0, 8)).toBe('block 42');
    expect(await pair.probe('a')).toBe(true);
    expect(await pair.probe('b')).toBe(false);
  });

  test('a lost peer freezes the Primary until the handler answers 4, then a new generation begins', async () => {
    pair = await DrbdPair.start();
    await pair.adm('a', 'primary', 'r0');
    const device = await pair.open('a');
    await device.write(1, blockOf('before'));
    pair.fence('a', `while [ ! -e ${pair.directory}/answer ]; do sleep 0.02; done; exit 4`);
    pair.cut();
    await pair.sees('a', { suspendedByFencing: true, peerDisk: 'DUnknown', connection: 'WFConnection' });
    let isAcknowledged = false;
    const write = device.write(2, blockOf('alone')).then(() => {
      isAcknowledged = true;
    });
    expect(await pair.probe('a')).toBe(false);
    expect(isAcknowledged).toBe(false);
    expect((await pair.shim('a', 'drbdsetup', 'events2', '--now', 'r0')).stdout).toContain(
      'suspended:fencing',
    );
    expect(pair.fenceLog('a')).toMatch(/DRBD_RESOURCE=r0/);
    expect(pair.fenceLog('a')).toMatch(/DRBD_PEERS=b/);
    writeFileSync(`${pair.directory}/answer`, '');
    await write;
    expect(await pair.probe('a')).toBe(true);
    await pair.sees('a', { suspendedByFencing: false, peerDisk: 'Outdated' });
    expect(pair.differences()).toContain(2);
    pair.links.healAll();
    await pair.isInSync();
    expect(pair.differences()).toEqual([]);
  });

  test('a handler that does not answer 4 leaves it frozen; a reconnection resends and resumes', async () => {
    pair = await DrbdPair.start();
    await pair.adm('a', 'primary', 'r0');
    const device = await pair.open('a');
    pair.cut();
    const write = device.write(7, blockOf('in flight'));
    await until('the handler has failed', () => pair.log('a').includes('fence-peer exit code 1'));
    await pair.sees('a', { suspendedByFencing: true });
    expect(await pair.probe('a')).toBe(false);
    pair.links.healAll();
    await write;
    await pair.isInSync();
    expect(pair.differences()).toEqual([]);
  });

  test.each([
    ['goes on alone', 'alone'],
    ['is released', 'released'],
    ['crashes', 'crashed'],
  ] as const)(
    'a block in flight when the link is cut is resynced after the Primary %s',
    async (_name, end) => {
      pair = await DrbdPair.start();
      await pair.adm('a', 'primary', 'r0');
      const device = await pair.open('a');
      await device.write(9, blockOf('before'));
      if (end === 'alone') pair.fence('a', 'exit 4');
      pair.cut();
      const write = device.write(9, blockOf('in flight')).then(
        () => 'acknowledged',
        () => 'failed',
      );
      await until('it is on the own disk only', () => pair.differences().includes(9));
      if (end === 'alone') {
        expect(await write).toBe('acknowledged');
      } else {
        await pair.sees('a', { suspendedByFencing: true });
        device.destroy();
        if (end === 'crashed') await pair.kill('a');
        else expect((await pair.adm('a', 'secondary', 'r0')).exit).toBe(0);
        expect(await write).toBe('failed');
        pair.fence('b', 'exit 4');
        expect((await pair.adm('b', 'primary', 'r0')).exit).toBe(0);
        if (end === 'crashed') await pair.boot('a');
      }
      expect(pair.differences()).toEqual([9]);
      pair.links.healAll();
      await pair.isInSync();
      expect(pair.differences()).toEqual([]);
    },
  );

  test('a frozen Primary whose peer was promoted meanwhile becomes the target only after its release', async () => {
    pair = await DrbdPair.start();
    await pair.adm('a', 'primary', 'r0');
    pair.cut();
    await pair.sees('a', { suspendedByFencing: true });
    pair.fence('b', 'exit 4');
    expect((await pair.adm('b', 'primary', 'r0')).exit).toBe(0);
    const onB = await pair.open('b');
    await onB.write(5, blockOf('of b'));
    pair.links.healAll();
    await until('a has refused', () => pair.log('a').includes('"kind":"retry"'));
    expect(await pair.probe('a')).toBe(false);
    expect(await pair.probe('b')).toBe(true);
    expect((await pair.adm('a', 'secondary', 'r0')).exit).toBe(0);
    await pair.isInSync();
    expect(pair.differences()).toEqual([]);
  });

  test('a crashed Primary that returns before anybody was promoted is brought to the survivor, which stays up to date', async () => {
    pair = await DrbdPair.start();
    await pair.adm('a', 'primary', 'r0');
    const device = await pair.open('a');
    await device.write(9, blockOf('before'));
    const follower = pair.follow('b');
    await until('the dump has ended', () => follower.lines.includes('exists -'));
    pair.cut();
    void device.write(9, blockOf('in flight')).catch(() => undefined);
    await until('it is on the own disk only', () => pair.differences().includes(9));
    await pair.kill('a');
    pair.links.healAll();
    await pair.boot('a');
    await pair.isInSync();
    expect(pair.differences()).toEqual([]);
    expect(
      follower.lines.filter((line) => line.includes('disk:Inconsistent') && line.includes(' device ')),
    ).toEqual([]);
    follower.stop();
  });

  test('resume-io lets a frozen Primary go on', async () => {
    pair = await DrbdPair.start();
    await pair.adm('a', 'primary', 'r0');
    pair.cut();
    await pair.sees('a', { suspendedByFencing: true });
    expect((await pair.adm('a', 'resume-io', 'r0')).exit).toBe(0);
    expect(await pair.probe('a')).toBe(true);
  });

  test('promotion without the peer asks the handler', async () => {
    pair = await DrbdPair.start();
    await pair.adm('a', 'primary', 'r0');
    await pair.kill('a');
    await pair.sees('b', { connection: 'WFConnection' });
    expect(await pair.adm('b', 'primary', 'r0')).toMatchObject({
      exit: 11,
      stderr: expect.stringContaining('(-7) Refusing to be Primary while peer is not outdated'),
    });
    pair.fence('b', 'exit 4');
    expect((await pair.adm('b', 'primary', 'r0')).exit).toBe(0);
    expect((await pair.adm('b', 'dstate', 'r0')).stdout).toBe('UpToDate/Outdated\n');
    expect(await pair.probe('b')).toBe(true);
  });

  test('an outdated node refuses promotion', async () => {
    pair = await DrbdPair.start();
    await pair.adm('a', 'primary', 'r0');
    expect((await pair.adm('b', 'outdate', 'r0')).stderr).toContain('(-6)');
    await pair.kill('a');
    await pair.sees('b', { connection: 'WFConnection' });
    expect((await pair.adm('b', 'outdate', 'r0')).exit).toBe(0);
    pair.fence('b', 'exit 4');
    expect(await pair.adm('b', 'primary', 'r0')).toMatchObject({
      exit: 17,
      stderr: expect.stringContaining('(-2) Need access to UpToDate data'),
    });
    await pair.kill('b');
    await pair.boot('b');
    expect((await pair.adm('b', 'primary', 'r0')).exit).toBe(17);
  });

  test('split brain: both sides wrote alone, so both stay alone until one discards its data', async () => {
    pair = await DrbdPair.start();
    await pair.adm('a', 'primary', 'r0');
    pair.fence('a', 'exit 4');
    pair.fence('b', 'exit 4');
    pair.cut();
    await pair.sees('a', { peerDisk: 'Outdated' });
    await pair.sees('b', { connection: 'WFConnection' });
    expect((await pair.adm('b', 'primary', 'r0')).exit).toBe(0);
    const [onA, onB] = [await pair.open('a'), await pair.open('b')];
    await onA.write(3, blockOf('version of a'));
    await onB.write(4, blockOf('version of b'));
    onB.destroy();
    await pair.adm('b', 'secondary', 'r0');
    pair.links.healAll();
    await pair.sees('a', { connection: 'StandAlone' });
    await pair.sees('b', { connection: 'StandAlone' });
    expect((await pair.shim('a', 'drbdsetup', 'events2', '--now', 'r0')).stdout).toContain(
      'exists connection name:r0 peer-node-id:0 connection:StandAlone role:Unknown\n',
    );
    await pair.adm('b', 'connect', '--discard-my-data', 'r0');
    await pair.adm('a', 'connect', 'r0');
    await pair.isInSync();
    expect(pair.differences()).toEqual([]);
    expect((await onA.read(3)).toString('utf8', 0, 12)).toBe('version of a');
    expect((await onA.read(4)).toString('utf8', 0, 12)).not.toBe('version of b');
  });

  test('a stopped peer is noticed within the ping time-out', async () => {
    pair = await DrbdPair.start();
    await pair.adm('a', 'primary', 'r0');
    pair.fence('a', 'exit 4');
    pair.signal('b', 'SIGSTOP');
    await pair.sees('a', { peerDisk: 'Outdated' }, 1_500);
    pair.signal('b', 'SIGCONT');
    await pair.isInSync();
  });

  test('events2 follows what changes, with only the keys that changed', async () => {
    pair = await DrbdPair.start();
    const follower = pair.follow('b');
    await until('the dump has ended', () => follower.lines.includes('exists -'));
    await pair.adm('a', 'primary', 'r0');
    const { length } = follower.lines;
    await until('the role is there', () =>
      follower.lines.includes('change connection name:r0 peer-node-id:0 conn-name:peer role:Primary'),
    );
    expect(length).toBeGreaterThan(4);
    await pair.kill('a');
    await until('the loss is there', () =>
      follower.lines.includes(
        'change connection name:r0 peer-node-id:0 conn-name:peer connection:Connecting role:Unknown',
      ),
    );
    // A line of its own, which may be read a moment later.
    await until('the loss of its disk is there', () =>
      follower.lines.includes(
        'change peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:Off peer-disk:DUnknown',
      ),
    );
    follower.stop();
  });

  test('down, up: as drbd-utils answer for a resource that is down', async () => {
    pair = await DrbdPair.start();
    expect((await pair.adm('b', 'down', 'r0')).exit).toBe(0);
    expect(await pair.adm('b', 'role', 'r0')).toMatchObject({
      exit: 10,
      stderr:
        "0: Failure: (127) Device minor not allocated\nadditional info from kernel:\nunknown minor\nCommand 'drbdsetup-84 role 0' terminated with exit code 10\n",
    });
    expect(await pair.adm('b', 'dstate', 'r0')).toMatchObject({ exit: 0, stdout: 'Consistent\n' });
    expect((await pair.shim('b', 'drbdsetup', 'events2', '--now', 'r0')).stdout).toBe('exists -\n');
    expect(await pair.adm('b', 'role', 'nope')).toMatchObject({ exit: 1 });
    await pair.adm('b', 'up', 'r0');
    await pair.isInSync();
  });
});
