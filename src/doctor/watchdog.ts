/**
 * The watchdog (H2, L5): there, free for the executor, short enough for the promise, and, where an operator asks for it,
 * really armed and closed again. Everything but that only reads: opening a watchdog arms it.
 */
import { deriveTiming } from '../config/index.ts';
import type { Check, CheckContext } from './context.ts';
import { type Finding, failed, ok, skipped, unknown, warning } from './report.ts';
import { reason } from './run.ts';

const OFF_COSTS =
  'a host that hangs and comes back can write beside its successor for as long as its own block layer lets it (H2)';
const LOAD_IT =
  'Load its driver at boot (modprobe softdog, in /etc/modules-load.d), or name the right one in watchdog.device.';
const MAX_PROCESSES = 20_000;

export const watchdogCheck: Check = {
  name: 'watchdog',
  about: 'the device, who has it, and whether its timeout fits the promise',
  isAlone: false,
  isHarmless: true,
  limitMs: 8000,
  run: async (context) => {
    const { mode, device } = context.config.watchdog;
    if (isWitnessNode(context)) return [skipped('device', 'a witness holds nothing (W1)')];
    if (mode === 'off')
      return [
        warning(
          'device',
          `watchdog.mode is off: ${OFF_COSTS}`,
          'Set watchdog.mode to required, with a device or softdog.',
        ),
      ];
    const kind = await context.files.kindOf(device);
    if (kind === 'character') return charDevice(context, device);
    if (kind === 'socket') return standIn(context, device);
    const what = kind === null ? 'does not exist, or cannot be looked at' : `is a ${kind}, not a watchdog`;
    return mode === 'required'
      ? [failed('device', `${device} ${what}: this node may take nothing (H2)`, LOAD_IT)]
      : [
          warning(
            'device',
            `${device} ${what}: this node holds without one, where there is other proof (H2)`,
            LOAD_IT,
          ),
        ];
  },
};

const isWitnessNode = ({ config }: CheckContext): boolean =>
  config.members.some(({ id, witness }) => id === config.node && witness);

async function charDevice(context: CheckContext, device: string): Promise<readonly Finding[]> {
  const name = await kernelName(context, device);
  const attribute = async (key: string): Promise<string | null> =>
    (await context.files.read(`/sys/class/watchdog/${name}/${key}`))?.trim() ?? null;
  const [identity, timeout, state, nowayout] = await Promise.all(
    ['identity', 'timeout', 'state', 'nowayout'].map(attribute),
  );
  const timeoutMs = wholeSeconds(timeout ?? null);
  const holder = await holderOf(context, device);
  return [
    ok('device', `${device} is ${name}${identity == null ? '' : `, "${identity}"`}`),
    holderFinding(context, { holder, state: state ?? null }),
    ...(await timeoutFindings(context, timeoutMs, name)),
    ...(await arming(context, device, nowayout ?? null)),
  ];
}

/** As the executor names it: /dev/watchdog is the old name of watchdog0. */
async function kernelName({ files }: CheckContext, device: string): Promise<string> {
  const real = ((await files.realPath(device)) ?? device).split('/').at(-1) ?? '';
  return real === 'watchdog' ? 'watchdog0' : real;
}

/** The kernel counts whole seconds. */
function wholeSeconds(text: string | null): number | null {
  return text !== null && /^\d{1,6}$/.test(text) ? Number(text) * 1000 : null;
}

interface Holder {
  readonly pid: number;
  readonly command: string;
}

/** Who has it open; null where nobody is seen, which only root sees for everybody. */
async function holderOf({ files }: CheckContext, device: string): Promise<Holder | null> {
  const real = (await files.realPath(device)) ?? device;
  const names = new Set([
    device,
    real,
    '/dev/watchdog',
    ...(real === '/dev/watchdog' ? ['/dev/watchdog0'] : []),
  ]);
  // Only one of the two old names is the device in question.
  if (!/^\/dev\/watchdog0?$/.test(real)) names.delete('/dev/watchdog');
  const pids = ((await files.list('/proc')) ?? []).filter((entry) => /^\d+$/.test(entry));
  for (const pid of pids.slice(0, MAX_PROCESSES)) {
    for (const descriptor of (await files.list(`/proc/${pid}/fd`)) ?? []) {
      const target = await files.target(`/proc/${pid}/fd/${descriptor}`);
      if (target === null || !names.has(target)) continue;
      return { pid: Number(pid), command: (await files.read(`/proc/${pid}/comm`))?.trim() ?? '?' };
    }
  }
  return null;
}

function holderFinding(
  { watchdog }: CheckContext,
  { holder, state }: { readonly holder: Holder | null; readonly state: string | null },
): Finding {
  const subject = 'holder';
  const executor = watchdog.executor();
  if (holder !== null && holder.pid === executor)
    return ok(subject, `armed by the executor, process ${holder.pid}`);
  if (holder !== null)
    return failed(
      subject,
      `"${holder.command}" (process ${holder.pid}) has it open: the executor could not arm it`,
      holder.pid === 1
        ? 'Set RuntimeWatchdogSec=off in /etc/systemd/system.conf, or name another device.'
        : 'Stop that program, or name another device in watchdog.device.',
    );
  if (state === 'active') {
    return executor === null
      ? warning(
          subject,
          'it ticks, and nobody is seen to have it open',
          'Run the doctor as root; if nobody has it, the kernel will reset this host unless the executor starts soon.',
        )
      : unknown(subject, 'it is armed; by whom can only be seen by root');
  }
  if (state === 'inactive') return ok(subject, 'nobody has it: the executor can arm it when it must');
  return unknown(subject, 'nobody is seen to have it open; this kernel does not say whether it is armed');
}

