/** A pool that each node has for itself: opened and mounted by a takeover, shut and unmounted by a release. */
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { epoch, instant } from '../../src/core/index.ts';
import { QuorateError } from '../../src/errors.ts';
import { receiveArguments } from '../../src/replication/receiver/not-taken.ts';
import {
  type AcquireContext,
  isReleased,
  PoolMemory,
  ReplicatedPoolResource,
} from '../../src/resources/index.ts';
import { parseCopies } from '../../src/resources/replicated-datasets.ts';
import { FakeCopies } from './support/fake-copies.ts';
import { VirtualClock } from './support/virtual-clock.ts';

let zfs: FakeCopies;
let clock: VirtualClock;
let memory: PoolMemory;
let receives: string[];
beforeEach(() => {
  zfs = new FakeCopies();
  clock = new VirtualClock();
  memory = new PoolMemory();
  receives = [];
});

type Options = ConstructorParameters<typeof ReplicatedPoolResource>[0];
const make = (more: Partial<Options> = {}) => {
  const { kernel, readMounts, runner, devices } = zfs;
  return new ReplicatedPoolResource({
    ...{ name: 'tank', pool: 'tank', loadKeys: false, mayKill: true, memory, ownPaths: ['/', '/var/lib/q'] },
    ...{ kernel, readMounts, runner, clock, devices },
    endReceives: async (pool) => {
      receives.push(pool);
      zfs.calls.push('end receives');
      return null;
    },
    endAside: async () => {
      zfs.calls.push('end aside');
      return null;
    },
    ...more,
  });
};
const inMs = (ms: number) => ({ deadline: instant(clock.now() + ms), signal: new AbortController().signal });
const acquire = (of = make(), more: Partial<AcquireContext> = {}) =>
  of.acquire({ ...inMs(60_000), previousReleased: false, epoch: epoch(7), ...more });
const release = (of = make(), mode: 'planned' | 'abrupt' = 'abrupt', ms = 30_000) =>
  of.release({ ...inMs(ms), mode });
const probe = (of = make()) => of.probe(inMs(5000));
const isShut = () => [...zfs.datasets.keys()].every((name) => zfs.isReadonly(name));

describe('a node that does not hold', () => {
  it('R2: starts with a pool that a boot has mounted and left writable: it is shut and unmounted', async () => {
    zfs.mountAll();
    expect(isReleased(await probe())).toBe(false);
    await release();
    expect([zfs.mounts, isShut()]).toEqual([[], true]);
    expect(await probe()).toEqual({
      probe: 'not-held',
      detail: 'tank is ONLINE, read-only and not mounted',
    });
  });

  it('R1: abruptly everything is shut before anybody is waited for: writes are refused, whoever keeps a file open', async () => {
    zfs.mountAll();
    zfs.busy.add('/srv/home');
    zfs.stuck = true;
    await expect(release(make(), 'abrupt', 300)).rejects.toThrow(/busy/);
    expect(zfs.mayWrite('tank/home')).toBe(false);
    const first = zfs.changes[0];
    expect(first).toBe('zfs set readonly=on quorate:readonly=on tank');
    expect(isReleased(await probe())).toBe(false);
  });

  it('also what a dataset has for itself is shut; what a person made read-only keeps no word of ours', async () => {
    zfs.set('tank/home', 'readonly=off');
    zfs.set('tank/disk', 'readonly=on');
    await release();
    expect(isShut()).toBe(true);
    expect(zfs.datasets.get('tank/disk')?.own.has('quorate:readonly')).toBe(false);
    await acquire();
    expect(zfs.isReadonly('tank/disk')).toBe(true);
    expect([zfs.isReadonly('tank'), zfs.isReadonly('tank/home')]).toEqual([false, false]);
  });

  it.each(['tank/disk', '/dev/zvol/tank/disk'])(
    'R2: a volume that is open (%s) is not released',
    async (by) => {
      await release();
      if (by.startsWith('/')) zfs.busy.add(by);
      else zfs.exported.add(by);
      const found = await probe();
      expect([found.probe, found.isPartial, found.detail]).toEqual([
        'not-held',
        true,
        'tank is ONLINE, read-only, and the volume tank/disk is open',
      ]);
      zfs.stuck = true;
      await expect(release(make(), 'abrupt', 300)).rejects.toThrow(/volume tank\/disk is open/);
    },
  );

  it('R1: processes on a volume are killed in an abrupt release, and only where that is allowed', async () => {
    zfs.busy.add('/dev/zvol/tank/disk');
    await expect(release(make({ mayKill: false }), 'abrupt', 300)).rejects.toThrow(/is open/);
    expect(zfs.calls.some((call) => call.startsWith('fuser -k'))).toBe(false);
    await release();
    expect(isReleased(await probe())).toBe(true);
  });

  it('H4: whether a volume is open whose device does not answer is unknown', async () => {
    await release();
    zfs.silent.add('/dev/zvol/tank/disk');
    expect(await probe()).toEqual({
      probe: 'unknown',
      detail: 'tank is ONLINE, read-only: whether /dev/zvol/tank/disk is open cannot be found out',
    });
    await expect(release(make(), 'abrupt', 300)).rejects.toMatchObject({ code: 'release-unverified' });
  });

  it('what is kept aside of a former tenure is left alone, mounted or not', async () => {
    zfs.add('tank/.diverged', 'none');
    zfs.add('tank/.diverged/7', 'none');
    zfs.add('tank/.diverged/7/home', '/look');
    zfs.set('tank/.diverged/7/home', 'readonly=on', 'canmount=noauto');
    zfs.mounts.push({ source: 'tank/.diverged/7/home', mountPoint: '/look' });
    await release();
    expect(isReleased(await probe())).toBe(true);
    await acquire();
    expect(zfs.isReadonly('tank/.diverged/7/home')).toBe(true);
    await release();
    expect(zfs.mounts).toEqual([{ source: 'tank/.diverged/7/home', mountPoint: '/look' }]);
  });
});

