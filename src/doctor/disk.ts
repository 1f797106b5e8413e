/** The data directory's disk: how long a sync takes (E2: every vote and ack waits for one), and the room for the log. */
import type { Check, CheckContext } from './context.ts';
import { type Finding, failed, ok, unknown, warning } from './report.ts';
import { reason } from './run.ts';
import { summaryOf } from './statistics.ts';

const SYNCS = 30;
const SYNC_BYTES = 4096;
/** Far more than a log ever needs (D4): below it, something else is filling the disk. */
const LOW_BYTES = 512 * 1024 * 1024;
const LEAST_BYTES = 64 * 1024 * 1024;
/** Ten thousand changes of leadership are about 10 MB (D4). */
const LARGE_LOG_BYTES = 256 * 1024 * 1024;

export const diskCheck: Check = {
  name: 'disk',
  about: 'sync latency, free space and size of the log in data_dir',
  isAlone: true,
  isHarmless: true,
  limitMs: 10_000,
  run: async (context) => {
    const { dataDir } = context.config;
    const kind = await context.files.kindOf(dataDir);
    if (kind !== 'directory') {
      const what = kind === null ? 'does not exist, or cannot be looked at' : 'is not a directory';
      return [failed('data_dir', `${dataDir} ${what}`, 'Create it, and give it to the user of the agent.')];
    }
    return [await syncs(context), await space(context), await logSize(context)];
  },
};

async function syncs({ config, files, signal }: CheckContext): Promise<Finding> {
  const subject = 'sync';
  const { dataDir, timing } = config;
  let ms: readonly number[];
  try {
    ms = await files.timeSyncs(dataDir, SYNCS, SYNC_BYTES, signal);
  } catch (error) {
    return failed(
      subject,
      `cannot write in ${dataDir}: ${reason(error)}`,
      'Give the directory to the user of the agent, and check the disk.',
    );
  }
  const summary = summaryOf(ms);
  if (summary === null || signal.aborted)
    return unknown(
      subject,
      `only ${ms.length} of ${SYNCS} syncs ended in time`,
      'Check the disk and the kernel log.',
    );
  const detail = `${SYNCS} syncs of 4 KiB: ${summary.p50} ms usually, ${summary.max} ms at worst`;
  const measured = { kind: 'syncs', ms } as const;
  if (summary.max <= timing.heartbeatMs) return { ...ok(subject, detail), measured };
  const remedy = 'Give data_dir a disk of its own, or a faster one; or longer heartbeat and lease.';
  return summary.max > timing.leaseMs
    ? {
        ...failed(
          subject,
          `${detail}, longer than the lease of ${timing.leaseMs} ms: leaders would step down (L6)`,
          remedy,
        ),
        measured,
      }
    : {
        ...warning(subject, `${detail}, longer than a heartbeat of ${timing.heartbeatMs} ms`, remedy),
        measured,
      };
}

async function space({ config, files }: CheckContext): Promise<Finding> {
  const subject = 'free space';
  try {
    const free = await files.freeBytes(config.dataDir);
    const detail = `${megabytes(free)} free in ${config.dataDir}`;
    const remedy = 'Make room: a node that cannot write stops (D3).';
    if (free < LEAST_BYTES) return failed(subject, detail, remedy);
    return free < LOW_BYTES ? warning(subject, detail, remedy) : ok(subject, detail);
  } catch (error) {
    return unknown(subject, `not known: ${reason(error)}`);
  }
}

async function logSize({ config, files }: CheckContext): Promise<Finding> {
  const subject = 'log size';
  const bytes = await files.size(config.dataDir);
  if (bytes === null) return unknown(subject, `${config.dataDir} cannot be read whole`);
  return bytes > LARGE_LOG_BYTES
    ? warning(
        subject,
        `${megabytes(bytes)}: the log is not compacted, and holds what happened only`,
        'See in "quorate audit" what repeats.',
      )
    : ok(subject, megabytes(bytes));
}

const megabytes = (bytes: number): string =>
  bytes < 1024 * 1024 ? `${Math.ceil(bytes / 1024)} KiB` : `${Math.round(bytes / (1024 * 1024))} MiB`;
