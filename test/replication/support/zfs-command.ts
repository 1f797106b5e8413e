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
import { readResumeToken } from '../../../src/replication/resume-token.ts';
import { type ModelPool, type Stream, tokenOf, ZfsRefusal } from '../zfs-model.ts';
import { locked as lockedIn, parse, runVerb, split } from './zfs-verbs.ts';

const [, , directory = '', program = '', ...words] = process.argv;
const PIECE = 64 * 1024;
const END = Buffer.from('\nEND\n');

const locked = <Result>(work: (pool: ModelPool) => Result): Promise<Result> => lockedIn(directory, work);

interface Head extends Stream {
  readonly fillerBytes: number;
}

async function send(args: readonly string[]): Promise<void> {
  const { flags, rest } = parse(args, ['-i', '-t']);
  const total = Number(process.env.STAND_IN_FILLER ?? 0);
  const token = flags.get('-t');
  const stream = await locked((pool): Stream => {
    if (token === undefined) {
      const [dataset, of] = split(rest[0] ?? '', '@');
      return pool.send(dataset, of, flags.get('-i') ?? null, flags.has('-w'));
    }
    const known = readResumeToken(token);
    if (known === null) throw new ZfsRefusal('resume token is corrupt');
    const snapshot = { name: '', guid: known.toGuid, txg: 0, content: '', holds: 0 };
    const isRaw = pool.get(known.toName.split('@')[0] ?? '').isEncrypted;
    return { ...pool.sendResumed({ ...known, snapshot, isRaw }), bytes: known.bytes };
  });
  const head: Head = { ...stream, fillerBytes: Math.max(0, total - (stream.bytes ?? 0)) };
  process.stderr.write(
    `${head.fromGuid === null ? 'full' : 'incremental'}\t${head.toName}\nsize\t${total}\n`,
  );
  const line = Buffer.from(`${JSON.stringify(head)}\n`);
  writeAll(line);
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
  const [name = ''] = rest;
  let head: Head | null = null;
  let received = 0;
  let early = Buffer.alloc(0);
  let tail = Buffer.alloc(0);
  const keep = (bytes: number): Promise<void> =>
    locked((pool) => {
      const { partial } = pool.get(name);
      if (head === null || partial === null) return;
      const stream = { ...head, bytes };
      pool.get(name).partial = { ...stream, token: tokenOf(stream) };
    });
  for await (const piece of process.stdin as AsyncIterable<Buffer>) {
    let body = piece;
    if (head === null) {
      early = Buffer.concat([early, piece]);
      const end = early.indexOf('\n');
      if (end < 0) continue;
      const read = JSON.parse(early.subarray(0, end).toString('utf8')) as Head;
      head = read;
      body = early.subarray(end + 1);
      // What is killed from here on has begun.
      await locked((pool) => {
        const partial = pool.datasets.get(name)?.partial ?? null;
        pool.receive(name, read, true, partial === null ? null : partial.token);
      });
      await keep(read.bytes ?? 0);
    }
    received += body.length;
    const breakAt = Number(process.env.STAND_IN_BREAK_AT ?? Number.POSITIVE_INFINITY);
    if (received >= breakAt) {
      await keep((head.bytes ?? 0) + Math.min(received, head.fillerBytes));
      process.kill(process.pid, 'SIGKILL');
    }
    tail = Buffer.concat([tail, body]).subarray(-END.length);
  }
  const read = head as Head | null;
  if (read === null) throw new ZfsRefusal('cannot receive: failed to read from stream');
  if (!tail.equals(END) || received !== read.fillerBytes + END.length) {
    await keep((read.bytes ?? 0) + Math.min(received, read.fillerBytes));
    throw new ZfsRefusal('cannot receive resume stream: checksum mismatch or incomplete stream');
  }
  await locked((pool) => {
    const token = pool.get(name).partial?.token ?? null;
    pool.receive(name, read, false, token);
  });
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
