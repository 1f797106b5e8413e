/** ρ of L5: what NTP may do to the monotonic clock; T3: whether a suspend could be seen. */
import { describe, expect, it } from 'vitest';
import { DEFAULT_SLEW_PPM, parseTracking, readSlewRate } from '../../src/doctor/chrony.ts';
import { chronySnippet, clockCheck, parseUptime } from '../../src/doctor/clock.ts';
import { configWith, contextOf, exited, type FakeHost, one } from './support.ts';

/** `chronyc -c tracking` of chrony 4.6 (with the server's name) and of an older one (without). */
const TRACKING =
  'C0248F97,time.example.org,3,1795694887.316212893,0.000003914,-0.000020219,0.000013551,-4.178,-0.001,0.062,0.017829880,0.001158720,64.8,Normal\n';
const OLDER =
  '50505300,1,1776153600.123456,0.000000015,0.000000021,0.000000034,-1.234,0.001,0.015,0.000000000,0.000015000,16.0,Normal\n';
const DEBIAN = '# Welcome\nconfdir /etc/chrony/conf.d\npool 2.debian.pool.ntp.org iburst\nmakestep 1 3\n';

const uptime = { '/proc/uptime': '465.12 858.42\n' };
const daemon = (name: string) => ({ '/proc/312/comm': `${name}\n`, '/proc/1/comm': 'systemd\n' });

const look = (fake: FakeHost, parts = {}) => {
  const files = { ...uptime, ...fake.files };
  return clockCheck.run(contextOf({ ...fake, files }, parts));
};

describe('chronyc -c tracking', () => {
  it('is counted from the end', () => {
    expect(parseTracking(TRACKING)).toEqual({
      frequencyPpm: -4.178,
      residualPpm: -0.001,
      skewPpm: 0.062,
      leap: 'Normal',
    });
    expect(parseTracking(OLDER)).toEqual({
      frequencyPpm: -1.234,
      residualPpm: 0.001,
      skewPpm: 0.015,
      leap: 'Normal',
    });
  });
  it.each([
    '',
    '506 Cannot talk to daemon\n',
    TRACKING.slice(0, 60),
    TRACKING.replace('-4.178', 'fast'),
    TRACKING.replace('Normal', ''),
    `${TRACKING}${TRACKING}`,
    'a,b,c,d,e,f,g,h,i,j,k,l,m',
    `${TRACKING.trim()},more,fields\n`,
  ])('is not understood: %j', (text) => expect(parseTracking(text)).toBeNull());
});

describe('maxslewrate', () => {
  const rate = (files: Record<string, string>, kinds = {}) => readSlewRate(contextOf({ files, kinds }).files);

  it('is a twelfth where nobody says otherwise', async () => {
    expect(await rate({ '/etc/chrony/chrony.conf': DEBIAN })).toMatchObject({
      kind: 'default',
      ppm: DEFAULT_SLEW_PPM,
    });
    expect(await rate({ '/etc/chrony.conf': '' })).toMatchObject({ kind: 'default' });
  });

  it('is the last word of all files in the order in which chronyd reads them', async () => {
    const fragments = {
      '/etc/chrony/conf.d/a.conf': 'maxslewrate 500',
      '/etc/chrony/conf.d/b.conf': '  MaxSlewRate\t1000  \n',
      '/etc/chrony/conf.d/c.sources': 'maxslewrate 9',
    };
    expect(await rate({ '/etc/chrony/chrony.conf': DEBIAN, ...fragments })).toEqual({
      kind: 'set',
      ppm: 1000,
      file: '/etc/chrony/conf.d/b.conf',
    });
    const later = `${DEBIAN}maxslewrate 2000\n`;
    expect(await rate({ '/etc/chrony/chrony.conf': later, ...fragments })).toMatchObject({ ppm: 2000 });
  });

  it('of two directories takes a file of the first one for both', async () => {
    const files = {
      '/etc/chrony.conf': 'confdir /run/chrony.d /etc/chrony.d',
      '/run/chrony.d/x.conf': 'maxslewrate 100',
      '/etc/chrony.d/x.conf': 'maxslewrate 200',
    };
    expect(await rate(files)).toMatchObject({ ppm: 100, file: '/run/chrony.d/x.conf' });
  });

  it('follows include, with a pattern too', async () => {
    const files = {
      '/etc/chrony.conf': 'include /etc/chrony.d/*.inc\n',
      '/etc/chrony.d/1.inc': 'maxslewrate 100',
      '/etc/chrony.d/2.inc': 'include /etc/more',
      '/etc/more': 'maxslewrate 300',
    };
    expect(await rate(files)).toMatchObject({ kind: 'set', ppm: 300, file: '/etc/more' });
  });

  it.each([
    [
      'a comment',
      { '/etc/chrony.conf': '# maxslewrate 100\n! maxslewrate 100\n; maxslewrate 1\n% maxslewrate 1' },
      'default',
    ],
    ['no number', { '/etc/chrony.conf': 'maxslewrate fast' }, 'unreadable'],
    ['two numbers', { '/etc/chrony.conf': 'maxslewrate 100 200' }, 'unreadable'],
    ['a file that includes itself', { '/etc/chrony.conf': 'include /etc/chrony.conf' }, 'unreadable'],
    ['a file that is not there', { '/etc/chrony.conf': 'include /etc/none' }, 'unreadable'],
    ['a pattern that is not understood', { '/etc/chrony.conf': 'include /etc/[ab]/x' }, 'unreadable'],
    ['no config at all', {}, 'absent'],
  ])('%s: %s', async (_what, files, kind) => {
    expect((await rate(files as Record<string, string>)).kind).toBe(kind);
  });

  it('a file that may not be read is not a default', async () => {
    expect((await rate({}, { '/etc/chrony/chrony.conf': 'file' })).kind).toBe('unreadable');
  });
});

