/** `drbdadm` and `drbdsetup` as scripts that fail as the real ones do, run by the real command runner. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import { QuorateError } from '../../src/errors.ts';
import { ChildRunner } from '../../src/executor/commands.ts';
import { type CommandRunner, DrbdResource, parseEvents } from '../../src/resources/index.ts';
import { FakeDrbd } from '../executor/support/fake-drbd.ts';
import { CAPTURES as DRBD } from './drbd-captures.ts';

const systemPath = process.env.PATH ?? '';
let directory: string;
let tools: FakeDrbd;
let runner: ChildRunner;
let drbd: DrbdResource;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-drbd-'));
  tools = new FakeDrbd(directory);
  process.env.PATH = tools.path;
  runner = new ChildRunner(directory, systemClock);
  drbd = new DrbdResource({ name: 'block', resource: 'r0', runner, clock: systemClock });
});
afterEach(() => {
  process.env.PATH = systemPath;
  rmSync(directory, { recursive: true, force: true });
});

const within = (ms: number, signal: AbortSignal = new AbortController().signal) => ({
  deadline: instant(systemClock.now() + ms),
  signal,
});
const acquire = (ms = 5000) => drbd.acquire({ ...within(ms), previousReleased: false });
const errorOf = async (acting: Promise<unknown>): Promise<QuorateError> => {
  const error = await acting.then(
    () => null,
    (caught: unknown) => caught,
  );
  if (!(error instanceof QuorateError)) throw new Error(`expected a QuorateError, got ${String(error)}`);
  return error;
};

describe('drbd', () => {
  it('looks, then promotes; never with force (O3)', async () => {
    expect(await acquire()).toBe('Primary');
    expect(tools.role).toBe('Primary');
    expect(tools.calls).toEqual(['drbdsetup events2 --now r0', 'drbdadm primary r0']);
    expect((await drbd.probe(within(1000))).probe).toBe('held');
  });

  it.each([
    [11, '0: State change failed: (-1) Multiple primaries not allowed by config'],
    [17, '0: State change failed: (-2) Need access to UpToDate data'],
  ])('code %i is final and quoted', async (code, sentence) => {
    tools.set('refuse', `${code}\n${sentence}`);
    const error = await errorOf(acquire());
    expect(error.code).toBe('drbd-refused');
    expect(error.message).toContain(sentence);
    expect(tools.calls.filter((call) => call.startsWith('drbdadm'))).toHaveLength(1);
  });

  it('O3: where an operator allows it, promotes old data by force, after a plain promotion was refused for want of new', async () => {
    tools.set('disk', 'Outdated');
    tools.set('refuse', '17\n0: State change failed: (-2) Need access to UpToDate data');
    tools.set('obeys-force');
    expect((await errorOf(acquire())).code).toBe('drbd-refused');
    tools.clear('calls');
    const said = await drbd.acquire({ ...within(5000), previousReleased: false, mayForce: true });
    expect(said).toBe('Primary, forced (the disk was Outdated)');
    expect(tools.calls.filter((call) => call.startsWith('drbdadm'))).toEqual([
      'drbdadm primary r0',
      'drbdadm primary --force r0',
    ]);
    expect(tools.role).toBe('Primary');
  });

  it('O3: --force is in no command but that one, whatever DRBD says', async () => {
    const DISKS = [
      'UpToDate',
      'Consistent',
      'Outdated',
      'Inconsistent',
      'Diskless',
      'Failed',
      'Attaching',
      '',
    ];
    const forced: string[] = [];
    for (const disk of DISKS)
      for (const code of [0, 5, 10, 11, 17, 20])
        for (const mayForce of [undefined, false, true]) {
          const calls: string[] = [];
          const answer = (code: number, stdout = '') =>
            ({ kind: 'exited', code, stdout, stderr: '0: State change failed' }) as const;
          const fake: CommandRunner = {
            run: async (command) => {
              calls.push(command.join(' '));
              if (command[0] !== 'drbdsetup') return answer(command.includes('--force') ? 0 : code);
              return answer(
                0,
                `exists resource name:r0 role:Secondary suspended:no\nexists device name:r0 volume:0 minor:0 disk:${disk}\nexists -\n`,
              );
            },
            killMarked: async () => 0,
            follow: () => () => undefined,
          };
          const device = new DrbdResource({
            name: 'block',
            resource: 'r0',
            runner: fake,
            clock: systemClock,
          });
          const context = { ...within(5000), previousReleased: true };
          await device
            .acquire({ ...context, ...(mayForce === undefined ? {} : { mayForce }) })
            .catch(() => '');
          await device.release({ ...within(50), mode: 'abrupt' }).catch(() => '');
          await device.resumeIo(within(50)).catch(() => '');
          const at = calls.findIndex((call) => call.includes('--force'));
          if (at >= 0)
            forced.push(`${disk} ${code} ${mayForce} ${calls.slice(0, at).includes('drbdadm primary r0')}`);
        }
    expect(forced).toEqual(['UpToDate', 'Consistent', 'Outdated'].map((disk) => `${disk} 17 true true`));
  });

  it('names its devices by their numbers, or says that it does not know them', async () => {
    expect(await drbd.devices(within(1000))).toEqual(['/dev/drbd0']);
    tools.set('down');
    expect((await errorOf(drbd.devices(within(1000)))).message).toContain('it is down');
    tools.set('unreadable');
    expect((await errorOf(drbd.devices(within(1000)))).message).toContain('code 20');
    const lastSeen = () => parseEvents(DRBD.nine.replaceAll(/minor:\d+ /g, ''), 'r0');
    const unsaid = new DrbdResource({ name: 'block', resource: 'r0', runner, clock: systemClock, lastSeen });
    expect((await errorOf(unsaid.devices(within(1000)))).code).toBe('command-failed');
  });

  it('does not even ask with a failed disk (H3)', async () => {
    tools.set('disk', 'Diskless');
    expect((await errorOf(acquire())).message).toContain('Diskless');
    expect(tools.calls).toEqual(['drbdsetup events2 --now r0']);
  });

  it('missing tools: a probe is unknown, an action names the remedy', async () => {
    process.env.PATH = '/nonexistent';
    expect((await drbd.probe(within(1000))).probe).toBe('unknown');
    const error = await errorOf(acquire());
    expect(error.code).toBe('drbd-tools-missing');
    expect(error.oneLine).toContain('apt-get install drbd-utils');
  });

  it('a hanging command is killed at the deadline, with its children, and named', async () => {
    tools.set('hang');
    const startedAt = systemClock.now();
    const error = await errorOf(drbd.release({ ...within(200), mode: 'abrupt' }));
    // It hangs for a minute.
    expect(systemClock.now() - startedAt).toBeLessThan(10_000);
    expect(error.code).toBe('command-timed-out');
    expect(error.message).toContain('drbdadm secondary r0');
    expect(error.message).toMatch(/\d+ ms/);
    expect(await runner.killInFlight(1000)).toBe(true);
    expect((await drbd.probe(within(200))).probe).toBe('unknown');
  });

  it('R1: held open is asked again until the last user is gone', async () => {
    await acquire();
    tools.set('held-open');
    const releasing = drbd.release({ ...within(10_000), mode: 'abrupt' });
    while (tools.calls.filter((call) => call === 'drbdadm secondary r0').length < 2)
      await systemClock.sleep(5);
    tools.clear('held-open');
    expect(await releasing).toBe('Secondary');
    expect(tools.role).toBe('Secondary');
  });

  it('R1: held open to the end is an error, not a release', async () => {
    await acquire();
    tools.set('held-open');
    const error = await errorOf(drbd.release({ ...within(300), mode: 'abrupt' }));
    expect(['command-timed-out', 'drbd-refused']).toContain(error.code);
    expect((await drbd.probe(within(1000))).probe).toBe('held');
  });

  it('code 20 is unknown; a resource that is down is not held', async () => {
    tools.set('unreadable');
    expect((await drbd.probe(within(1000))).probe).toBe('unknown');
    tools.clear('unreadable');
    tools.set('down');
    expect((await drbd.probe(within(1000))).probe).toBe('not-held');
  });

  it('H3: resumes I/O only when it is suspended', async () => {
    expect(await drbd.resumeIo(within(1000))).toContain('not suspended');
    tools.set('suspended', 'fencing');
    expect(await drbd.resumeIo(within(1000))).toBe('I/O resumed');
    expect(tools.get('suspended')).toBe('no');
  });

  it('R1: frozen I/O is ended by taking the own disk away first; the disk comes back once, when asked to', async () => {
    await acquire();
    tools.set('suspended', 'fencing');
    // With its peer there it is none of our business.
    expect(await errorOf(drbd.abandonIo(within(5000)))).toMatchObject({ code: 'release-unverified' });
    expect(tools.get('disk')).toBe('UpToDate');
    tools.set('connection', 'Connecting');
    await drbd.abandonIo(within(5000));
    const acted = tools.calls.filter((call) => call.startsWith('drbdadm')).slice(-2);
    expect(acted).toEqual(['drbdadm detach --force r0', 'drbdadm resume-io r0']);
    // While the disk only fails, DRBD would take it for one that went on alone.
    expect(tools.get('disk-when-resumed')).toBe('Diskless');
    expect(tools.get('disk')).toBe('Diskless');
    expect(await drbd.release({ ...within(5000), mode: 'abrupt' })).toBe('Secondary');
    expect(await drbd.reattach(within(5000))).toContain('attached again');
    expect(tools.get('disk')).toBe('Consistent');
    expect(await drbd.reattach(within(5000))).toBeNull();
  });

  it('R1: a disk that somebody else has attached meanwhile is left alone, and is detached again the next time', async () => {
    tools.set('suspended', 'fencing');
    tools.set('connection', 'Connecting');
    await drbd.abandonIo(within(5000));
    tools.set('disk', 'UpToDate');
    expect(await drbd.reattach(within(5000))).toContain('attached');
    expect(tools.calls).not.toContain('drbdadm attach r0');
    await drbd.abandonIo(within(5000));
    expect(tools.get('disk')).toBe('Diskless');
  });

  it('R1: a disk that is not gone in time: what is frozen stays frozen', async () => {
    tools.set('disk-hangs');
    tools.set('suspended', 'fencing');
    tools.set('connection', 'Connecting');
    const error = await errorOf(drbd.abandonIo(within(1000)));
    expect(['release-unverified', 'command-timed-out']).toContain(error.code);
    expect(tools.calls).not.toContain('drbdadm resume-io r0');
  });

  it('R1: where nothing can be read, no disk is detached and no I/O resumed', async () => {
    tools.set('hang');
    await errorOf(drbd.abandonIo(within(200)));
    expect(tools.calls).not.toContain('drbdadm resume-io r0');
    expect(tools.calls).not.toContain('drbdadm detach --force r0');
  });
});
