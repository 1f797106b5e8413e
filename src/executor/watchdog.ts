/**
 * The watchdog device: a character device of the kernel, or a unix socket that stands in for one.
 *
 * 1. Opening arms it. Any byte is a pet. A `V` right before closing disarms it; closing without leaves it ticking.
 * 2. It is opened only if its timeout fits `W`: a longer one would break the promise (L5). Where the kernel does not say it
 *    (a kernel without CONFIG_WATCHDOG_SYSFS), the operator's word counts, and it is taken for one that cannot be disarmed.
 * 3. Whether to pet is not decided here.
 */
import { closeSync, existsSync, openSync, readFileSync, realpathSync, statSync, writeSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { basename } from 'node:path';
import { QuorateError } from '../errors.ts';

export interface Watchdog {
  readonly timeoutMs: number;
  /** False: the kernel goes on ticking after an orderly close (`nowayout`); it must be petted for ever. */
  readonly canDisarm: boolean;
  pet(): void;
  /** The orderly close. */
  disarm(): Promise<void>;
  /** Calls back once when the device failed under us. */
  onLost(listener: (why: string) => void): void;
}

const CONNECT_TIMEOUT_MS = 1000;
const MAX_LINE = 200;
const PET = '\0';
const MAGIC_CLOSE = 'V';

/** Why a timeout cannot be used; null: it can. */
export type WhyUnfit = (timeoutMs: number) => string | null;

/**
 * `statedMs`: `watchdog.timeout` of the config, for a device that the kernel says nothing about; null: not stated. One that is unfit is not
 * opened: with `nowayout` nothing would ever stop it again. Rejects `watchdog-unusable`.
 */
export async function openWatchdog(
  device: string,
  statedMs: number | null = null,
  whyUnfit: WhyUnfit = () => null,
): Promise<Watchdog> {
  try {
    return statSync(device).isSocket() ? await openSocket(device) : openDevice(device, statedMs, whyUnfit);
  } catch (error) {
    if (error instanceof QuorateError) throw error;
    throw new QuorateError(
      'watchdog-unusable',
      `${device}: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
}

/** The kernel counts whole seconds; there is no ioctl in Node, so sysfs has to know. */
export function deviceTimeoutMs(device: string): number | null {
  const seconds = readSysfsNumber(device, 'timeout');
  return seconds === null ? null : seconds * 1000;
}

/** `W` of a device without arming it; null for the stand-in, which says it when connected, and where sysfs is silent. */
export function readWatchdogTimeoutMs(device: string): number | null {
  return statSync(device).isSocket() ? null : deviceTimeoutMs(device);
}

function openDevice(device: string, statedMs: number | null, whyUnfit: WhyUnfit): Watchdog {
  const timeoutMs = deviceTimeoutMs(device) ?? statedMs;
  if (timeoutMs === null)
    throw new QuorateError('watchdog-unusable', `${device} does not say its timeout: set watchdog.timeout`);
  const why = whyUnfit(timeoutMs);
  if (why !== null) throw new QuorateError('watchdog-unusable', `${device} ${why}`);
  const canDisarm = readSysfsNumber(device, 'nowayout') === 0;
  const file = openSync(device, 'w');
  let lost: (why: string) => void = () => undefined;
  return {
    timeoutMs,
    canDisarm,
    pet: () => {
      try {
        writeSync(file, PET);
      } catch (error) {
        // A device can be open only once: nobody else, and no later order to arm it, could try again.
        closeSync(file);
        lost(String(error));
      }
    },
    disarm: async () => {
      writeSync(file, MAGIC_CLOSE);
      closeSync(file);
    },
    onLost: (listener) => {
      lost = listener;
    },
  };
}

/** Null where the kernel has no such file; throws where it cannot be read otherwise. */
function readSysfsNumber(device: string, attribute: string): number | null {
  const real = basename(realpathSync(device));
  // /dev/watchdog is the old name of watchdog0.
  const name = real === 'watchdog' ? 'watchdog0' : real;
  const file = `/sys/class/watchdog/${name}/${attribute}`;
  if (!existsSync(file)) return null;
  const value = Number(readFileSync(file, 'utf8').trim());
  if (!Number.isInteger(value)) throw new Error(`sysfs has no whole number in ${name}/${attribute}`);
  return value;
}

async function openSocket(path: string): Promise<Watchdog> {
  const socket = connect(path);
  const timeoutMs = await readTimeoutLine(socket, path);
  let lost: (why: string) => void = () => undefined;
  let isClosing = false;
  socket.on('error', () => undefined);
  socket.once('close', () => {
    if (!isClosing) lost('the connection closed');
  });
  socket.resume();
  return {
    timeoutMs,
    canDisarm: true,
    pet: () => {
      socket.write(PET);
    },
    disarm: () =>
      new Promise((resolve) => {
        isClosing = true;
        socket.once('close', () => resolve());
        socket.end(MAGIC_CLOSE);
      }),
    onLost: (listener) => {
      lost = listener;
    },
  };
}

function readTimeoutLine(socket: Socket, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = '';
    const fail = (why: string): void => {
      socket.destroy();
      reject(new QuorateError('watchdog-unusable', `${path}: ${why}`));
    };
    const timer = setTimeout(() => fail('said no timeout in time'), CONNECT_TIMEOUT_MS);
    socket.setEncoding('utf8');
    socket.once('error', (error) => {
      clearTimeout(timer);
      fail(error.message);
    });
    const onData = (chunk: string): void => {
      text += chunk;
      const match = /^timeout (\d{1,7})\n/.exec(text);
      if (match === null && text.length < MAX_LINE && !text.includes('\n')) return;
      clearTimeout(timer);
      socket.off('data', onData);
      if (match === null) return fail('is not a watchdog');
      resolve(Number(match[1]));
    };
    socket.on('data', onData);
  });
}
