/** One stream by each way, in processes of their own as in production: `zfs send` is a stand-in that has its bytes at once. */
import { spawn } from 'node:child_process';
import { loadConfig } from '../../../src/config/index.ts';
import { epoch } from '../../../src/core/index.ts';
import { openChannel, spawnInto } from '../../../src/replication/channels/index.ts';
import { guid } from '../../../src/replication/pool.ts';
import { BENCH_EPOCH, type BenchHosts, type Way } from './hosts.ts';

const CALL_LIMIT_MS = 120_000;
const STREAM_LIMIT_MS = 600_000;

const source = (bytes: number): readonly string[] => ['head', '-c', String(bytes), '/dev/zero'];

/** The sending process: `--sender CONFIG --bytes N`; prints the ms from the first byte to the word that it has arrived. */
export async function runSender(config: string, bytes: number): Promise<void> {
  const id = guid('11');
  if (id === null) throw new Error('no GUID');
  const channel = await openChannel(loadConfig(config));
  const { signal } = new AbortController();
  const snapshot = { dataset: 'tank/bench', name: 's1', guid: id };
  const order = { dataset: 'tank/bench', snapshot, kind: 'full', makes: 'filesystem' } as const;
  const receiving = await channel.receive(epoch(BENCH_EPOCH), order, { signal, limitMs: CALL_LIMIT_MS });
  const began = performance.now();
  spawnInto(receiving, source(bytes));
  const end = await receiving.ended;
  const ms = performance.now() - began;
  await channel.close();
  if (end.kind !== 'received') throw new Error(`${end.code}: ${end.why}`);
  process.stdout.write(`${ms}\n`);
}

/** Resolves with ms. */
export async function sendBy(hosts: BenchHosts, script: string, way: Way, bytes: number): Promise<number> {
  hosts.forget();
  const words = [script, '--sender', hosts.config(way), '--bytes', String(bytes)];
  return Number(await outputOf([process.execPath, ...words]));
}

/** What any shell would do: the same source and sink, through a pipe, or through ssh. What it takes without bytes is taken off. */
export async function plainly(hosts: BenchHosts, way: Way, bytes: number): Promise<number> {
  const through =
    way === 'ssh' ? `${hosts.plainSsh().map(quoted).join(' ')} 'cat >/dev/null'` : 'cat >/dev/null';
  const run = async (count: number): Promise<number> => {
    const began = performance.now();
    await outputOf(['sh', '-c', `${source(count).join(' ')} | ${through}`]);
    return performance.now() - began;
  };
  const empty = await run(0);
  const ms = (await run(bytes)) - empty;
  if (ms > 0) return ms;
  throw new Error('a plain pipe took no longer with bytes than without: the machine is too busy to measure');
}

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

function outputOf([program = '', ...words]: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'], timeout: STREAM_LIMIT_MS });
    let [out, err] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err = (err + text).slice(-2000);
    });
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve(out) : reject(new Error(`${program}: ${code}: ${err}`)),
    );
  });
}
