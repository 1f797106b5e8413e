/** `quorate members` and `quorate settings`, against the admin service with an agent that answers what it is told. */
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../../src/cli/program.ts';
import { EXIT, QuorateError } from '../../src/errors.ts';
import { type FakeAgent, identities, startFakeAgent } from '../admin/fake.ts';
import { captured } from './captured.ts';

let agent: FakeAgent;
beforeAll(async () => {
  agent = await startFakeAgent(await identities());
});
afterAll(() => agent.close());
beforeEach(() => {
  agent.backend.asked.length = 0;
  agent.backend.failure = null;
});

const quorate = (...words: string[]) => captured(() => run(words));
const inDirectory = (name: string): string => join(agent.directory, name);
const withConfig = (): string[] => ['--config', inDirectory('q.yaml')];
const asRole = (role: string): string[] => [
  ...['--address', agent.address, '--tls-ca', inDirectory('ca.pem')],
  ...['--tls-cert', inDirectory(`${role}.pem`), '--tls-key', inDirectory(`${role}.key`)],
];

describe('members', () => {
  it('list is a table, for a viewer too, and says where the file differs', async () => {
    const { code, out } = await quorate('members', 'list', ...asRole('viewer'));
    expect(code).toBe(EXIT.done);
    expect(out.split('\n')).toEqual([
      '2 members since entry 7, leader a',
      'node  kind  vote     zone        address         log        answers  in sync',
      'a     data  yes      us-east-1a  10.0.1.10:7400  8          yes      yes',
      'c     data  learner  -           ?               2, behind  no       -',
      'removed for good: b',
      'the config file of this node differs: b was removed, and the file still lists it',
      '',
    ]);
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it('add, promote and remove pass on what they were given, and say what comes next', async () => {
    const add = ['members', 'add', 'c', '--peer', '10.0.4.10:7400', '--zone', 'us-east-1d', '--why', 'new'];
    const { out } = await quorate(...add, '--request-id', 'request-1', ...withConfig());
    expect(out).toMatch(
      /^c is a learner \(entry 24\).*\nNext: start its agent, then "quorate members promote c"/,
    );
    await quorate('members', 'add', 'v', '--peer', '10.0.5.10:7400', '--witness', ...withConfig());
    expect((await quorate('members', 'promote', 'c', ...withConfig())).out).toMatch(
      /^c votes from now on \(entry 25\)/,
    );
    const { out: removed } = await quorate('members', 'remove', 'b', '--json', ...withConfig());
    expect(JSON.parse(removed)).toMatchObject({ node: 'b', index: 26, alreadyDone: true });
    expect(agent.backend.asked).toMatchObject([
      {
        add: {
          node: 'c',
          peer: '10.0.4.10:7400',
          zone: 'us-east-1d',
          witness: false,
          requestId: 'request-1',
        },
      },
      { add: { node: 'v', zone: '', witness: true, snapshots: false } },
      { promote: { node: 'c' } },
      { remove: { node: 'b' } },
    ]);
  });

  it('are an admin’s to change; what cannot be meant is refused before anybody is asked', async () => {
    for (const words of [
      ['add', 'c', '--peer', '10.0.4.10:7400'],
      ['promote', 'c'],
      ['remove', 'c'],
    ]) {
      const { code, err } = await quorate('members', ...words, ...asRole('operator'));
      expect([code, err]).toEqual([EXIT.failed, expect.stringMatching(/needs the role admin/)]);
    }
    for (const [words, what] of [
      [['add', 'c', '--peer', 'nowhere'], /--peer/],
      [['add', 'c!', '--peer', '10.0.4.10:7400'], /node id/],
      [['add', 'c'], /--peer/],
      [['add', 'c', '--peer', '10.0.4.10:7400', '--witness', '--snapshots'], /no data/],
    ] as const) {
      const { code, err } = await quorate('members', ...words, ...withConfig());
      expect([code, err]).toEqual([EXIT.usage, expect.stringMatching(what)]);
    }
    expect(agent.backend.asked).toEqual([]);
  });

  it('a refusal is exit code 4', async () => {
    agent.backend.failure = new QuorateError(
      'refused-unsafe',
      'removing b refused: b is the only node in sync',
    );
    const { code, err } = await quorate('members', 'remove', 'b', ...withConfig());
    expect([code, err]).toEqual([EXIT.refused, expect.stringMatching(/only node in sync/)]);
  });
});

describe('settings', () => {
  it('show compares cluster, goal and file, and says what it waits for', async () => {
    const { out } = await quorate('settings', 'show', ...asRole('viewer'));
    expect(out).toMatch(/timing\.lease +600 ms +900 ms +600 ms/);
    expect(out).toMatch(/watchdog\.timeout +- +- +-/);
    expect(out).toMatch(/waiting: b has not written down the longer promise \(L8\)\nThe file differs/);
  });

  it('set takes times with units, and is an admin’s', async () => {
    const words = ['settings', 'set', 'timing.lease=900ms', 'timing.release=2s', '--timeout', '5'];
    const { code, out } = await quorate(...words, ...withConfig());
    expect([code, out]).toEqual([EXIT.done, expect.stringMatching(/^on its way \(entry 27\)/)]);
    expect(agent.backend.asked).toMatchObject([
      { settings: { values: { leaseMs: 900, releaseMs: 2000, heartbeatMs: null }, waitMs: 5000 } },
    ]);
    expect((await quorate(...words, ...asRole('operator'))).err).toMatch(/needs the role admin/);
    for (const wrong of ['timing.lease', 'lease=1s', 'timing.lease=soon', 'timing.lease=0ms'])
      expect((await quorate('settings', 'set', wrong, ...withConfig())).code, wrong).toBe(EXIT.usage);
  });
});