/** L5, with W as the device says it; and against what the cluster was set up with (L8). */
async function timeoutFindings(
  context: CheckContext,
  timeoutMs: number | null,
  name: string,
): Promise<readonly Finding[]> {
  const subject = 'timeout';
  const { config } = context;
  const stated = config.watchdog.timeoutMs;
  if (timeoutMs === null) return [unreadTimeout(name, stated)];
  const measured = { kind: 'watchdog', timeoutMs } as const;
  const shorten = `Set it with "wdctl -s SECONDS ${config.watchdog.device}" or the driver's option, at every boot.`;
  if (stated !== null && timeoutMs > stated)
    return [
      {
        ...failed(
          subject,
          `fires after ${timeoutMs} ms, but watchdog.timeout says ${stated} ms (L5)`,
          shorten,
        ),
        measured,
      },
    ];
  const inForce = await context.clusterTiming().catch(() => null);
  if (inForce !== null)
    return [{ ...inForceFinding(timeoutMs, inForce.watchdog?.timeoutMs ?? null, shorten), measured }];
  try {
    const { promiseMs } = deriveTiming(config.timing, timeoutMs);
    const detail = `W is ${timeoutMs} ms: the promise would be ${Math.ceil(promiseMs)} ms (L5); the cluster's own timing was not asked`;
    return [{ ...ok(subject, detail), measured }];
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return [{ ...failed(subject, `W of ${timeoutMs} ms does not fit: ${error.message}`, shorten), measured }];
  }
}

/** A kernel without CONFIG_WATCHDOG_SYSFS: the executor takes the config's word. */
function unreadTimeout(name: string, stated: number | null): Finding {
  const why = `/sys/class/watchdog/${name}/timeout does not say it`;
  return stated === null
    ? unknown('timeout', `${why}: the executor does not open it`, 'Set watchdog.timeout to its real timeout.')
    : unknown(
        'timeout',
        `${why}; watchdog.timeout says ${stated} ms, and the executor believes it`,
        'Make sure that the driver is loaded with it: a longer one breaks the promise (L5).',
      );
}

function inForceFinding(timeoutMs: number, allowedMs: number | null, shorten: string): Finding {
  const subject = 'timeout';
  if (allowedMs === null)
    return warning(
      subject,
      `fires after ${timeoutMs} ms, but the cluster was set up without a watchdog: the executor will not use it (L5)`,
      'Bootstrap with the watchdog in place, or set watchdog.mode to off knowingly.',
    );
  return timeoutMs > allowedMs
    ? failed(
        subject,
        `fires after ${timeoutMs} ms, but the promise allows ${allowedMs} ms (L5): it would not be armed`,
        shorten,
      )
    : ok(subject, `fires after ${timeoutMs} ms, the promise allows ${allowedMs} ms`);
}

/** A stand-in tells its timeout only to who connects, and connecting arms it. */
async function standIn(context: CheckContext, device: string): Promise<readonly Finding[]> {
  const { timeoutMs } = context.config.watchdog;
  const stated: Finding =
    timeoutMs === null
      ? failed('timeout', 'a socket does not say its timeout before it is armed', 'Set watchdog.timeout.')
      : { ...ok('timeout', `said to be ${timeoutMs} ms`), measured: { kind: 'watchdog', timeoutMs } };
  return [
    ok('device', `${device} is a socket that stands in for a watchdog`),
    stated,
    ...(await arming(context, device, '0')),
  ];
}

/** Opens, pets and closes it: the one thing that proves it. Only when asked for, and never beside an executor. */
async function arming(
  context: CheckContext,
  device: string,
  nowayout: string | null,
): Promise<readonly Finding[]> {
  const subject = 'arming';
  const { armWatchdog, watchdog, config } = context;
  if (!armWatchdog) return [];
  const executor = watchdog.executor();
  if (executor !== null)
    return [skipped(subject, `not tried: it belongs to the executor, process ${executor}`)];
  if (nowayout !== '0')
    return [
      unknown(
        subject,
        `not tried: ${nowayout === '1' ? 'the driver was loaded with nowayout, so that closing it does not stop it' : 'whether closing it would stop it is not known'}, and this host would be reset`,
      ),
    ];
  let opened: Awaited<ReturnType<typeof watchdog.open>>;
  try {
    opened = await watchdog.open(device);
  } catch (error) {
    return [
      failed(subject, `cannot be armed: ${reason(error)}`, 'Run the doctor as root; see who has the device.'),
    ];
  }
  try {
    opened.pet();
  } finally {
    await opened.disarm();
  }
  const allowedMs = config.watchdog.timeoutMs;
  return allowedMs !== null && opened.timeoutMs > allowedMs
    ? [
        failed(
          subject,
          `it fires after ${opened.timeoutMs} ms, watchdog.timeout says ${allowedMs} ms`,
          'Correct watchdog.timeout.',
        ),
      ]
    : [ok(subject, `armed, petted and closed again; it fires after ${opened.timeoutMs} ms`)];
}
