/**
 * Clocks (T3, ρ of L5): a suspend must be visible, and the monotonic clock may not run faster or slower than the config's
 * `clock_error` says. NTP daemons do not only set the wall clock: by slewing they bend the monotonic clock with it.
 */
import { ask, complaint } from './ask.ts';
import { parseTracking, readSlewRate, type SlewRate, type Tracking } from './chrony.ts';
import type { Check, CheckContext } from './context.ts';
import { type Finding, failed, ok, unknown, warning } from './report.ts';

/** As in the executor's suspend check. */
const MAX_BRACKET_MS = 5;
const MAX_READINGS = 5;
const MAX_APART_MS = 50;
const UPTIME_STEP_MS = 10;

const GOOD_SOURCES: ReadonlySet<string> = new Set(['tsc', 'kvm-clock', 'arch_sys_counter']);
const SOURCE_FILE = '/sys/devices/system/clocksource/clocksource0/current_clocksource';

/** The kernel's own loop, which ntpd and timesyncd use, slews by no more. */
const KERNEL_SLEW_PPM = 500;
/** A tenth of a percent: corrects a second in 17 minutes, and is far under the default ρ. */
const ADVISED_SLEW_PPM = 1000;

/** By the name that the kernel keeps, 15 characters. */
const DAEMONS: Readonly<Record<string, 'chronyd' | 'kernel' | 'other'>> = {
  chronyd: 'chronyd',
  ntpd: 'kernel',
  'systemd-timesyn': 'kernel',
  phc2sys: 'other',
};

export const clockCheck: Check = {
  name: 'clock',
  about: 'suspend detection, clock source, and how fast NTP may bend the clock',
  isAlone: false,
  isHarmless: true,
  limitMs: 5000,
  run: async (context) => {
    const parts = await Promise.all([suspend(context), source(context), slewing(context)]);
    return parts.flat();
  },
};

/** T3: without /proc/uptime a suspend cannot be told from a pause, and every lease ends at once: closed, but useless. */
async function suspend(context: CheckContext): Promise<Finding> {
  const subject = 'suspend detection';
  const { clock, files, host } = context;
  const remedy = "Mount /proc as usual; in a container give it the host's /proc/uptime.";
  const uptimeMs = parseUptime(await files.read('/proc/uptime'));
  if (uptimeMs === null)
    return failed(subject, '/proc/uptime cannot be read: no lease would be believed (T3)', remedy);
  const distances: number[] = [];
  for (let reading = 0; reading < MAX_READINGS && distances.length < 2; reading++) {
    const before = clock.now();
    const bootMs = host.bootMs();
    const after = clock.now();
    if (after - before <= MAX_BRACKET_MS) distances.push(bootMs - (before + after) / 2);
  }
  const [first, second] = distances;
  if (first === undefined || second === undefined)
    return unknown(subject, `the two clocks could not be read within ${MAX_BRACKET_MS} ms of each other`);
  if (Math.abs(first - second) > MAX_APART_MS)
    return failed(
      subject,
      `CLOCK_BOOTTIME and CLOCK_MONOTONIC jump by ${Math.round(Math.abs(first - second))} ms against each other: every lease would be void (T3)`,
      remedy,
    );
  return ok(subject, `CLOCK_MONOTONIC and CLOCK_BOOTTIME agree to ${UPTIME_STEP_MS} ms steps`);
}

/** Milliseconds of "465.12 858.42". */
export function parseUptime(text: string | null): number | null {
  const match = /^(\d{1,12}\.\d{2}) \d+\.\d{2}\s*$/.exec(text ?? '');
  return match === null ? null : Number(match[1]) * 1000;
}

async function source({ files }: CheckContext): Promise<Finding> {
  const subject = 'clock source';
  const name = (await files.read(SOURCE_FILE))?.trim() ?? '';
  if (!/^[\w-]{1,40}$/.test(name)) return unknown(subject, `${SOURCE_FILE} says nothing`);
  if (GOOD_SOURCES.has(name)) return ok(subject, name);
  return warning(
    subject,
    `${name} is slow, or not as steady as the lease's arithmetic assumes`,
    `See available_clocksource beside ${SOURCE_FILE}; boot with clocksource=tsc (or kvm-clock) where it is there.`,
  );
}

async function slewing(context: CheckContext): Promise<readonly Finding[]> {
  const subject = 'slewing';
  const running = await daemonsOf(context);
  if (running === null) return [unknown(subject, 'the running processes cannot be listed')];
  const findings: Finding[] = [];
  if (running.has('chronyd')) findings.push(...(await chrony(context)));
  if (running.has('kernel')) findings.push(kernelSlew(context.config.timing.clockErrorRate));
  if (running.has('other'))
    findings.push(unknown(subject, 'phc2sys runs: how far it may bend the clock is not known here'));
  if (findings.length > 0) return findings;
  return [
    warning(
      subject,
      'no NTP daemon runs: the wall clock, and with it the times in the audit, will drift',
      `Install chrony, with ${chronySnippet(context.config.timing.clockErrorRate)}`,
    ),
  ];
}

