/** `quorate inspect` in this process, against the admin service and a tap that is fed by hand. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { run } from '../../src/cli/program.ts';
import { EXIT } from '../../src/errors.ts';
import type { Tap } from '../../src/inspect/index.ts';
import { type FakeAgent, identities, startFakeAgent } from '../admin/fake.ts';
import { readPcapng } from '../inspect/pcapng-reader.ts';
import { beat, beatAck, order, passed, tapOfA } from '../inspect/sample.ts';
import { type Captured, captured } from './captured.ts';

let agent: FakeAgent;
let tap: Tap;
let time: { ms: number };
beforeAll(async () => {
  ({ tap, time } = tapOfA());
  agent = await startFakeAgent(await identities(), tap);
});
afterAll(async () => {
  tap.end();
  await agent.close();
});
let feeding: NodeJS.Timeout | undefined;
beforeEach(() => {
  // As the agent's: what passes before somebody looks is not seen.
  let seq = 0;
  feeding = setInterval(() => {
    if (!tap.isWatched) return;
    seq += 1;
    tap.message(passed(beat(seq)));
    time.ms += 12;
    tap.message(passed(beatAck(seq), 'received', { bytes: 28 }));
    tap.line(order({ kind: 'arm', id: seq }));
  }, 10);
});
afterEach(() => {
  clearInterval(feeding);
  vi.restoreAllMocks();
});

const inspect = (...words: string[]): Promise<Captured> =>
  captured(() => run(['inspect', ...words, '--config', join(agent.directory, 'q.yaml')]));

it('--count: so many lines for people, with direction, size, latency and what was said', async () => {
  const { code, out, err } = await inspect('--count', '3');
  const lines = out.trimEnd().split('\n');
  expect({ code, err }).toEqual({ code: EXIT.done, err: '3 shown, 0 missing\n' });
  expect(lines[0]).toBe('TIME          OTHER END    KIND                BYTES   LATENCY  WHAT');
  expect(lines[1]).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} {2}→ b {10}heartbeat {14}41 {12}term=7 seq=1 commit=3 renounced=false promiseMs=1000$/,
  );
  expect(lines[2]).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} {2}← b {10}heartbeat-ack {10}28 {5}12 ms {2}term=7 seq=1$/,
  );
  expect(lines[3]).toMatch(/→ executor {3}arm {20}22 {12}id=1$/);
  expect(lines).toHaveLength(4);
});

it('--json: one document a line, and nothing else', async () => {
  const { code, out, err } = await inspect('--json', '--count', '2');
  expect({ code, err }).toEqual({ code: EXIT.done, err: '' });
  const [sent, answer, ...more] = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(more).toEqual([]);
  expect(sent).toEqual({
    at: expect.stringMatching(/^2023-11-14T22:1\d:\d\d\.\d{3}Z$/),
    channel: 'peer',
    direction: 'sent',
    peer: 'b',
    kind: 'heartbeat',
    bytes: 41,
    latencyMs: null,
    outcome: null,
    detail: { term: 7, seq: expect.any(Number), commit: 3, renounced: false, promiseMs: 1000 },
  });
  expect(answer).toMatchObject({ kind: 'heartbeat-ack', latencyMs: 12 });
});

it('--for: ends by itself, and the filters are those of the agent', async () => {
  const startedAt = performance.now();
  const words = ['--json', '--for', '400ms', '--kind', 'heartbeat,heartbeat-ack', '--peer', 'b'];
  const { code, out } = await inspect(...words, '--direction', 'received', '--slower-than', '10ms');
  expect(performance.now() - startedAt).toBeGreaterThan(400);
  expect(code).toBe(EXIT.done);
  const kinds = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).kind);
  expect(new Set(kinds)).toEqual(new Set(['heartbeat-ack']));
  const none = await inspect('--json', '--for', '100ms', '--slower-than', '1s');
  expect(none).toEqual({ code: EXIT.done, out: '', err: '' });
});

it('an interrupt ends it in order, with what it has', async () => {
  const file = join(agent.directory, 'interrupted.pcapng');
  const looking = inspect('--json', '--pcapng', file);
  await vi.waitFor(() => expect(tap.isWatched).toBe(true), { timeout: 10_000 });
  await vi.waitFor(() => expect(readPcapng(readFileSync(file)).packets.length).toBeGreaterThan(3));
  process.emit('SIGINT', 'SIGINT');
  const { code, out } = await looking;
  expect(code).toBe(EXIT.done);
  const { packets, statistics } = readPcapng(readFileSync(file));
  expect(packets).toHaveLength(out.trimEnd().split('\n').length);
  expect(statistics).toEqual([{ received: packets.length, dropped: 0 }]);
});

describe('--pcapng', () => {
  it('FILE: beside the lines', async () => {
    const file = join(agent.directory, 'x.pcapng');
    const { code, out, err } = await inspect('--count', '3', '--pcapng', file);
    expect({ code, err }).toEqual({ code: EXIT.done, err: '3 shown, 0 missing, 3 packets written\n' });
    expect(out.split('\n')).toHaveLength(5);
    expect(readPcapng(readFileSync(file)).packets.map(({ comment }) => comment)).toEqual([
      expect.stringMatching(/^heartbeat: term=7 seq=\d+ commit=3/),
      expect.stringMatching(/^heartbeat-ack after 12\.0 ms: term=7 seq=\d+$/),
      expect.stringMatching(/^arm: id=\d+$/),
    ]);
  });

  it('FILE: what was in it stays until there is something to write, and nothing of it afterwards', async () => {
    const file = join(agent.directory, 'old.pcapng');
    writeFileSync(file, 'x'.repeat(100_000));
    expect((await inspect('--pcapng', file, '--kind', 'hart')).code).toBe(EXIT.usage);
    expect(readFileSync(file)).toHaveLength(100_000);
    await inspect('--json', '--count', '1', '--pcapng', file);
    expect(readPcapng(readFileSync(file)).packets).toHaveLength(1);
  });

  it('-: on stdout, and nothing but that', async () => {
    const chunks: Buffer[] = [];
    const write = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
      chunks.push(Buffer.from(chunk));
      return true;
    });
    vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
    const code = await run([
      'inspect',
      '--count',
      '2',
      '--pcapng',
      '-',
      '--config',
      join(agent.directory, 'q.yaml'),
    ]);
    write.mockRestore();
    expect(code).toBe(EXIT.done);
    expect(readPcapng(Buffer.concat(chunks)).packets).toHaveLength(2);
  });
});

describe('what cannot be', () => {
  it.each([
    [['--count', '0'], /--count <n>.*a whole number from 1/],
    [['--for', '10'], /--for <time>.*a duration needs a unit/],
    [['--slower-than', 'long'], /--slower-than <time>.*expected a duration/],
    [['--peer', 'b,,w'], /--peer <nodes>.*names, with commas between them/],
    [['--peer', 'z'], /--peer "z": the other nodes are b, w/],
    [['--kind', 'hart'], /--kind "hart": known are peer/],
    [['--direction', 'up'], /--direction "up"/],
    [['--json', '--pcapng', '-'], /stdout is for --json or for --pcapng -/],
  ])('%j is refused with exit code 2 and one line', async (words, why) => {
    const { code, out, err } = await inspect(...words);
    expect({ code, out }).toEqual({ code: EXIT.usage, out: '' });
    expect(err).toMatch(why);
    expect(err.trimEnd()).not.toContain('\n');
  });

  it('a file that cannot be written is said before anybody looks', async () => {
    const { code, err } = await inspect('--pcapng', '/nonexistent/x');
    expect({ code, isWatched: tap.isWatched }).toEqual({ code: EXIT.failed, isWatched: false });
    expect(err).toMatch(/--pcapng \/nonexistent\/x: ENOENT.*\[file-not-written\]/);
  });

  it('a viewer may not, and nobody there is exit code 3', async () => {
    const file = (name: string) => join(agent.directory, name);
    const asViewer = [
      '--tls-ca',
      file('ca.pem'),
      '--tls-cert',
      file('viewer.pem'),
      '--tls-key',
      file('viewer.key'),
    ];
    const refused = await captured(() => run(['inspect', '--address', agent.address, ...asViewer]));
    expect(refused.code).toBe(EXIT.failed);
    expect(refused.err).toContain('Inspect needs the role operator');
    const nobody = await captured(() => run(['inspect', '--address', '127.0.0.1:9', ...asViewer]));
    expect(nobody.code).toBe(EXIT.unreachable);
  });
});
