/** The receiver as a process of its own: it is kept running, answers by itself, and ends with who has started it. */
import { execFile } from 'node:child_process';
import { getPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { nodeId } from '../../src/core/index.ts';
import { isGone, startTimeOf } from '../../src/executor/processes.ts';
import { ReceiverProcess } from '../../src/executor/receiver-process.ts';
import { GrpcChannel } from '../../src/replication/channels/index.ts';
import { CLUSTER, startHost, type TestHost, until } from '../replication/support/hosts.ts';
import { freePort } from '../replication/support/sshd.ts';
import { testTls } from '../support/pki.ts';

const script = fileURLToPath(new URL('../../scripts/quorate', import.meta.url));
const program = new URL('../../dist/receiver.mjs', import.meta.url);
let host: TestHost;
let port = 0;
beforeAll(async () => {
  await promisify(execFile)(script, ['--version']);
  port = await freePort('127.0.1.2');
  host = await startHost({ node: 'b', channel: () => `{kind: grpc, port: ${port}}` });
}, 120_000);
afterAll(() => host.close());

it('answers; is started again when it dies; refuses who was removed; ends when it is told, and when its executor is gone', async () => {
  const logged: unknown[] = [];
  const receiver = new ReceiverProcess({
    config: host.config,
    program,
    clock: systemClock,
    log: (_level, fields) => void logged.push(fields),
  });
  const channel = new GrpcChannel({
    ...{ cluster: CLUSTER, self: nodeId('a'), to: nodeId('b'), address: `127.0.1.2:${port}` },
    tls: () => testTls(CLUSTER, 'a'),
  });
  const { signal } = new AbortController();
  receiver.start();
  // Heartbeats come before streams, and an executor that starts before what it takes to load a receiver.
  expect(getPriority(receiver.pid ?? 0)).toBe(Math.max(getPriority(), 10));
  expect(await channel.read({ signal, limitMs: 20_000 })).toMatchObject({ pools: [{ name: 'tank' }] });
  const first = receiver.pid ?? 0;
  expect(getPriority(first)).toBeGreaterThanOrEqual(10);
  process.kill(first, 'SIGKILL');
  await until('another one', () => receiver.pid !== null && receiver.pid !== first);
  expect(logged).toEqual([expect.objectContaining({ event: 'receiver-gone', why: 'SIGKILL' })]);
  await channel.read({ signal, limitMs: 20_000 });
  const second = { pid: receiver.pid ?? 0, startTime: startTimeOf(receiver.pid ?? 0) ?? '' };
  expect(isGone(second)).toBe(false);
  // E5: of the log; the config file still has it.
  receiver.setMembers([nodeId('w')]);
  await vi.waitFor(
    () =>
      expect(channel.read({ signal, limitMs: 20_000 })).rejects.toMatchObject({
        code: 'peer-refused',
        message: expect.stringMatching(/a was removed from nas-test/),
      }),
    10_000,
  );
  // The next process has read the file only, and is told.
  process.kill(second.pid, 'SIGKILL');
  await until('a third one', () => receiver.pid !== null && receiver.pid !== second.pid);
  await vi.waitFor(
    () => expect(channel.read({ signal, limitMs: 20_000 })).rejects.toThrow(/a was removed/),
    20_000,
  );
  receiver.setMembers([nodeId('a'), nodeId('w')]);
  await vi.waitFor(() => channel.read({ signal, limitMs: 20_000 }), 10_000);
  await receiver.stop();
  expect(isGone(second)).toBe(true);
  await expect(channel.read({ signal, limitMs: 1000 })).rejects.toMatchObject({ code: 'peer-unreachable' });
  await channel.close();
});

it('is not started where the channel is another one', () => {
  const { replication } = host.config;
  const receiver = new ReceiverProcess({
    config: { ...host.config, replication: replication === null ? null : { ...replication, channel: null } },
    program,
    clock: systemClock,
    log: () => {},
  });
  receiver.start();
  expect(receiver.pid).toBeNull();
});
