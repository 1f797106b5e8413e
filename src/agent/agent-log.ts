/** What an agent writes into its log as it happens: one line for each event. The record for audits is the replicated log. */
import type { Logger } from 'pino';
import { type Entry, InvariantError } from '../core/index.ts';
import { EXIT, type ExitCode, QuorateError } from '../errors.ts';
import type { ExecutorEvent } from '../executor/index.ts';

type ReleasedEvent = Extract<ExecutorEvent, { kind: 'released' }>;

export function logReleased(log: Logger, { epoch, ms, mode }: ReleasedEvent, releaseMs: number): void {
  log.info(
    { event: 'released', epoch, ms, mode },
    `released in ${ms.toFixed(0)} ms (${mode}; D is ${releaseMs} ms)`,
  );
}

export function logCommitted(log: Logger, entry: Entry, isPaused: boolean): void {
  const { index, term, body } = entry;
  if (body.kind === 'elected' && isPaused)
    log.warn(
      { event: 'paused', leader: body.leader },
      'the cluster is paused: nobody holds until "quorate resume" (H7)',
    );
  if (body.kind !== 'note')
    log.info({ event: 'committed', index, term, entry: body }, `${index} ${body.kind}`);
}

/** Returns the exit code that says what broke. */
export function logFatal(log: Logger, error: unknown): ExitCode {
  const isBroken = error instanceof InvariantError;
  const code = isBroken ? EXIT.invariant : error instanceof QuorateError ? error.exitCode : EXIT.storage;
  log.fatal(
    {
      event: 'fatal',
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      code,
    },
    String(error),
  );
  return code;
}
