/** Runs the built command, and says what every error of it must look like. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ERRORS, type ErrorCode } from '../../../src/errors.ts';

export interface CommandResult {
  /** Null: ended by a signal, or too slow. */
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Record<string, string>;
  readonly uid?: number;
  readonly timeoutMs?: number;
}

const COMMAND_LIMIT_MS = 60_000;

export function quorate(
  dist: string,
  words: readonly string[],
  { env, uid, timeoutMs = COMMAND_LIMIT_MS }: RunOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(dist, 'quorate.mjs'), ...words],
      {
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        env: { ...process.env, ...env },
        ...(uid === undefined ? {} : { uid, gid: uid }),
      },
      (error, stdout, stderr) => {
        const exit = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
        resolve({ exit, stdout, stderr });
      },
    );
  });
}

/** What the command says to people; an agent's log lines, JSON, are not counted. */
export function complaints(stderr: string): string[] {
  return stderr.split('\n').filter((line) => line.startsWith('quorate: '));
}

/** Exactly one line, with what happened, the remedy and the code, and the exit code of the table (src/errors.ts). */
export function expectError(
  result: CommandResult,
  code: ErrorCode,
  what: RegExp,
  remedy: string | RegExp = ERRORS[code].remedy,
): void {
  const lines = complaints(result.stderr);
  expect(lines, result.stderr).toHaveLength(1);
  const [line = ''] = lines;
  expect(line).toMatch(what);
  if (typeof remedy === 'string') expect(line).toContain(remedy);
  else expect(line).toMatch(remedy);
  expect(line.endsWith(`[${code}]`), line).toBe(true);
  expect(result.exit).toBe(ERRORS[code].exit);
  expect(result.stdout).toBe('');
  // Neither a stack nor anything else that is not the agent's log.
  const others = result.stderr.split('\n').filter((text) => text !== '' && !text.startsWith('quorate: '));
  for (const text of others) expect(() => JSON.parse(text), text).not.toThrow();
}
