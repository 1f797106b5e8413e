/**
 * `zfs send` and `zfs receive` for tests, over the model of ZFS in a directory; the other commands are in `zfs-verbs.ts`. A stream
 * that breaks off is kept as `zfs receive -s` keeps it, also where this process is killed.
 *
 *     node zfs-command.mjs DIRECTORY zfs|zpool ARGUMENTS
 *
 * A stream is a line of JSON, filler, and a line at its end. In the environment: STAND_IN_FILLER, its bytes; STAND_IN_PAUSE_MS
 * between two pieces of it; STAND_IN_BREAK_AT, after how many of its bytes the receiver is killed.
 */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ModelPool, type Stream, tokenOf, ZfsRefusal } from '../../../cluster/zfs-model/index.ts';
import { readResumeToken } from '../../../src/replication/resume-token.ts';
import { locked as lockedIn, parse, runVerb, split } from './zfs-verbs.ts';

const [, , directory = '', program = '', ...words] = process.argv;
const PIECE = 64 * 1024;
const END = Buffer.from('\nEND\n');

const locked = <Result>(work: (pool: ModelPool) => Result): Promise<Result> => lockedIn(directory, work);

interface Head extends Stream {
  readonly fillerBytes: number;
  /** It goes on with one that broke off. */
  readonly resumes: boolean;
}

async function send(args: readonly string[]): Promise<void> {
  const { flags, rest } = parse(args, ['-i', '-I', '-t']);
  const total = Number(process.env.STAND_IN_FILLER ?? 0);
  const streams = await locked((pool) => streamsOf(pool, flags, rest[0] ?? ''));
  const heads = streams.map(
    (stream): Head => ({
      ...stream,
      fillerBytes: Math.max(0, total - (stream.bytes ?? 0)),
      resumes: flags.has('-t'),
    }),
  );
  for (const { fromGuid, toName } of heads)
    process.stderr.write(`${fromGuid === null ? 'full' : 'incremental'}\t${toName}\n`);
  process.stderr.write(`size\t${total * heads.length}\n`);
  for (const head of heads) await sendOne(head);
}

/** `-I`: one after the other, in one stream. */
function streamsOf(pool: ModelPool, flags: ReadonlyMap<string, string>, name: string): readonly Stream[] {
  const token = flags.get('-t');
  if (token !== undefined) {
    const known = readResumeToken(token);
    if (known === null) throw new ZfsRefusal('resume token is corrupt');
    const snapshot = { name: '', guid: known.toGuid, txg: 0, content: '', holds: 0 };
    const isRaw = pool.get(known.toName.split('@')[0] ?? '').isEncrypted;
    return [{ ...pool.sendResumed({ ...known, snapshot, isRaw }), bytes: known.bytes }];
  }
  const [dataset, of] = split(name, '@');
  const from = flags.get('-I');
  if (from !== undefined) return pool.sendRun(dataset, of, from, flags.has('-w'));
  return [pool.send(dataset, of, flags.get('-i') ?? null, flags.has('-w'))];
}

async function sendOne(head: Head): Promise<void> {
  writeAll(Buffer.from(`${JSON.stringify(head)}\n`));
  const piece = Buffer.alloc(PIECE, 120);
  let saidAt = Date.now();
  for (let sent = 0; sent < head.fillerBytes; sent += PIECE) {
    writeAll(piece.subarray(0, Math.min(PIECE, head.fillerBytes - sent)));
    const pauseMs = Number(process.env.STAND_IN_PAUSE_MS ?? 0);
    if (pauseMs > 0) await sleep(pauseMs);
    if (Date.now() - saidAt < 100) continue;
    saidAt = Date.now();
    process.stderr.write(`12:00:00\t${sent + PIECE}\t${head.toName}\n`);
  }
  process.stderr.write(`12:00:01\t${head.fillerBytes}\t${head.toName}\n`);
  writeAll(END);
}

function writeAll(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
}

async function receive(args: readonly string[]): Promise<void> {
  const { rest } = parse(args, ['-o', '-x']);
  const one = new Receiving(rest[0] ?? '');
  for await (const piece of process.stdin as AsyncIterable<Buffer>) await one.take(piece);
  await one.end();
}

/** One stream after the other, as they come. */
class Receiving {
  readonly #name: string;
  #head: Head | null = null;
  #early = Buffer.alloc(0);
  /** Of this stream; then of all. */
  #received = 0;
  #all = 0;
  #tail = Buffer.alloc(0);
  #count = 0;

  constructor(name: string) {
    this.#name = name;
  }

  async take(piece: Buffer): Promise<void> {
    for (let rest = piece; rest.length > 0; ) rest = await this.#takeSome(rest);
  }

  /** Resolves with what is of the next stream. */
  async #takeSome(piece: Buffer): Promise<Buffer> {
    const head = this.#head;
    if (head === null) return this.#begin(piece);
    const missing = head.fillerBytes + END.length - this.#received;
    const body = piece.subarray(0, missing);
    this.#received += body.length;
    this.#all += body.length;
    const breakAt = Number(process.env.STAND_IN_BREAK_AT ?? Number.POSITIVE_INFINITY);
    if (this.#all >= breakAt) {
      await this.#keep(head);
      process.kill(process.pid, 'SIGKILL');
    }
    this.#tail = Buffer.concat([this.#tail, body]).subarray(-END.length);
    if (body.length === missing) await this.#finish(head);
    return piece.subarray(missing);
  }

  async #begin(piece: Buffer): Promise<Buffer> {
    this.#early = Buffer.concat([this.#early, piece]);
    const end = this.#early.indexOf('\n');
    if (end < 0) return Buffer.alloc(0);
    const head = JSON.parse(this.#early.subarray(0, end).toString('utf8')) as Head;
    const body = this.#early.subarray(end + 1);
    [this.#head, this.#early, this.#received] = [head, Buffer.alloc(0), 0];
    // What is killed from here on has begun.
    await locked((pool) => {
      const token = head.resumes ? (pool.datasets.get(this.#name)?.partial?.token ?? '') : null;
      pool.receive(this.#name, head, true, token);
    });
    await this.#keep(head);
    return body;
  }

  #keep(head: Head): Promise<void> {
    const bytes = (head.bytes ?? 0) + Math.min(this.#received, head.fillerBytes);
    return locked((pool) => {
      const dataset = pool.get(this.#name);
      const stream = { ...head, bytes };
      const { partial } = dataset;
      if (partial !== null) dataset.partial = { ...stream, token: tokenOf(stream), on: partial.on ?? null };
    });
  }

  async #finish(head: Head): Promise<void> {
    if (!this.#tail.equals(END)) return this.#broken(head);
    await locked((pool) => {
      const token = pool.get(this.#name).partial?.token ?? null;
      pool.receive(this.#name, head, false, token);
    });
    this.#count += 1;
    this.#head = null;
    this.#tail = Buffer.alloc(0);
  }

  async end(): Promise<void> {
    if (this.#head !== null) return this.#broken(this.#head);
    if (this.#count === 0 || this.#early.length > 0)
      throw new ZfsRefusal('cannot receive: failed to read from stream');
  }

  async #broken(head: Head): Promise<never> {
    await this.#keep(head);
    throw new ZfsRefusal('cannot receive resume stream: checksum mismatch or incomplete stream');
  }
}

try {
  if (program === 'zfs' && words[0] === 'send') await send(words.slice(1));
  else if (program === 'zfs' && words[0] === 'receive' && words[1] !== '-A') await receive(words.slice(1));
  else process.stdout.write(await runVerb(directory, program, words));
} catch (error) {
  if (!(error instanceof ZfsRefusal)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