describe('a takeover', () => {
  beforeEach(() => release());

  it('ends what is being received, says whose tenure writes, then opens and mounts, parents first', async () => {
    zfs.calls.length = 0;
    expect(await acquire()).toBe('tank can be written to, 3 file systems mounted');
    expect(zfs.changes).toEqual([
      'end receives',
      'end aside',
      'zfs set quorate:written=7 quorate:closed=no readonly=off quorate:readonly=off tank',
      'zfs mount tank',
      'zfs mount tank/home',
      'zfs mount tank/home/deep',
    ]);
    expect(await probe()).toEqual({ probe: 'held', detail: 'tank is ONLINE, 3 file systems mounted' });
    expect([...zfs.datasets.keys()].every((name) => zfs.mayWrite(name))).toBe(true);
  });

  it('opens copies that were received read-only, each for itself', async () => {
    zfs.set('tank/home', 'readonly=on', 'quorate:readonly=on');
    zfs.set('tank/disk', 'readonly=on', 'quorate:readonly=on');
    await acquire();
    expect([...zfs.datasets.keys()].some((name) => zfs.isReadonly(name))).toBe(false);
    await release();
    expect(isShut()).toBe(true);
  });

  it('what a receive sets on a copy does not keep the takeover from mounting it', async () => {
    zfs.set(
      'tank/home',
      ...receiveArguments('tank/home', 'filesystem', new Map()).filter((word) => word.includes('=')),
    );
    expect(await acquire()).toBe('tank can be written to, 3 file systems mounted');
    expect(zfs.mayWrite('tank/home')).toBe(true);
  });

  it('what is right already is not touched; the next tenure says so in the pool', async () => {
    await acquire();
    zfs.calls.length = 0;
    await acquire(make(), { isFirst: false });
    expect(zfs.changes).toEqual(['end receives']);
    await acquire(make(), { epoch: epoch(9) });
    expect(zfs.datasets.get('tank')?.own.get('quorate:written')).toBe('9');
  });

  it('what a person makes read-only in a tenure stays so in the next one', async () => {
    await acquire();
    zfs.set('tank/home', 'readonly=on');
    await release();
    await acquire(make(), { epoch: epoch(9) });
    expect([zfs.isReadonly('tank'), zfs.isReadonly('tank/home')]).toEqual([false, true]);
  });

  it('a copy that never arrived whole is left out, and said; part of a later stream does no harm', async () => {
    const half = zfs.add('tank/half', '/srv/half');
    half.isPartial = true;
    half.snapshots = [];
    const home = zfs.datasets.get('tank/home');
    if (home !== undefined) home.isPartial = true;
    expect(await acquire()).toMatch(/3 file systems mounted, left out \(never arrived whole\): tank\/half$/);
    expect(await probe()).toMatchObject({
      probe: 'held',
      detail: expect.stringMatching(/^degraded: .*tank\/half/),
    });
    expect(zfs.calls.some((call) => call.includes('receive -A') || call.includes('destroy'))).toBe(false);
  });

  describe('of a pool with a copy that is no part of what the last holder had', () => {
    beforeEach(() => {
      zfs.add('tank/old', '/srv/old');
      zfs.add('tank/old/keep', '/srv/old/keep');
      zfs.add('tank/old/disk', '-', 'volume');
      for (const name of ['tank/old', 'tank/old/keep', 'tank/home'])
        zfs.set(name, 'readonly=on', 'quorate:readonly=on');
      zfs.set('tank/old', 'quorate:left-out=1:1790000000');
    });
    const said = 'left out: tank/old (not replicated since 2026-09-21T14:13:20Z), tank/old/disk';

    it('leaves it read-only and unmounted with what has its readonly from it, mounts what is part below it, and says so', async () => {
      expect(await acquire()).toContain(`4 file systems mounted, ${said}`);
      expect(zfs.mounts.map(({ source }) => source)).toEqual([
        ...['tank', 'tank/home', 'tank/home/deep', 'tank/old/keep'],
      ]);
      expect(['tank/old', 'tank/old/disk'].every((name) => zfs.isReadonly(name))).toBe(true);
      expect(zfs.mayWrite('tank/old/keep')).toBe(true);
      expect(zfs.datasets.get('tank/old')?.own.get('quorate:readonly')).toBe('on');
      const found = await probe();
      expect([found.probe, found.isPartial]).toEqual(['held', undefined]);
      expect(found.detail).toMatch(
        /^degraded: tank is ONLINE, 4 file systems mounted, left out: tank\/old \(/,
      );
      zfs.calls.length = 0;
      await acquire(make(), { isFirst: false });
      expect(zfs.changes).toEqual(['end receives']);
      await release();
      expect([zfs.mounts, isShut(), isReleased(await probe())]).toEqual([[], true, true]);
    });

    it('nor is one opened with the pool itself, from which it inherits: it is shut before that', async () => {
      zfs.set('tank/disk', 'quorate:left-out=1:-');
      zfs.set('tank/old/disk', 'quorate:left-out=1:7');
      expect(zfs.isReadonly('tank/disk')).toBe(true);
      zfs.calls.length = 0;
      expect(await acquire()).toContain('tank/disk (not replicated any more)');
      const sets = zfs.changes.filter((call) => call.startsWith('zfs set'));
      expect(sets.slice(0, 2)).toEqual([
        'zfs set readonly=on quorate:readonly=on tank/disk',
        'zfs set readonly=on quorate:readonly=on tank/old/disk',
      ]);
      expect(['tank/disk', 'tank/old', 'tank/old/disk'].every((name) => zfs.isReadonly(name))).toBe(true);
      zfs.datasets.get('tank/disk')?.own.delete('quorate:left-out');
      await acquire(make(), { isFirst: false });
      expect([zfs.isReadonly('tank/disk'), zfs.isReadonly('tank/old/disk')]).toEqual([false, true]);
    });

    it('and opens it once a person has taken the mark away, mounted by the next takeover', async () => {
      await acquire();
      zfs.datasets.get('tank/old')?.own.delete('quorate:left-out');
      expect(await probe()).toMatchObject({ probe: 'not-held', isPartial: true });
      expect(await acquire(make(), { isFirst: false })).toContain('left out: tank/old');
      expect([zfs.isReadonly('tank/old'), zfs.isReadonly('tank/old/disk')]).toEqual([false, false]);
      expect(zfs.mayWrite('tank/old')).toBe(false);
      await release();
      expect(await acquire(make(), { epoch: epoch(9) })).toBe(
        'tank can be written to, 5 file systems mounted',
      );
      expect([...zfs.datasets.keys()].every((name) => zfs.mayWrite(name))).toBe(true);
    });

    it('or has opened it first: then nothing is repaired', async () => {
      await acquire();
      zfs.set('tank/old', 'readonly=off', 'quorate:readonly=off');
      expect((await probe()).probe).toBe('held');
      zfs.datasets.get('tank/old')?.own.delete('quorate:left-out');
      expect(await probe()).toMatchObject({ probe: 'held', detail: expect.stringContaining('tank/old') });
    });
  });

  it('opens nothing while something else is received', async () => {
    const why = new QuorateError('pool-receiving', 'process 1 receives a stream into tank/home');
    await expect(acquire(make({ endReceives: () => Promise.reject(why) }))).rejects.toThrow(/process 1/);
    expect(isShut()).toBe(true);
  });

  it('never imports, and does nothing with a pool that is not usable', async () => {
    for (const [state, code] of [
      [null, 'pool-unusable'],
      ['SUSPENDED', 'pool-unusable'],
      ['FAULTED', 'pool-unusable'],
      ['WHATEVER', 'command-failed'],
    ] as const) {
      zfs.state = state;
      zfs.calls.length = 0;
      await expect(acquire()).rejects.toMatchObject({ code });
      expect(zfs.calls).toEqual([]);
    }
  });

  it('a command that fails or says nothing is an error, and what is not known to be open is not held', async () => {
    zfs.failures.set('zfs set', "cannot set property for 'tank': out of space\n");
    await expect(acquire()).rejects.toThrow(/out of space/);
    zfs.failures.clear();
    zfs.hangs.push('zfs mount tank/home');
    await expect(acquire()).rejects.toMatchObject({ code: 'command-timed-out' });
    expect(await probe()).toMatchObject({ probe: 'not-held', isPartial: true });
    zfs.hangs = ['zfs get'];
    expect((await probe()).probe).toBe('unknown');
    zfs.hangs = [];
    await release();
    expect(isReleased(await probe())).toBe(true);
  });
});

describe('a release', () => {
  beforeEach(async () => {
    await release();
    await acquire();
    zfs.calls.length = 0;
  });

  it('planned: unmounted first, then shut', async () => {
    await release(make(), 'planned');
    expect(zfs.changes).toEqual([
      'umount -- /srv/home/deep',
      'umount -- /srv/home',
      'umount -- /tank',
      'zfs set readonly=on quorate:readonly=on tank',
    ]);
  });

  it('R1: planned, who is busy is asked for a while, nobody is killed, and it may go on writing', async () => {
    zfs.busy.add('/srv/home');
    await expect(release(make(), 'planned')).rejects.toThrow(/busy/);
    expect(zfs.calls.some((call) => call.startsWith('fuser -k'))).toBe(false);
    expect(zfs.mayWrite('tank/home')).toBe(true);
    expect(await acquire(make(), { isFirst: false })).toContain('3 file systems mounted');
    zfs.busy.clear();
    await release(make(), 'planned');
    expect(isReleased(await probe())).toBe(true);
  });

  it("R1: planned, somebody's bind mount is left alone and named; abruptly it goes", async () => {
    zfs.mounts.push({ source: 'tank/home', mountPoint: '/exports/copy' });
    await expect(release(make(), 'planned')).rejects.toThrow(/busy: mounted on \/exports\/copy/);
    await release();
    expect(zfs.mounts).toEqual([]);
  });

  it('a suspended pool is not even tried, and is never released', async () => {
    zfs.state = 'SUSPENDED';
    for (const mode of ['planned', 'abrupt'] as const)
      await expect(release(make(), mode)).rejects.toThrow(/SUSPENDED: .*only a reset of this host/);
    expect(zfs.calls).toEqual([]);
    expect(await probe()).toMatchObject({ probe: 'not-held', isPartial: true });
  });

  it('R1: a command that hangs leaves time for the rest, and nothing is verified', async () => {
    zfs.hangs.push('zfs set');
    const startedAt = clock.now();
    await expect(release(make(), 'abrupt', 1000)).rejects.toMatchObject({ code: 'command-timed-out' });
    expect(clock.now() - startedAt).toBeLessThanOrEqual(1000);
    expect(zfs.mounts).toEqual([]);
    expect(isReleased(await probe())).toBe(false);
  });

  it('R2: one that says that it is done, and is not', async () => {
    const { runner } = zfs;
    const liar = make({
      runner: {
        ...runner,
        run: async (command, options) =>
          command[1] === 'set'
            ? { kind: 'exited', code: 0, stdout: '', stderr: '' }
            : runner.run(command, options),
      },
    });
    await expect(release(liar, 'planned')).rejects.toMatchObject({ code: 'release-unverified' });
    // Whoever needs it reads it back, once everything has ended.
    await release(liar, 'abrupt', 300);
    expect(isReleased(await probe())).toBe(false);
  });

  describe('of many file systems, abruptly', () => {
    const count = (start: string) => zfs.calls.filter((call) => call.startsWith(start)).length;
    beforeEach(async () => {
      for (let at = 0; at < 20; at++) zfs.add(`tank/fs${at}`, `/tank/fs${at}`);
      zfs.add('tank/disk2', '-', 'volume');
      for (const name of zfs.datasets.keys()) zfs.set(name, 'readonly=on', 'quorate:readonly=on');
      await acquire();
      zfs.calls.length = 0;
    });

    it('R1: takes few processes: one reading, one command for a tree', async () => {
      await release();
      expect([zfs.mounts, isShut()]).toEqual([[], true]);
      expect([count('zfs get'), count('zfs set'), count('umount'), count('fuser')]).toEqual([1, 8, 2, 2]);
      expect(zfs.calls).toHaveLength(13);
      expect(isReleased(await probe())).toBe(true);
    });

    it('R1: reads no more often where somebody is busy for a while', async () => {
      zfs.busy.add('/tank/fs7');
      zfs.stuck = true;
      await expect(release(make(), 'abrupt', 500)).rejects.toThrow(/busy/);
      expect(count('fuser -k')).toBeGreaterThan(5);
      expect(count('zfs get')).toBe(1);
    });

    it('R1: one that is busy keeps what it lies in, and nothing else', async () => {
      zfs.busy.add('/tank/fs7');
      zfs.stuck = true;
      await expect(release(make(), 'abrupt', 300)).rejects.toThrow(/busy/);
      expect(zfs.mounts.map(({ mountPoint }) => mountPoint)).toEqual(['/tank', '/tank/fs7']);
    });

    it.each(['zfs get', 'umount -R -- /srv', 'umount'])(
      'R1: what hangs (%s) keeps nothing else from being given up',
      async (what) => {
        zfs.hangs.push(what);
        zfs.busy.add('/dev/zvol/tank/disk2');
        await expect(release(make(), 'abrupt', 1000)).rejects.toMatchObject({
          code: what === 'zfs get' ? 'command-failed' : 'command-timed-out',
        });
        const left = { 'zfs get': [], 'umount -R -- /srv': ['/srv/home', '/srv/home/deep'] }[what];
        if (left !== undefined) expect(zfs.mounts.map(({ mountPoint }) => mountPoint)).toEqual(left);
        expect(zfs.busy.has('/dev/zvol/tank/disk2')).toBe(what === 'zfs get');
        zfs.hangs = [];
        await release();
        expect(isReleased(await probe())).toBe(true);
      },
    );
  });

  it('what Quorate runs from is never touched', async () => {
    zfs.mounts.push({ source: 'tank/home', mountPoint: '/var/lib/q' });
    zfs.calls.length = 0;
    expect((await probe()).probe).toBe('unknown');
    await expect(release()).rejects.toThrow(/what Quorate runs from/);
    expect(zfs.calls).toEqual([]);
  });
});

describe('the word that all intent logs are empty', () => {
  const word = () => zfs.datasets.get('tank')?.own.get('quorate:closed');
  const set = (...words: string[]) => zfs.set('tank', ...words);
  beforeEach(async () => {
    await release();
    set('quorate:complete=1:5:1790000000:running:p1');
  });

  it('is said by an orderly release of a tenure that has begun so, and taken away before anything is opened', async () => {
    await acquire();
    expect(word()).toBe('no');
    await release(make(), 'planned');
    expect(zfs.changes.at(-1)).toBe('zfs set quorate:closed=7 tank');
    // Undone (R1), and what is written then is closed anew.
    await acquire(make(), { isFirst: false });
    expect(word()).toBe('no');
    await release(make(), 'planned');
    expect(word()).toBe('7');
    await acquire(make(), { epoch: epoch(9) });
    expect(word()).toBe('no');
    await release(make(), 'planned');
    expect([word(), zfs.datasets.get('tank')?.own.get('quorate:written')]).toEqual(['9', '9']);
  });

  it('a takeover that was tried twice has begun once', async () => {
    zfs.failures.set('zfs mount tank/home', 'busy\n');
    await expect(acquire()).rejects.toThrow(/busy/);
    zfs.failures.clear();
    await acquire();
    await release(make(), 'planned');
    expect(word()).toBe('7');
  });

  it.each<[string, () => void]>([
    ['after a power cut', () => set('quorate:written=6', 'quorate:closed=no')],
    ['after one in the tenure after an orderly one', () => set('quorate:written=6', 'quorate:closed=5')],
    ['by a version before', () => set('quorate:written=6')],
    [
      'where it never had everything of the other node',
      () => zfs.datasets.get('tank')?.own.delete('quorate:complete'),
    ],
    ['where that cannot be read', () => zfs.failures.set('zfs get -H -p -o property', 'I/O error\n')],
  ])('is not said where nobody knows what they have at its beginning: %s', async (_, before) => {
    before();
    await acquire();
    await release(make(), 'planned');
    expect([word(), isReleased(await probe())]).toEqual(['no', true]);
  });

  it('is said neither by an abrupt release nor after one, nor by a process that has not opened the pool', async () => {
    await acquire();
    await release();
    await release(make(), 'planned');
    expect(word()).toBe('no');
    await acquire(make(), { epoch: epoch(9) });
    memory = new PoolMemory();
    await release(make(), 'planned');
    expect(word()).toBe('no');
  });

  it.each([
    ['fails', () => zfs.failures.set('zfs set quorate:closed', 'I/O error\n')],
    ['hangs', () => zfs.hangs.push('zfs set quorate:closed')],
  ])('where saying it %s everything is released all the same', async (_, act) => {
    await acquire();
    act();
    const startedAt = clock.now();
    expect(await release(make(), 'planned')).toBe('tank is read-only and not mounted');
    expect([word(), clock.now() - startedAt < 10_000]).toEqual(['no', true]);
  });

  it('is not said of a release that has not ended', async () => {
    await acquire();
    zfs.busy.add('/srv/home');
    await expect(release(make(), 'planned')).rejects.toThrow(/busy/);
    expect(word()).toBe('no');
  });
});

describe('whatever happened before', () => {
  const change = fc.oneof(
    fc.record({ kind: fc.constant('acquire' as const), hang: fc.nat(8) }),
    fc.record({ kind: fc.constant('release' as const), hang: fc.nat(8) }),
    fc.record({
      kind: fc.constant('person' as const),
      name: fc.constantFrom('tank', 'tank/home', 'tank/home/deep', 'tank/disk'),
      value: fc.constantFrom('on', 'off'),
    }),
  );

  it('R2: after a release that ended nothing can be written; after a takeover that ended, everything but what a person shut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 12 }), async (changes) => {
        zfs = new FakeCopies();
        memory = new PoolMemory();
        for (const one of changes) {
          if (one.kind === 'person') {
            zfs.set(one.name, `readonly=${one.value}`);
            continue;
          }
          // The power goes, or the command hangs, after so many changes.
          let left = one.hang;
          const { runner } = zfs;
          const dying = {
            ...runner,
            run: async (command: readonly string[], options: Parameters<typeof runner.run>[1]) => {
              if (/^(zfs (set|mount)|umount)/.test(command.join(' '))) left -= 1;
              return left < 0 ? ({ kind: 'aborted' } as const) : runner.run(command, options);
            },
          };
          const of = make({ runner: dying });
          await (one.kind === 'acquire' ? acquire(of) : release(of, 'abrupt', 50)).catch(() => undefined);
        }
        await release();
        expect([zfs.mounts, isShut(), isReleased(await probe())]).toEqual([[], true, true]);
        const isOurs = (name: string) => zfs.datasets.get(name)?.own.get('quorate:readonly') === 'on';
        const ours = [...zfs.datasets.keys()].filter(isOurs);
        await acquire();
        expect(ours.filter((name) => zfs.isReadonly(name))).toEqual([]);
      }),
      { numRuns: 200 },
    );
  }, 120_000);
});

