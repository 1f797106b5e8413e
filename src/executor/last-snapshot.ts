/**
 * The last snapshot of a planned release, by a replicator process of its own: that of the tenure was killed as the release began.
 *
 * 1. It carries the same mark, so that an abrupt release, the guard's too, ends it like the other one, and waits for nothing of it.
 * 2. It is gone, with everything that it has started, before this resolves or rejects: after it the release is read back.
 */
import { spawn } from 'node:child_process';
import type { Epoch, Instant } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { readLines } from '../lines.ts';
import { type LastEnd, lastEndSchema, NO_ROUND, reportSchema } from '../replication/index.ts';
import { signalProcess } from './processes.ts';
import { HEAP_MB, killReplicator, REPLICATOR_MARK, type ReplicatorOptions } from './replicator.ts';

const END_LIMIT_MS = 1000;

export interface LastOrder {
  readonly epoch: Epoch;
  readonly deadline: Instant;
  readonly signal: AbortSignal;
}

/** Resolves with its name; rejects where it was not sent whole, or not in time. */
export async function sendLastSnapshot(options: ReplicatorOptions, order: LastOrder): Promise<string> {
  const { mark, clock, onReport } = options;
  let end: LastEnd;
  try {
    end = await runLast(options, order);
  } finally {
    onReport({ isReset: true, round: NO_ROUND, datasets: [], gone: [] });
    if (!(await killReplicator(mark, END_LIMIT_MS, clock)))
      options.log('error', { event: 'replicator-not-gone', ms: END_LIMIT_MS });
  }
  if (end.last === 'sent') return end.snapshot;
  throw new QuorateError('replication-conflict', end.why);
}

function runLast(options: ReplicatorOptions, { epoch, deadline, signal }: LastOrder): Promise<LastEnd> {
  const { program, args, mark, clock, onReport, log } = options;
  const child = spawn(process.execPath, [`--max-old-space-size=${HEAP_MB}`, program, ...args], {
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, [REPLICATOR_MARK]: mark },
  });
  log('info', { event: 'last-snapshot-started', epoch, pid: child.pid ?? null });
  return new Promise<LastEnd>((resolve) => {
    let isOver = false;
    const over = (end: LastEnd): void => {
      if (isOver) return;
      isOver = true;
      late.cancel();
      signal.removeEventListener('abort', onAbort);
      if (child.pid !== undefined) signalProcess(-child.pid, 'SIGKILL');
      log(end.last === 'sent' ? 'info' : 'warn', { event: 'last-snapshot-ended', epoch, ...end });
      resolve(end);
    };
    const failed = (why: string): void => over({ last: 'failed', why });
    const onAbort = (): void => failed('was called off');
    const late = clock.after(Math.max(0, deadline - clock.now()), () => failed('was not sent in time'));
    signal.addEventListener('abort', onAbort, { once: true });
    child.once('error', (error) => failed(error.message));
    child.once('close', (code, by) => failed(`its process ended (${code === null ? by : `code ${code}`})`));
    child.stdin.on('error', () => undefined);
    child.stdout.on('error', () => undefined);
    readLines(child.stdout, {
      onLine: (line) => {
        const said = parse(line);
        if (said === null) failed('its process says what is not understood');
        else if ('last' in said) over(said);
        else if (!isOver) onReport(said);
      },
      onTooLong: () => failed('its process says what is not understood'),
    });
    child.stdin.write(`${JSON.stringify({ kind: 'last', epoch })}\n`);
    if (signal.aborted) onAbort();
  });
}

function parse(line: string) {
  try {
    const value: unknown = JSON.parse(line);
    return lastEndSchema.safeParse(value).data ?? reportSchema.safeParse(value).data ?? null;
  } catch {
    return null;
  }
}
