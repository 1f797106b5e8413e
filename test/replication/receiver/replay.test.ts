/** What this node has written last, while it held, before a stream is taken: seen on real ZFS, where a receive throws an intent log away. */
import { expect, it } from 'vitest';
import { QuorateError } from '../../../src/errors.ts';
import { replayLog } from '../../../src/replication/receiver/replay.ts';
import type { Zfs } from '../../../src/replication/receiver/zfs.ts';
import type { DatasetState } from '../support/hosts.ts';
import { filesystem, held, host, send as sendStream, signal, startReceiver } from '../support/receiving.ts';
import { makeStream, named } from '../support/streams.ts';

startReceiver();

const has = (state: Partial<DatasetState>): void =>
  host.setDatasets({ 'tank/home': { ...filesystem(held('s1', 11, 1)), ...state } });
const send = () => sendStream(makeStream(host.directory, named('tank/home', 's2', 12), { from: '11' }));
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

it('a log of which a snapshot has taken every sign is replayed where this node has held since', async () => {
  has({ written: 0, log: 'the last words', inherited: { 'quorate:written': '6' } });
  expect(await send()).toMatchObject({ kind: 'broken', why: expect.stringMatching(/has been modified/) });
  expect(calls('unshare')).toBe(1);
});

it('a log that cannot be replayed is thrown away by no stream: it counts as written to', async () => {
  has({ written: 8192, log: 'the last words', isLocked: true });
  await expect(send()).rejects.toMatchObject({
    code: 'replication-refused',
    message: expect.stringMatching(
      /^destination tank\/home has been modified, perhaps: its intent log cannot be replayed \(is its key loaded\?\)/,
    ),
  });
  expect(calls('receive')).toBe(0);
  expect(host.datasets()['tank/home']?.log).toBe('the last words');
});

it('a volume without its device has not been replayed', async () => {
  has({ type: 'volume', written: 8192, properties: { volmode: 'none' } });
  const message = expect.stringMatching(
    /device is made, and it has none \(is its key loaded, and is its volmode/,
  );
  await expect(send()).rejects.toMatchObject({ code: 'replication-refused', message });
  expect(calls('receive')).toBe(0);
});

const volume: Partial<DatasetState> = { type: 'volume', properties: { volmode: 'none' } };

it.each([volume, { isLocked: true }])(
  'what this node has closed in order has nothing in its log: %j takes the next stream',
  async (state) => {
    has({ ...state, inherited: { 'quorate:written': '6', 'quorate:closed': '6' } });
    expect(await send()).toEqual({ kind: 'received' });
  },
);

it.each<[string, Partial<DatasetState>]>([
  ['no word', { inherited: { 'quorate:written': '6' } }],
  ['the word of another tenure', { inherited: { 'quorate:written': '6', 'quorate:closed': '5' } }],
  ['a word that is none', { inherited: { 'quorate:written': 'no', 'quorate:closed': 'no' } }],
  [
    'a word that came with a stream',
    { inherited: { 'quorate:written': '6' }, received: { 'quorate:closed': '6' } },
  ],
  [
    'two that came with a stream',
    { inherited: {}, received: { 'quorate:written': '6', 'quorate:closed': '6' } },
  ],
])('with %s nothing is known of a log that cannot be replayed', async (_, words) => {
  has({ ...volume, ...words });
  await expect(send()).rejects.toThrow(/has been modified, perhaps/);
  expect(calls('receive')).toBe(0);
});

it.each([true, false])(
  'of what was cloned for a set-aside there is no log to be replayed: %s',
  async (isHeir) => {
    const now = { kind: 'filesystem', guid: '1', written: 8192, isMounted: false } as const;
    const tenure = { hasHeld: true, isClosed: false };
    const locked = async (): Promise<boolean> => {
      throw new QuorateError('command-failed', 'encryption key not loaded');
    };
    const zfs = { snapshotsOf: async () => [held('s1', 11, 1)], command: locked } as unknown as Zfs;
    const parts = { zfs, hasDevice: async () => true, isHeir: async () => isHeir };
    const replayed = replayLog('tank/home', { ...now, ...tenure, properties: new Map() }, parts, signal);
    if (isHeir) await replayed;
    else await expect(replayed).rejects.toThrow('has been modified, perhaps');
  },
);