describe('what "zfs get" printed', () => {
  const line = (name: string, property: string, value: string, source: string) =>
    `${name}\t${property}\t${value}\t${source}\n`;
  const whole = [
    line('tank', 'type', 'filesystem', '-'),
    line('tank', 'readonly', 'on', 'local'),
    line('tank', 'quorate:readonly', 'on', 'local'),
    line('tank', 'keystatus', '-', '-'),
    line('tank', 'receive_resume_token', '-', '-'),
    line('tank', 'quorate:left-out', '-', '-'),
  ];

  it('is read whole or not at all', () => {
    expect(parseCopies(whole.join(''), 'tank')).toMatchObject([{ name: 'tank', mark: 'on' }]);
    for (let at = 0; at < whole.length; at++)
      expect(parseCopies(whole.filter((_, other) => other !== at).join(''), 'tank')).toBeNull();
    expect(parseCopies(whole.join('').slice(0, -1), 'tank')).toBeNull();
    expect(parseCopies(whole.join('').replace('\ton\tlocal', '\tmaybe\tlocal'), 'tank')).toBeNull();
    expect(parseCopies(whole.join('').replaceAll('tank\t', 'tank2\t'), 'tank')).toBeNull();
    expect(parseCopies('', 'tank')).toBeNull();
  });

  it('a word that a stream has brought is not ours, but what it has made writable is to be shut', () => {
    const seeded = whole.join('').replaceAll('on\tlocal', 'off\treceived');
    expect(parseCopies(seeded, 'tank')).toMatchObject([
      { mark: null, hasOwnReadonly: true, isReadonly: false },
    ]);
  });

  it('what is left out is what is marked here, and what has its readonly from that; not what has a word of its own', () => {
    const child = (name: string, mark: string, source: string, from: string | null) => {
      const text = whole
        .join('')
        .replaceAll('tank\t', `${name}\t`)

        .replace('left-out\t-\t-', `left-out\t${mark}\t${source}`);
      return from === null ? text : text.replaceAll('on\tlocal', `on\tinherited from ${from}`);
    };
    const mark = '1:1790000000';
    const text = [
      whole.join(''),
      child('tank/old', mark, 'local', null),
      child('tank/old/own', mark, 'inherited from tank/old', 'tank/old'),
      child('tank/old/own/deep', mark, 'inherited from tank/old', 'tank/old'),
      child('tank/old/part', mark, 'inherited from tank/old', null),
      child('tank/old/part/deep', mark, 'inherited from tank/old', 'tank/old/part'),
      child('tank/brought', mark, 'received', null),
      child('tank/strange', '7 who knows', 'local', null),
    ].join('');
    const found = parseCopies(text, 'tank')?.map(({ name, leftOut }) => [name, leftOut]);
    const since = { sinceMs: 1_790_000_000_000, isOwn: true };
    const above = { ...since, isOwn: false };
    expect(found).toEqual([
      ['tank', null],
      ['tank/old', since],
      ['tank/old/own', above],
      ['tank/old/own/deep', above],
      ['tank/old/part', null],
      ['tank/old/part/deep', null],
      ['tank/brought', null],
      ['tank/strange', { sinceMs: null, isOwn: true }],
    ]);
  });

  it("a word that is inherited is not the dataset's own", () => {
    const child = whole.join('').replaceAll('tank\t', 'tank/a\t').replaceAll('local', 'inherited from tank');
    expect(parseCopies(whole.join('') + child, 'tank')?.[1]).toMatchObject({
      mark: null,
      hasOwnReadonly: false,
    });
  });
});
