/** How long the receiver may take after the last byte: for a run as often as it has snapshots, and not for ever. */
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { epoch } from '../../../src/core/index.ts';
import { carry } from '../../../src/replication/engine/stream.ts';
import { guid } from '../../../src/replication/pool.ts';
import { VirtualClock } from '../../resources/support/virtual-clock.ts';

const id = guid('7');
const named = (name: string) => {
  if (id === null) throw new Error('no GUID');
  return { dataset: 'tank/home', name, guid: id };
};

it.each([
  [1, 300],
  [3, 900],
  [6, 1800],
  [64, 1800],
])('of %i snapshots within %i s', async (count, seconds) => {
  const clock = new VirtualClock();
  const names = Array.from({ length: count }, (_, at) => `s${at + 1}`);
  const [last = '', ...before] = names.toReversed();
  const step = {
    kind: 'incremental',
    dataset: 'tank/home',
    from: '@s0',
    snapshot: last,
    isRaw: false,
  } as const;
  let isAborted = false;
  const beganAt = clock.now();
  const carried = carry({
    step: before.length === 0 ? step : { ...step, between: before.toReversed() },
    order: {
      ...{ dataset: 'tank/home', snapshot: named(last), kind: 'incremental' },
      ...(before.length === 0 ? {} : { before: before.toReversed().map(named) }),
    },
    epoch: epoch(7),
    channel: {
      receive: async () => ({
        sink: new PassThrough(),
        ended: new Promise(() => {}),
        abort: () => {
          isAborted = true;
        },
      }),
    },
    clock,
    bytesPerSecond: null,
    answerMs: 1000,
    signal: new AbortController().signal,
    onProgress: () => {},
    startSend: () => ({ ended: Promise.resolve({ kind: 'sent' }), stop: () => {} }),
  });
  await expect(carried).rejects.toThrow(`within ${seconds} s`);
  expect([clock.now() - beganAt, isAborted]).toEqual([seconds * 1000, true]);
});
