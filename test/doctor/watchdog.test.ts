/** H2 and L5 on the device: there, free, short enough; and armed only where that can be undone. */
import { describe, expect, it } from 'vitest';
import { deriveTiming } from '../../src/config/index.ts';
import type { ArmedWatchdog, CheckContext } from '../../src/doctor/context.ts';
import { watchdogCheck } from '../../src/doctor/watchdog.ts';
import { brief, configOf, configWith, contextOf, type FakeHost, one } from './support.ts';

const SYSFS = '/sys/class/watchdog/watchdog0';
const softdog = (changes: Record<string, string> = {}): FakeHost => ({
  kinds: { '/dev/watchdog': 'character' },
  files: {
    [`${SYSFS}/identity`]: 'Software Watchdog\n',
    [`${SYSFS}/timeout`]: '1\n',
    [`${SYSFS}/state`]: 'inactive\n',
    [`${SYSFS}/nowayout`]: '0\n',
    '/proc/1/comm': 'systemd\n',
    '/proc/77/comm': 'node\n',
    ...changes,
  },
});
const heldBy = (pid: number): FakeHost => ({
  ...softdog({ [`${SYSFS}/state`]: 'active\n' }),
  links: { [`/proc/${pid}/fd/9`]: '/dev/watchdog' },
});

const look = (fake: FakeHost, parts: Partial<CheckContext> = {}) => watchdogCheck.run(contextOf(fake, parts));
const executor = (pid: number | null, open?: CheckContext['watchdog']['open']): Partial<CheckContext> => ({
  watchdog: {
    executor: () => pid,
    open: open ?? (() => Promise.reject(new Error('must not be opened'))),
  },
});

it('a softdog that nobody has', async () => {
  expect(brief(await look(softdog()))).toEqual(['ok device', 'ok holder', 'ok timeout']);
});

describe('the device', () => {
  it.each([
    ['required', {}, 'failed'],
    ['required', { kinds: { '/dev/watchdog': 'file' } }, 'failed'],
    ['automatic', {}, 'warning'],
    ['off', softdog(), 'warning'],
  ])('mode %s, %#: %s', async (mode, fake, result) => {
    const config = configWith('mode: required', `mode: ${mode}`);
    expect(one(await look(fake as FakeHost, { config }), 'device').result).toBe(result);
  });

  it('off says what it costs', async () => {
    const config = configWith('mode: required', 'mode: off');
    expect(one(await look(softdog(), { config }), 'device').detail).toContain(
      'can write beside its successor',
    );
  });

  it('is no concern of a witness', async () => {
    expect(brief(await look({}, { config: configOf(undefined, 'w') }))).toEqual(['skipped device']);
  });
});

describe('who has it', () => {
  it('the executor', async () => {
    expect(one(await look(heldBy(77), executor(77)), 'holder')).toMatchObject({ result: 'ok' });
  });
  it('systemd, which can be told to let go', async () => {
    const finding = one(await look(heldBy(1), executor(77)), 'holder');
    expect(finding.result).toBe('failed');
    expect(finding.detail).toContain('"systemd" (process 1)');
    expect(finding.remedy).toContain('RuntimeWatchdogSec=off');
  });
  it('another program', async () => {
    expect(one(await look(heldBy(77)), 'holder')).toMatchObject({ result: 'failed' });
  });
  it('of another device is nobody of this one', async () => {
    const config = configWith('device: /dev/watchdog', 'device: /dev/watchdog1');
    const fake = { ...heldBy(77), kinds: { '/dev/watchdog1': 'character' } } as const;
    expect(one(await look(fake, { config }), 'holder').result).toBe('unknown');
  });
  it('not to be seen without root', async () => {
    const active = softdog({ [`${SYSFS}/state`]: 'active\n' });
    expect(one(await look(active, executor(77)), 'holder').result).toBe('unknown');
    expect(one(await look(active), 'holder').result).toBe('warning');
    expect(one(await look(softdog({ [`${SYSFS}/state`]: '' })), 'holder').result).toBe('unknown');
  });
});

