/** The capture, byte for byte against a golden, read back by a reader of its own, and by tshark where there is one. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { checksum } from '../../src/inspect/frames.ts';
import { Capture, type InspectItem } from '../../src/inspect/index.ts';
import { type Packet, readPcapng } from './pcapng-reader.ts';

const AT = 1_767_323_045_678.25;

const item = (change: Partial<InspectItem>): InspectItem => ({
  atMs: AT,
  channel: 'peer',
  direction: 'sent',
  peer: 'b',
  kind: 'heartbeat',
  bytes: 41,
  latencyMs: null,
  outcome: null,
  detail: { term: 3, seq: 9 },
  ...change,
});

const STORY: readonly InspectItem[] = [
  item({}),
  item({ direction: 'received', kind: 'heartbeat-ack', bytes: 28, latencyMs: 1.25, atMs: AT + 1.25 }),
  item({ atMs: AT + 100, detail: { term: 3, seq: 10 } }),
  item({ atMs: AT + 110, peer: 'w', bytes: null, outcome: 'not sent' }),
  item({ atMs: AT + 120, kind: 'append', bytes: 150_001, detail: { entries: 300 } }),
  item({ atMs: AT + 130, kind: 'facts', bytes: 20, detail: {} }),
  item({ atMs: AT + 140, kind: 'facts-ack', direction: 'received', bytes: 300, detail: {} }),
  item({ atMs: AT + 150, channel: 'executor', peer: null, kind: 'take', bytes: 98, detail: { epoch: 8 } }),
  item({ atMs: AT + 151, channel: 'executor', peer: null, kind: 'renew', bytes: 35, detail: { epoch: 8 } }),
  item({
    atMs: AT + 200,
    channel: 'executor',
    direction: 'received',
    peer: null,
    kind: 'taken',
    bytes: 210,
    latencyMs: 50,
    detail: { epoch: 8, steps: [{ name: 'eip', ms: 31.4, result: 'associated (nobody had it) – für b' }] },
  }),
  item({ atMs: AT + 210, channel: 'executor', peer: null, kind: 'arm', bytes: 22, outcome: 'not sent' }),
  ...(['sent', 'received'] as const).map((direction) =>
    item({
      atMs: AT + (direction === 'sent' ? 300 : 381),
      channel: 'cloud',
      direction,
      peer: null,
      kind: 'AssociateAddress',
      bytes: direction === 'sent' ? 130 : null,
      latencyMs: direction === 'sent' ? null : 81,
      outcome: direction === 'sent' ? null : 'AuthFailure',
      detail: { service: 'EC2', call: 2, attempts: 1 },
    }),
  ),
  item({
    atMs: AT + 400,
    channel: 'cloud',
    direction: 'received',
    peer: null,
    kind: 'AssociateAddress',
    bytes: null,
    outcome: 'LeaseEnded',
    detail: { service: 'EC2', call: 3, attempts: 0 },
  }),
];

function captureOf(items: readonly InspectItem[]): Buffer {
  const capture = new Capture('a');
  const parts = [capture.begin('0.1.0'), ...items.map((one) => capture.packet(one))];
  capture.missing(5);
  return Buffer.concat([...parts, capture.end()]);
}

const bytes = captureOf(STORY);

it('is byte for byte what it was', async () => {
  const lines = bytes.toString('hex').replaceAll(/.{1,96}/g, '$&\n');
  await expect(lines).toMatchFileSnapshot('./capture.golden.txt');
});

describe('read back', () => {
  const { comment, application, interfaces, names, packets, statistics } = readPcapng(bytes);

  it('says what it is, who looked, what a packet keeps, and how much is missing', () => {
    expect(application).toBe('quorate 0.1.0');
    expect(comment).toMatch(/addresses .* are made up; .* no payload is stored/);
    expect(interfaces).toEqual([{ link: 1, snapBytes: 54, name: 'quorate a' }]);
    expect(names).toEqual({
      '192.0.2.1': 'a',
      '192.0.2.2': 'b',
      '192.0.2.3': 'a-executor',
      '192.0.2.4': 'ec2',
    });
    expect(statistics).toEqual([{ received: 18, dropped: 5 }]);
  });

  it('has a packet for what passed, several for what one cannot carry, none for what did not leave', () => {
    expect(packets.map(({ comment: said }) => said)).toEqual([
      'heartbeat: term=3 seq=9',
      'heartbeat-ack after 1.3 ms: term=3 seq=9',
      'heartbeat: term=3 seq=10',
      null,
      null,
      'append: entries=300',
      'facts',
      'facts-ack',
      'take: epoch=8',
      'renew: epoch=8',
      'taken after 50.0 ms: epoch=8 steps=[{"name":"eip","ms":31.4,"result":"associated (nobody had it) – für b"}]',
      'AssociateAddress: service=EC2 call=2 attempts=1',
      'AssociateAddress after 81.0 ms: AuthFailure service=EC2 call=2 attempts=1',
    ]);
    expect(packets.map(({ isInbound }) => isInbound).filter(Boolean)).toHaveLength(4);
    expect(packets[0]?.atUs).toBe(1_767_323_045_678_250n);
  });

  it('lengths are those of the messages, and only headers are stored', () => {
    for (const { captured, originalBytes } of packets) {
      expect(captured).toHaveLength(54);
      expect(originalBytes).toBe(14 + captured.readUInt16BE(16));
    }
    const payloads = packets.map(({ originalBytes }) => originalBytes - 54);
    expect(payloads).toEqual([41, 28, 41, 65_495, 65_495, 19_011, 20, 300, 98, 35, 210, 130, 0]);
  });

  it('checksums are right', () => {
    for (const { captured } of packets) {
      expect(checksum(captured.subarray(14, 34))).toBe(0);
      const tcpBytes = captured.readUInt16BE(16) - 20;
      const pseudo = Buffer.concat([
        captured.subarray(26, 34),
        Buffer.from([0, 6, tcpBytes >> 8, tcpBytes & 255]),
      ]);
      expect(checksum(Buffer.concat([pseudo, captured.subarray(34, 54)]))).toBe(0);
    }
  });

  it('each stream goes on where it was; an answer to a single call comes back on the connection of the question', () => {
    const next = new Map<string, number>();
    const end = ({ captured }: Packet, at: number): string =>
      `${captured[at === 34 ? 29 : 33]}:${captured.readUInt16BE(at)}`;
    for (const packet of packets) {
      const stream = `${end(packet, 34)}>${end(packet, 36)}`;
      expect(packet.captured.readUInt32BE(38)).toBe(next.get(stream) ?? 1);
      next.set(stream, packet.captured.readUInt32BE(38) + packet.originalBytes - 54);
    }
    const [facts, answer] = packets.slice(6, 8).map((packet) => [end(packet, 34), end(packet, 36)]);
    expect(answer).toEqual(facts?.toReversed());
    // A node's heartbeats are on a connection of its own.
    expect(new Set(packets.slice(0, 3).map((packet) => `${end(packet, 34)}>${end(packet, 36)}`)).size).toBe(
      2,
    );
  });
});

it('a comment is cut at a character where it is too long for the format', () => {
  const capture = new Capture('a');
  const long = capture.packet(item({ detail: { why: 'é'.repeat(40_000) } }));
  const [packet] = readPcapng(Buffer.concat([new Capture('a').begin('0'), long])).packets;
  expect(packet?.comment).toMatch(/^heartbeat: why=é+$/);
  expect(Buffer.byteLength(packet?.comment ?? '')).toBeGreaterThan(31_990);
});

it('goes on, however many others there are', () => {
  const capture = new Capture('a');
  const parts = [capture.begin('0')];
  for (let count = 0; count < 400; count++) parts.push(capture.packet(item({ peer: `n${count}` })));
  expect(readPcapng(Buffer.concat(parts)).packets).toHaveLength(400);
});

const hasTshark = spawnSync('tshark', ['-v']).status === 0;
const directory = mkdtempSync(join(tmpdir(), 'quorate-capture-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

// Debian's package `tshark`.
it.skipIf(!hasTshark)('tshark opens it, reads every comment, and has nothing to complain of', () => {
  const file = join(directory, 'story.pcapng');
  writeFileSync(file, bytes);
  const tshark = (...words: string[]): string[] => {
    const checked = ['-o', 'ip.check_checksum:TRUE', '-o', 'tcp.check_checksum:TRUE'];
    const out = execFileSync('tshark', ['-r', file, ...checked, ...words], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return out.toString().trimEnd().split('\n');
  };
  const fields = ['frame.len', 'frame.cap_len', 'ip.src', 'ip.dst', 'tcp.len', 'frame.comment'];
  const rows = tshark('-T', 'fields', ...fields.flatMap((field) => ['-e', field]));
  expect(rows).toHaveLength(13);
  expect(rows[0]).toBe('95\t54\t192.0.2.1\t192.0.2.2\t41\theartbeat: term=3 seq=9');
  expect(rows[10]).toContain('für b');
  // With the names that the file brings.
  expect(tshark('-N', 'n')[0]).toMatch(/ a → b +TCP 95 /);
  const severe =
    'ip.checksum.status == "Bad" || tcp.checksum.status == "Bad" || tcp.analysis.flags || _ws.malformed';
  expect(tshark('-Y', severe)).toEqual(['']);
});
