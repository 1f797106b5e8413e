/** Runs `executor.mjs --release-within` as a child, and reads what it says. */
import { spawn } from 'node:child_process';
import { z } from 'zod';
import { systemClock } from '../clock.ts';
import { ERRORS, type ErrorCode, QuorateError } from '../errors.ts';
import { type ReleaseReport, releaseReportSchema } from './release-report.ts';
import { findProgram } from './start-executor.ts';

/** To start, and to wait for a release that is under way already. */
const START_LIMIT_MS = 30_000;
const MAX_OUTPUT_CHARACTERS = 1_000_000;

export interface ReleaseOptions {
  readonly configFile: string;
  readonly node: string;
  readonly limitMs: number;
  /** R1: processes that keep a mount busy, whosever they are. */
  readonly mayKill: boolean;
  /** dist/executor.mjs; found beside the running bundle where absent. */
  readonly program?: string;
}

/**
 * Everything that this node holds is given up, whoever took it. Resolves with what was found, verified or not. Rejects
 * with the executor's own error where it could not begin, with `timed-out-unknown` where it was ended before it could say.
 */
export async function releaseAll(options: ReleaseOptions): Promise<ReleaseReport> {
  const { configFile, node, limitMs, mayKill, program = findProgram() } = options;
  const words = ['--config', configFile, '--node', node, '--release-within', String(limitMs)];
  if (mayKill) words.push('--kill-users');
  const child = spawn(process.execPath, [program, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8');
    child[name].on('data', (text: string) => {
      output[name] = (output[name] + text).slice(-MAX_OUTPUT_CHARACTERS);
    });
  }
  const timer = systemClock.after(2 * limitMs + START_LIMIT_MS, () => child.kill('SIGKILL'));
  const end = await new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) =>
      resolve(code === null ? `${signal}, by the executor of an agent or by hand` : `code ${code}`),
    );
  });
  timer.cancel();
  const report = lastLine(output.stdout, (value) => releaseReportSchema.safeParse(value).data);
  if (report !== undefined) return report;
  throw lastLine(output.stderr, (value) => errorIn(value, end)) ?? lost(end);
}

const lost = (why: string): QuorateError =>
  new QuorateError('timed-out-unknown', `the release did not come to an end: ${why}`);

const deathSchema = z.object({
  event: z.literal('executor-died'),
  msg: z.string(),
  code: z.string().nullable(),
  why: z.string().nullable(),
});

/** From the line that a dying executor writes; undefined for any other line. */
function errorIn(value: unknown, end: string): QuorateError | undefined {
  const death = deathSchema.safeParse(value).data;
  if (death === undefined) return undefined;
  const { code, why, msg } = death;
  if (code === null || why === null || !Object.hasOwn(ERRORS, code)) return lost(`${msg} (${end})`);
  return new QuorateError(code as ErrorCode, why);
}

/** The last line that is JSON and of the right shape. */
function lastLine<Found>(text: string, read: (value: unknown) => Found | undefined): Found | undefined {
  for (const line of text.split('\n').reverse()) {
    try {
      const found = line === '' ? undefined : read(JSON.parse(line));
      if (found !== undefined) return found;
    } catch {
      // Not ours, as a warning of Node.
    }
  }
  return undefined;
}
