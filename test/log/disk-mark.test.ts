import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { logIndex, nodeId, term } from '../../src/core/index.ts';
import { decodeDiskMark, encodeDiskMark } from '../../src/log/disk-mark.ts';
import { type DiskMark, diskMarks, LogStore, sha256, verifyDirectory } from '../../src/log/index.ts';
import { ScriptedNode } from '../support/log-fixtures.ts';

const b = nodeId('b');
const HEARD: DiskMark = {
  kind: 'heard',
  first: { from: b, term: term(7), end: logIndex(70), commit: logIndex(64) },
};
const LOST: DiskMark = { kind: 'lost', from: b, index: logIndex(1) };

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quorate-mark-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('D2: the mark of a disk that may be lost', () => {
  test('is what was written last, and is gone when it is removed', async () => {
    const marks = diskMarks(directory);
    expect(await marks.read()).toBeNull();
    await marks.write(HEARD);
    expect(await diskMarks(directory).read()).toEqual(HEARD);
    await marks.write(LOST);
    expect(await diskMarks(directory).read()).toEqual(LOST);
    await marks.remove();
    await marks.remove();
    expect(await diskMarks(directory).read()).toBeNull();
    expect(await readdir(directory)).toEqual([]);
  });

  test('bytes of this version open for ever', () => {
    const golden =
      '{"body":{"mark":{"first":{"commit":64,"end":70,"from":"b","term":7},"kind":"heard"},"version":1},"checksum":"CHECKSUM"}\n';
    const checksum = sha256(golden.slice('{"body":'.length, golden.indexOf(',"checksum"')));
    expect(encodeDiskMark(HEARD)).toBe(golden.replace('CHECKSUM', checksum));
    expect(decodeDiskMark(golden.replace('CHECKSUM', checksum), 'm')).toEqual(HEARD);
  });

  test('any byte that is flipped or missing makes it unreadable, never another mark', () => {
    const text = encodeDiskMark(LOST).trimEnd();
    for (let at = 0; at < text.length; at += 1) {
      const flipped = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1);
      for (const hurt of [flipped, text.slice(0, at)])
        expect(() => decodeDiskMark(hurt, '/data/disk-mark'), hurt).toThrow(
          expect.objectContaining({ code: 'disk-mark-unreadable', exitCode: 12 }),
        );
    }
  });

  test('an intact one of a later version is refused as that', () => {
    const body = { mark: { kind: 'lost', more: 1 }, version: 2 };
    const text = `{"body":${JSON.stringify(body)},"checksum":"${sha256(JSON.stringify(body))}"}`;
    expect(() => decodeDiskMark(text, 'm')).toThrow(expect.objectContaining({ code: 'log-format-unknown' }));
  });

  test('one that cannot be read is no “no”', async () => {
    await writeFile(join(directory, 'disk-mark'), '');
    await expect(diskMarks(directory).read()).rejects.toMatchObject({ code: 'disk-mark-unreadable' });
    await rm(directory, { recursive: true });
    await writeFile(directory, '');
    await expect(diskMarks(directory).read()).rejects.toMatchObject({ code: 'disk-mark-unreadable' });
    await rm(directory);
  });

  test('one that cannot be written is a failed disk (D3)', async () => {
    const marks = diskMarks(join(directory, 'missing'));
    await expect(marks.write(LOST)).rejects.toMatchObject({ code: 'storage-failed', exitCode: 10 });
    await expect(marks.remove()).rejects.toMatchObject({ code: 'storage-failed' });
  });

  test('what a power cut left of a write is no mark, and is written over', async () => {
    await writeFile(join(directory, 'disk-mark.new'), 'half a ma');
    const marks = diskMarks(directory);
    expect(await marks.read()).toBeNull();
    await marks.write(LOST);
    expect(await readdir(directory)).toEqual(['disk-mark']);
    expect(await readFile(join(directory, 'disk-mark'), 'utf8')).toBe(encodeDiskMark(LOST));
  });

  test('the log beside it opens as ever, for the agent and for who reads it offline', async () => {
    const node = new ScriptedNode();
    const opened = await LogStore.open(directory, { digest: sha256 });
    await opened.store.persist([node.append(2)]);
    await opened.store.close();
    const plain = await verifyDirectory(directory, sha256);
    await diskMarks(directory).write(HEARD);
    expect(await verifyDirectory(directory, sha256)).toEqual(plain);
    const again = await LogStore.open(directory, { digest: sha256 });
    expect(again.recovered).toMatchObject({ status: 'clean', entries: node.log, problems: [] });
    await again.store.close();
    expect(await diskMarks(directory).read()).toEqual(HEARD);
  });
});