async function daemonsOf({
  files,
}: CheckContext): Promise<ReadonlySet<'chronyd' | 'kernel' | 'other'> | null> {
  const entries = await files.list('/proc');
  if (entries === null) return null;
  const pids = entries.filter((entry) => /^\d+$/.test(entry));
  const names = await Promise.all(pids.map((pid) => files.read(`/proc/${pid}/comm`)));
  // A process that has just ended has no name; the daemons looked for do not come and go.
  return new Set(names.flatMap((name) => DAEMONS[name?.trim() ?? ''] ?? []));
}

function kernelSlew(clockErrorRate: number): Finding {
  const allowedPpm = clockErrorRate * 1e6;
  return KERNEL_SLEW_PPM <= allowedPpm
    ? ok(
        'slewing',
        `the NTP daemon slews by at most ${percent(KERNEL_SLEW_PPM)}, clock_error is ${percent(allowedPpm)}`,
      )
    : failed(
        'slewing',
        `the NTP daemon may slew by ${percent(KERNEL_SLEW_PPM)}, but clock_error is ${percent(allowedPpm)}: a lease could outlive the promise (L5)`,
        'Raise timing.clock_error to 0.1% or more.',
      );
}

async function chrony(context: CheckContext): Promise<readonly Finding[]> {
  const allowedPpm = context.config.timing.clockErrorRate * 1e6;
  const [rate, told] = await Promise.all([
    readSlewRate(context.files),
    ask(context, ['chronyc', '-c', 'tracking']),
  ]);
  const seen = told.kind === 'said' && told.code === 0 ? parseTracking(told.stdout) : null;
  // Bent as fast as it may be, the clock still has the error that it has anyway.
  const errorPpm = seen === null ? 0 : Math.abs(seen.residualPpm) + seen.skewPpm;
  const why = told.kind === 'said' && told.code === 0 ? NOT_UNDERSTOOD : complaint('chronyc', told);
  return [
    slewFinding(rate, errorPpm, allowedPpm),
    seen === null ? unknown('clock error', why) : errorFinding(seen, errorPpm, allowedPpm),
  ];
}

const NOT_UNDERSTOOD = 'the answer of "chronyc -c tracking" is not understood';

function slewFinding(rate: SlewRate, errorPpm: number, allowedPpm: number): Finding {
  const subject = 'slewing';
  const remedy = `Add ${chronySnippet(allowedPpm / 1e6)}`;
  switch (rate.kind) {
    case 'absent':
      return unknown(subject, 'chronyd runs, but its config is not where it usually is', remedy);
    case 'unreadable':
      return unknown(subject, `how far chronyd may bend the clock is not known: ${rate.why}`, remedy);
    case 'set':
    case 'default': {
      const whose = rate.kind === 'set' ? `maxslewrate in ${rate.file}` : 'its default';
      if (rate.ppm + errorPpm <= allowedPpm)
        return ok(
          subject,
          `chronyd slews by at most ${percent(rate.ppm)} (${whose}), clock_error is ${percent(allowedPpm)}`,
        );
      return failed(
        subject,
        `chronyd may slew by ${percent(rate.ppm)} (${whose}), but clock_error is ${percent(allowedPpm)}: a lease could outlive the promise to it (L5)`,
        remedy,
      );
    }
  }
}

/** What chronyd has measured. That it bends the clock by `frequency` is right: that is the crystal's own error. */
function errorFinding(seen: Tracking, errorPpm: number, allowedPpm: number): Finding {
  const subject = 'clock error';
  const detail = `${percent(errorPpm)} after a correction of ${percent(Math.abs(seen.frequencyPpm))}, clock_error is ${percent(allowedPpm)}`;
  if (errorPpm > allowedPpm)
    return failed(
      subject,
      detail,
      'The clock of this host is worse than the arithmetic of the promise allows (L5): raise timing.clock_error, or mend the clock source.',
    );
  if (seen.leap !== 'Not synchronised') return ok(subject, detail);
  return warning(subject, `not synchronised: ${detail}`, 'Check its sources with "chronyc sources".');
}

/** The file that makes chrony fit, in words that can be copied. */
export function chronySnippet(clockErrorRate: number): string {
  const ppm = Math.max(1, Math.floor(Math.min(ADVISED_SLEW_PPM, (clockErrorRate * 1e6) / 2)));
  return `/etc/chrony/conf.d/quorate.conf with the line "maxslewrate ${ppm}", and restart chrony.`;
}

/** "0.1 %", "8.33 %", "12 ppm". */
function percent(ppm: number): string {
  return ppm < 100 ? `${Number(ppm.toPrecision(2))} ppm` : `${Number((ppm / 10_000).toPrecision(3))} %`;
}
