/**
 * `quorate fence-peer`, DRBD's fence-peer handler (H3), in as few milliseconds as Node allows: nothing is loaded but
 * Node's own modules, and of the config file only `data_dir` is read. The exit codes are DRBD's, not ours: 4 means "the
 * peer is outdated", and is given only on the agent's word that a new entry which says so is committed; everything else
 * is 1, on which DRBD keeps the I/O suspended (style 10).
 */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, resolve } from 'node:path';

const DRBD_PEER_OUTDATED = 4;
const FAILED = 1;
const DEADLINE_MS = 30_000;
const MAX_ANSWER_BYTES = 65_536;

interface Options {
  readonly config: string;
  readonly peer: string | null;
}

/** Resolves with the exit code; never rejects. */
export async function runFencePeer(words: readonly string[]): Promise<number> {
  try {
    const { config, peer } = parse(words);
    const dataDir = resolve(dirname(resolve(config)), await readDataDir(readFileSync(config, 'utf8')));
    const startUpMs = performance.now();
    const result = await ask(`${dataDir}/agent.sock`, peer);
    const totalMs = performance.now();
    if (result !== 'outdated') throw new Error(`the agent answered ${JSON.stringify(result)}`);
    say(`peer outdated after ${totalMs.toFixed(0)} ms (start-up ${startUpMs.toFixed(0)} ms)`);
    return DRBD_PEER_OUTDATED;
  } catch (error) {
    say(`the peer is not fenced: ${error instanceof Error ? error.message : String(error)}`);
    return FAILED;
  }
}

function say(text: string): void {
  process.stderr.write(`quorate: fence-peer: ${text.replaceAll(/\s*\n\s*/g, ' ')}\n`);
}

function parse(words: readonly string[]): Options {
  const values = new Map<string, string>();
  for (let position = 0; position < words.length; position++) {
    const [name = '', inline] = (words[position] ?? '').split(/=(.*)/s);
    if (name !== '--config' && name !== '--peer' && name !== '--node')
      throw new Error(`unknown option ${name}`);
    const value = inline ?? words[++position];
    if (value === undefined || value === '') throw new Error(`${name} needs a value`);
    values.set(name, value);
  }
  return { config: values.get('--config') ?? '', peer: values.get('--peer') ?? null };
}

/** `data_dir` of the config's text. The usual way of writing it is read without the YAML package, others with it. */
export async function readDataDir(text: string): Promise<string> {
  const simple = simpleDataDir(text);
  if (simple !== null) return simple;
  const { parse: parseYaml } = await import('yaml');
  const root: unknown = parseYaml(text);
  const value = typeof root === 'object' && root !== null && 'data_dir' in root ? root.data_dir : null;
  if (typeof value !== 'string' || value === '') throw new Error('the config file has no data_dir');
  return value;
}

/** Null for anything but one line `data_dir: VALUE` with a plain value or one quoted without escapes. */
export function simpleDataDir(text: string): string | null {
  const lines = text.split(/\r?\n/);
  const positions = [...lines.keys()].filter((position) => /^["']?data_dir/.test(lines[position] ?? ''));
  const [position] = positions;
  if (position === undefined || positions.length > 1) return null;
  // An indented line behind it would continue the value.
  if (/^\s+[^\s#]/.test(lines[position + 1] ?? '')) return null;
  const match =
    /^data_dir:[ \t]+(?:"([^"\\]+)"|'([^']+)'|([A-Za-z0-9_./~+=-][^\s#:'"\\]*))[ \t]*(?:[ \t]#.*)?$/.exec(
      lines[position] ?? '',
    );
  return match?.[1] ?? match?.[2] ?? match?.[3] ?? null;
}

function ask(path: string, peer: string | null): Promise<string> {
  return new Promise((resolvePromise, reject) => {
    const socket = connect(path);
    const timer = setTimeout(() => fail(`no answer within ${DEADLINE_MS / 1000} s`), DEADLINE_MS);
    let text = '';
    const fail = (why: string): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(new Error(why));
    };
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write(`${JSON.stringify({ command: 'fence-peer', peer })}\n`));
    socket.on('error', (error) => fail(`no agent at ${path}: ${error.message}`));
    socket.on('close', () => fail('the agent closed the connection without an answer'));
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > MAX_ANSWER_BYTES) return fail('the answer is too long');
      const end = text.indexOf('\n');
      if (end < 0) return;
      clearTimeout(timer);
      socket.removeAllListeners('close');
      socket.destroy();
      try {
        resolvePromise(resultOf(text.slice(0, end)));
      } catch (error) {
        reject(error);
      }
    });
  });
}

function resultOf(line: string): string {
  const answer = JSON.parse(line) as { ok?: unknown; result?: unknown; message?: unknown; code?: unknown };
  if (answer.ok === true && typeof answer.result === 'string') return answer.result;
  throw new Error(`${String(answer.message ?? 'no reason given')} [${String(answer.code ?? 'unknown')}]`);
}