describe('L5: the timeout', () => {
  const inForce = (timeoutMs: number | null): Partial<CheckContext> => ({
    clusterTiming: async () => deriveTiming(configOf().timing, timeoutMs),
  });
  const seconds = (text: string): FakeHost => softdog({ [`${SYSFS}/timeout`]: text });
  it.each([
    ['as the promise allows', '1', inForce(1000), 'ok'],
    ['shorter', '1', inForce(2000), 'ok'],
    ['grown since the bootstrap', '60', inForce(1000), 'failed'],
    ['set up without one', '1', inForce(null), 'warning'],
    ['not asked for', '60', {}, 'ok'],
    ['more than an hour', '9999', {}, 'failed'],
    ['garbage', 'ten', {}, 'unknown'],
    ['cut off', '', {}, 'unknown'],
  ])('%s (%s s)', async (_what, text, parts, result) => {
    expect(one(await look(seconds(text), parts), 'timeout').result).toBe(result);
  });

  it('of a kernel without sysfs is what the config says, unproven', async () => {
    const silent = seconds('');
    expect(one(await look(silent), 'timeout').detail).toMatch('does not open it');
    const config = configWith('mode: required', 'mode: required, timeout: 500ms');
    expect(one(await look(silent, { config }), 'timeout')).toMatchObject({ result: 'unknown' });
    expect(one(await look(silent, { config }), 'timeout').detail).toMatch(
      '500 ms, and the executor believes it',
    );
  });

  it('longer than the config says', async () => {
    const config = configWith('mode: required', 'mode: required, timeout: 500ms');
    expect(one(await look(softdog(), { config }), 'timeout')).toMatchObject({ result: 'failed' });
  });

  it('of a stand-in is what the config says', async () => {
    const fake: FakeHost = { kinds: { '/dev/watchdog': 'socket' } };
    expect(one(await look(fake), 'timeout').result).toBe('failed');
    const config = configWith('mode: required', 'mode: required, timeout: 500ms');
    expect(one(await look(fake, { config }), 'timeout')).toMatchObject({
      result: 'ok',
      measured: { kind: 'watchdog', timeoutMs: 500 },
    });
  });
});

describe('arming', () => {
  const armed = () => {
    const did: string[] = [];
    const device: ArmedWatchdog = {
      timeoutMs: 1000,
      canDisarm: true,
      pet: () => void did.push('pet'),
      disarm: async () => void did.push('disarm'),
    };
    const open = async (): Promise<ArmedWatchdog> => {
      did.push('open');
      return device;
    };
    return { did, device, open };
  };

  it('is not tried unless asked for', async () => {
    const { did, open } = armed();
    expect(brief(await look(softdog(), executor(null, open)))).not.toContain('ok arming');
    expect(did).toEqual([]);
  });

  it('opens, pets and closes it in order', async () => {
    const { did, open } = armed();
    const findings = await look(softdog(), { ...executor(null, open), armWatchdog: true });
    expect(one(findings, 'arming').result).toBe('ok');
    expect(did).toEqual(['open', 'pet', 'disarm']);
  });

  it('closes it also when the pet fails', async () => {
    const { did, device, open } = armed();
    device.pet = () => {
      throw new Error('EIO');
    };
    await expect(look(softdog(), { ...executor(null, open), armWatchdog: true })).rejects.toThrow('EIO');
    expect(did).toEqual(['open', 'disarm']);
  });

  it.each([
    ['the executor has it', softdog(), 77, 'skipped'],
    ['nowayout: closing would not stop it', softdog({ [`${SYSFS}/nowayout`]: '1\n' }), null, 'unknown'],
    ['whether it can be stopped is not known', softdog({ [`${SYSFS}/nowayout`]: '' }), null, 'unknown'],
  ])('is not tried where %s', async (_what, fake, pid, result) => {
    const { did, open } = armed();
    const findings = await look(fake, { ...executor(pid, open), armWatchdog: true });
    expect(one(findings, 'arming').result).toBe(result);
    expect(did).toEqual([]);
  });

  it('has failed where the device cannot be opened', async () => {
    const parts = { ...executor(null, () => Promise.reject(new Error('EBUSY'))), armWatchdog: true };
    expect(one(await look(softdog(), parts), 'arming')).toMatchObject({
      result: 'failed',
      detail: 'cannot be armed: EBUSY',
    });
  });
});
