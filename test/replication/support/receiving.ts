/** A receiver on a host of its own for each test, without a channel. */
import { createReadStream, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach } from 'vitest';
import { nodeId } from '../../../src/core/index.ts';
import { hostReceiver } from '../../../src/replication/channels/index.ts';
import type { Receiver } from '../../../src/replication/receiver/index.ts';
import { type DatasetState, startHost, type TestHost } from './hosts.ts';
import type { TestStream } from './streams.ts';

export const { signal } = new AbortController();
/** Of the test that runs. */
export let host: TestHost;
export let receiver: Receiver;

export function startReceiver(): void {
  const path = process.env.PATH;
  let stop = async (): Promise<void> => {};
  beforeEach(async () => {
    host = await startHost({ node: 'b', channel: () => '{kind: ssh}' });
    host.known = { mayHold: false, tenure: { epoch: 7, node: 'a', isReleased: false } };
    process.env.PATH = `${host.bin}:${path}`;
    ({ receiver, stop } = hostReceiver(host.config, nodeId('a')));
  });
  afterEach(async () => {
    await stop();
    await host.close();
  });
  afterAll(() => {
    process.env.PATH = path;
  });
}

export const filesystem = (...snapshots: DatasetState['snapshots']): DatasetState => ({
  type: 'filesystem',
  token: null,
  partial: null,
  properties: {},
  snapshots,
});
export const held = (name: string, guid: number, createtxg: number, ...holds: string[]) => ({
  name,
  guid: String(guid),
  createtxg,
  holds,
});
export const SHUT = ['-o', 'readonly=on', '-o', 'quorate:readonly=on'];
const excluded = (...properties: string[]): string[] => properties.flatMap((property) => ['-x', property]);
export const BOTH = excluded(
  ...['snapdev', 'volmode', 'quorate:set-aside', 'quorate:replicate', 'quorate:left-out'],
);
export const FILE_SYSTEM = excluded(
  ...['mountpoint', 'overlay', 'sharenfs', 'sharesmb', 'setuid', 'devices', 'exec'],
);
export const registrations = (): string[] =>
  readdirSync(join(host.config.dataDir, 'replication', 'receiving'));

export async function send(stream: TestStream, epoch = 7) {
  const running = await receiver.receive(epoch, stream.order, 'pipe', signal);
  if (running.input === null) throw new Error('no input');
  createReadStream(stream.file).pipe(running.input);
  return running.ended;
}
