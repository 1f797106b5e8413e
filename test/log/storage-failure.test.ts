import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type LogMedium, LogStore, sha256 } from '../../src/log/index.ts';
import { ScriptedNode } from '../support/log-fixtures.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quorate-log-test-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const noSpace = () => Promise.reject(Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' }));
const hang = () => new Promise<void>(() => {});
type Hurt = Partial<Pick<LogMedium, 'writeBatch' | 'writeMarker'>>;

/** A store whose medium turns into `hurt` when told. */
async function openFragile(hurt: Hurt) {
  let isHurt = false;
  const calls: string[] = [];
  const wrapMedium = (medium: LogMedium): LogMedium => ({
    writeBatch: (batch) => {
      calls.push('batch');
      return (isHurt ? hurt.writeBatch : undefined)?.(batch) ?? medium.writeBatch(batch);
    },
    writeMarker: (marker) => {
      calls.push('marker');
      return (isHurt ? hurt.writeMarker : undefined)?.(marker) ?? medium.writeMarker(marker);
    },
    close: () => medium.close(),
  });
  const { store } = await LogStore.open(directory, { digest: sha256, wrapMedium, writeTimeoutMs: 150 });
  return {
    store,
    calls,
    hurtNow: () => {
      isHurt = true;
    },
  };
}

describe('D3: an error or a time-out of a write ends the store', () => {
  test.each<[string, Hurt]>([
    ['a failing batch', { writeBatch: noSpace }],
    ['a failing marker', { writeMarker: noSpace }],
    ['a batch that never ends', { writeBatch: hang }],
    ['a marker that never ends', { writeMarker: hang }],
  ])('%s', async (_, hurt) => {
    const { store, calls, hurtNow } = await openFragile(hurt);
    const node = new ScriptedNode();
    await store.persist([node.vote(), node.append()]);
    const acknowledged = [...node.log];
    hurtNow();
    const writes = [node.append(), node.append(), node.vote()].map((persist) => store.persist([persist]));
    const outcomes = await Promise.allSettled(writes);
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'storage-failed', exitCode: 10 } });

    const before = calls.length;
    await expect(store.persist([node.append()])).rejects.toMatchObject({ code: 'storage-failed' });
    expect(calls.length).toBe(before);
    await store.close();
    const { recovered, store: again } = await LogStore.open(directory, { digest: sha256 });
    expect(recovered.status).toBe('clean');
    expect(recovered.entries.slice(0, acknowledged.length)).toEqual(acknowledged);
    await again.close();
  });

  test('a process that was stopped for longer than the time-out is not blamed on the disk', async () => {
    const { store } = await openFragile({});
    const node = new ScriptedNode();
    const write = store.persist([node.append()]);
    const until = performance.now() + 400;
    while (performance.now() < until);
    await write;
    await store.close();
  });

  test('a persist that does not continue the log is a broken invariant, and nothing is written', async () => {
    const { store, calls } = await openFragile({});
    const node = new ScriptedNode();
    node.append(2);
    const gap = node.append();
    await expect(store.persist([gap])).rejects.toThrow(/gap/);
    await expect(store.persist([new ScriptedNode().append()])).rejects.toThrow(/gap/);
    expect(calls).toEqual([]);
    await store.close();
  });
});

function gate() {
  let resolve = () => {};
  const promise = new Promise<void>((opened) => {
    resolve = opened;
  });
  return { promise, resolve: () => resolve() };
}

test('D1: the marker is begun only when the batch is durable, and acknowledged only when the marker is', async () => {
  const story: string[] = [];
  const gates = { batch: gate(), marker: gate() };
  const { store } = await LogStore.open(directory, {
    digest: sha256,
    wrapMedium: (medium) => ({
      writeBatch: async (batch) => {
        story.push('batch begun');
        await medium.writeBatch(batch);
        await gates.batch.promise;
        story.push('batch durable');
      },
      writeMarker: async (marker) => {
        story.push('marker begun');
        await medium.writeMarker(marker);
        await gates.marker.promise;
        story.push('marker durable');
      },
      close: () => medium.close(),
    }),
  });
  const ended = store.persist([new ScriptedNode().append()]).then(() => story.push('acknowledged'));
  const pause = () => new Promise((resolve) => setTimeout(resolve, 30));
  await pause();
  expect(story).toEqual(['batch begun']);
  gates.batch.resolve();
  await pause();
  expect(story).toEqual(['batch begun', 'batch durable', 'marker begun']);
  gates.marker.resolve();
  await ended;
  expect(story).toEqual(['batch begun', 'batch durable', 'marker begun', 'marker durable', 'acknowledged']);
  await store.close();
});
