/** What this node has written last, while it held, before a stream is taken: seen on real ZFS, where a receive throws an intent log away. */
import { createReadStream } from 'node:fs';
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { nodeId } from '../../../src/core/index.ts';
import { hostReceiver } from '../../../src/replication/channels/index.ts';
import type { Receiver } from '../../../src/replication/receiver/index.ts';
import { type DatasetState, startHost, type TestHost } from '../support/hosts.ts';
import { makeStream, named } from '../support/streams.ts';

const path = process.env.PATH;
let host: TestHost;
let receiver: Receiver;
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

function has(state: Partial<DatasetState>): void {
  const copy = { type: 'filesystem', token: null, partial: null, properties: {} } as const;
  const snapshots = [{ name: 's1', guid: '11', createtxg: 1, holds: [] }];
  host.setDatasets({ 'tank/home': { ...copy, snapshots, ...state } });
}

async function send() {
  const stream = makeStream(host.directory, named('tank/home', 's2', 12), { from: '11' });
  const running = await receiver.receive(7, stream.order, 'pipe', new AbortController().signal);
  if (running.input === null) throw new Error('no input');
  createReadStream(stream.file).pipe(running.input);
  return running.ended;
}

const calls = (verb: string): number => host.calls().filter(([one]) => one === verb).length;

it('a log is replayed first, and ZFS takes nothing then', async () => {
  has({ written: 8192, log: 'the last words' });
  const why = expect.stringMatching(/has been modified\W+since most recent snapshot/);
  expect(await send()).toEqual({ kind: 'broken', code: 'refused', why });
  expect(host.datasets()['tank/home']).toMatchObject({ isChanged: true, snapshots: [{ name: 's1' }] });
  const [command = []] = host.calls().filter(([verb]) => verb === 'unshare');
  expect(command.slice(1, 4)).toEqual(['--mount', '--propagation', 'private']);
  expect(command.at(-1)).toBe('tank/home');
});

it('what ZFS itself has done to an empty log keeps no stream away', async () => {
  has({ written: 8192 });
  expect(await send()).toEqual({ kind: 'received' });
  expect(calls('unshare')).toBe(1);
});

it.each([{ written: 0 }, { written: 8192, mounted: 'yes' }])(
  'nothing is to be replayed of %j',
  async (state) => {
    has(state);
    expect(await send()).toEqual({ kind: 'received' });
    expect(calls('unshare')).toBe(0);
  },
);

it('a log that cannot be replayed is thrown away by no stream: refused, with the remedy', async () => {
  has({ written: 8192, log: 'the last words', isLocked: true });
  await expect(send()).rejects.toMatchObject({
    code: 'replication-refused',
    message: expect.stringMatching(/cannot be replayed \(is its key loaded\? "zfs load-key -r"\)/),
  });
  expect(calls('receive')).toBe(0);
  expect(host.datasets()['tank/home']?.log).toBe('the last words');
});

it('a volume without its device has not been replayed', async () => {
  has({ type: 'volume', written: 8192, properties: { volmode: 'none' } });
  const message = expect.stringMatching(/it has none: "zfs set volmode=default tank\/home"/);
  await expect(send()).rejects.toMatchObject({ code: 'replication-refused', message });
  expect(calls('receive')).toBe(0);
});
