/** `ip` and `nft`: real programs on real kernels, each with a deadline; what they refuse is said with their own words. */
import { execFile, spawnSync } from 'node:child_process';

const LIMIT_MS = 10_000;

export interface Ran {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What becomes the program in the end, by exec, inside the namespace. */
export const inside = (namespace: string): readonly string[] => ['ip', 'netns', 'exec', namespace];

/** Resolves whatever the exit code is. */
export function attempt(words: readonly string[], input = ''): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(words[0] ?? '', words.slice(1), { timeout: LIMIT_MS }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ exit: code, stdout, stderr: stderr || (error === null ? '' : error.message) });
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

/** Its output; rejects with what it said when it ends badly. */
export async function run(words: readonly string[], input = ''): Promise<string> {
  const ran = await attempt(words, input);
  if (ran.exit !== 0) throw refusal(words, ran, input);
  return ran.stdout;
}

/** Blocks; for the exit handler, and where what was said must hold when the caller goes on (3 ms for `nft`). */
export function runNow(words: readonly string[], input = ''): string {
  const { status, stdout, stderr, error } = spawnSync(words[0] ?? '', words.slice(1), {
    input,
    timeout: LIMIT_MS,
    encoding: 'utf8',
  });
  if (status === 0) return stdout;
  throw refusal(words, { exit: status ?? 1, stdout: stdout ?? '', stderr: error?.message ?? stderr }, input);
}

/** `ip -batch`: all lines in one process; they stop at the first that fails. */
export function ipBatch(namespace: string | null, lines: readonly string[]): Promise<string> {
  const where = namespace === null ? [] : ['-n', namespace];
  return run(['ip', ...where, '-batch', '-'], `${lines.join('\n')}\n`);
}

export function nft(namespace: string, rules: string): Promise<string> {
  return run([...inside(namespace), 'nft', '-f', '-'], rules);
}

function refusal(words: readonly string[], { exit, stdout, stderr }: Ran, input: string): Error {
  const said = (stderr || stdout).trim() || 'nothing';
  const given = input === '' ? '' : ` (given: ${input.trim().slice(0, 500)})`;
  return new Error(`${words.join(' ')} ended with code ${exit} and said: ${said}${given}`);
}
