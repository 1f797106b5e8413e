/** One receive at a time for a dataset, and who ends one. */
import { createReadStream, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import { instant } from '../../../src/core/index.ts';
import { endReceives, registered } from '../../../src/replication/receiver/index.ts';
import { until } from '../support/hosts.ts';
import { host, receiver, registrations, signal, startReceiver } from '../support/receiving.ts';
import { makeStream, named } from '../support/streams.ts';

startReceiver();

it('one receive for a dataset at a time; one that replaces ends the one that is left over', async () => {
  const stream = makeStream(host.directory, named('tank/home', 's1', 91));
  const first = await receiver.receive(7, stream.order, 'pipe', signal);
  await expect(receiver.receive(7, stream.order, 'pipe', signal)).rejects.toThrow(/runs already/);
  expect(await registered(host.config.dataDir)).toMatchObject([
    { dataset: 'tank/home', peer: 'a', epoch: 7 },
  ]);
  const second = await receiver.receive(7, { ...stream.order, replaces: true }, 'pipe', signal);
  expect(await first.ended).toMatchObject({ kind: 'broken' });
  createReadStream(stream.file).pipe(second.input as NodeJS.WritableStream);
  expect(await second.ended).toEqual({ kind: 'received' });
});

it("ends by itself when the local agent's epoch moves past its own", async () => {
  const { order } = makeStream(host.directory, named('tank/home', 's1', 92));
  const running = await receiver.receive(7, order, 'pipe', signal);
  host.known = { mayHold: false, tenure: { epoch: 9, node: 'b', isReleased: false } };
  expect(await running.ended).toMatchObject({ code: 'refused', why: expect.stringMatching(/epoch 9 of b/) });
  expect(registrations()).toEqual([]);
});

it('a takeover ends what runs, keeps what has arrived, and nothing begins after it', async () => {
  const { order, file } = makeStream(host.directory, named('tank/home', 's1', 93));
  const running = await receiver.receive(7, order, 'pipe', signal);
  running.input?.write(readFileSync(file).subarray(0, 200_000));
  await until('some has arrived', () => {
    try {
      return host.data('93').length > 100_000;
    } catch {
      return false;
    }
  });
  host.known = { mayHold: true, tenure: { epoch: 7, node: 'a', isReleased: false } };
  const ended = await endReceives(host.config.dataDir, instant(systemClock.now() + 5000));
  expect(ended).toEqual({ kind: 'ended', count: 1 });
  expect(await running.ended).toMatchObject({ kind: 'broken' });
  expect(host.datasets()['tank/home']?.partial?.bytes).toBeGreaterThan(100_000);
  await expect(receiver.receive(7, order, 'pipe', signal)).rejects.toThrow(/holds/);
  expect(await endReceives(host.config.dataDir, instant(systemClock.now()))).toEqual({
    kind: 'ended',
    count: 0,
  });
});
