/** A stream that goes out by gRPC: however long it is, nothing stays of what has gone. */
import { Duplex } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { nodeId } from '../../../src/core/index.ts';
import type { WirePart, WireText } from '../../../src/replication/channels/grpc-schema.ts';
import { OutgoingStream } from '../../../src/replication/channels/outgoing-stream.ts';

/** A call that has room for one message at a time. */
function narrowCall() {
  let messages = 0;
  const call = new Duplex({
    objectMode: true,
    writableHighWaterMark: 1,
    read: () => {},
    write: (_part, _encoding, done) => {
      messages += 1;
      setImmediate(done);
    },
  });
  Object.assign(call, { cancel: () => call.destroy(new Error('cancelled')) });
  return { call: call as unknown as ClientDuplexStream<WirePart, WireText>, count: () => messages };
}

async function write(stream: OutgoingStream, times: number): Promise<void> {
  for (let count = 0; count < times; count++)
    await new Promise<void>((resolve, reject) =>
      stream.sink.write(Buffer.of(1), (error) => (error == null ? resolve() : reject(error))),
    );
}

it('a stream that waits for room a hundred thousand times takes no more memory than one that waits once', async () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const heap = (): number => {
    gc();
    return process.memoryUsage().heapUsed;
  };
  const { call, count } = narrowCall();
  const stream = new OutgoingStream(call, nodeId('b'), { json: '{}' });
  await write(stream, 2000);
  const before = heap();
  await write(stream, 100_000);
  expect(heap() - before).toBeLessThan(4_000_000);
  expect(count()).toBe(102_001);
}, 60_000);

it('who waits for room hears of the end', async () => {
  const { call } = narrowCall();
  const stream = new OutgoingStream(call, nodeId('b'), { json: '{}' });
  const written = write(stream, 1000);
  call.destroy(Object.assign(new Error('gone'), { details: 'gone', code: 14 }));
  await expect(written).rejects.toThrow();
  expect(await stream.ended).toMatchObject({ kind: 'broken' });
});