describe('slewing', () => {
  const chrony = (conf: string, tracking = TRACKING): FakeHost => ({
    files: { ...daemon('chronyd'), '/etc/chrony/chrony.conf': conf },
    commands: { 'chronyc -c tracking': tracking },
  });

  it("chrony's default of 8 % is refused, with a file that mends it", async () => {
    const finding = one(await look(chrony(DEBIAN)), 'slewing');
    expect(finding).toMatchObject({ result: 'failed' });
    expect(finding.detail).toContain('8.33 % (its default), but clock_error is 0.5 %');
    expect(finding.remedy).toContain('"maxslewrate 1000"');
  });

  it.each([
    ['1000', 'ok'],
    ['4999', 'ok'],
    ['5001', 'failed'],
    ['oops', 'unknown'],
  ])('maxslewrate %s with a clock_error of 0.5 %%: %s', async (value, result) => {
    expect(one(await look(chrony(`maxslewrate ${value}`)), 'slewing').result).toBe(result);
  });

  it('the clock error that is there anyway is added', async () => {
    const rough = TRACKING.replace('-0.001,0.062', '-300.0,250.0');
    expect(one(await look(chrony('maxslewrate 4600', rough)), 'slewing').result).toBe('failed');
    expect(one(await look(chrony('maxslewrate 4400', rough)), 'slewing').result).toBe('ok');
  });

  it('what the file advises fits every clock_error', () => {
    expect(chronySnippet(0.005)).toContain('"maxslewrate 1000"');
    expect(chronySnippet(0.001)).toContain('"maxslewrate 500"');
  });

  it.each([
    ['ntpd', '0.5%', 'ok'],
    ['systemd-timesyn', '0.5%', 'ok'],
    ['ntpd', '0.04%', 'failed'],
  ])('%s slews by 500 ppm: with %s %s', async (name, rate, result) => {
    const config = configWith('clock_error: 0.5%', `clock_error: ${rate}`);
    expect(one(await look({ files: daemon(name) }, { config }), 'slewing').result).toBe(result);
  });

  it.each([
    ['nobody', { '/proc/1/comm': 'init\n' }, 'warning'],
    ['phc2sys', daemon('phc2sys'), 'unknown'],
  ])('%s: %s', async (_name, files, result) => {
    expect(one(await look({ files }), 'slewing').result).toBe(result);
  });

  it.each([
    [TRACKING, 'ok'],
    [TRACKING.replace('0.062', '6000.0'), 'failed'],
    [TRACKING.replace('Normal', 'Not synchronised'), 'warning'],
    ['garbage', 'unknown'],
    [exited(1, '506 Cannot talk to daemon\n'), 'unknown'],
  ])('clock error: %#', async (said, result) => {
    const fake = { ...chrony('maxslewrate 1000'), commands: { 'chronyc -c tracking': said } };
    expect(one(await look(fake), 'clock error').result).toBe(result);
  });
});

describe('T3: suspend detection', () => {
  it('needs /proc/uptime', async () => {
    expect(one(await clockCheck.run(contextOf({ files: daemon('ntpd') })), 'suspend detection').result).toBe(
      'failed',
    );
    expect(one(await look({}), 'suspend detection').result).toBe('ok');
  });

  it('fails where the clocks jump against each other', async () => {
    const { host } = contextOf();
    let jumps = 0;
    const bootMs = (): number => host.bootMs() + 100 * jumps++;
    expect(one(await look({}, { host: { ...host, bootMs } }), 'suspend detection').result).toBe('failed');
  });

  it('is unknown where they cannot be read close enough to each other', async () => {
    const { clock } = contextOf();
    const slow = { ...clock, now: () => (clock.now() * 10) as ReturnType<typeof clock.now> };
    expect(one(await look({}, { clock: slow }), 'suspend detection').result).toBe('unknown');
  });

  it.each([
    ['465.12 858.42\n', 465_120],
    ['465.12', null],
    ['', null],
    [null, null],
    ['-1.00 2.00', null],
    ['465 858', null],
  ])('/proc/uptime %j: %j', (text, ms) => expect(parseUptime(text)).toBe(ms));
});

describe('clock source', () => {
  const file = '/sys/devices/system/clocksource/clocksource0/current_clocksource';
  it.each([
    ['tsc\n', 'ok'],
    ['kvm-clock\n', 'ok'],
    ['arch_sys_counter\n', 'ok'],
    ['acpi_pm\n', 'warning'],
    ['xen\n', 'warning'],
    ['', 'unknown'],
    ['\u0000\u0001', 'unknown'],
  ])('%j: %s', async (text, result) => {
    expect(one(await look({ files: { [file]: text } }), 'clock source').result).toBe(result);
  });
});
