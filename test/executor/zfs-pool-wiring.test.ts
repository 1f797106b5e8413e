/** A pool as the executor makes it: whom it is taken from is a matter of the config and of who this node is. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { instant, nodeId } from '../../src/core/index.ts';
import { localResource } from '../../src/executor/local-resources.ts';
import { GatewayMemory, PoolMemory } from '../../src/resources/index.ts';
import { CAPTURES } from '../resources/zfs-captures.ts';

/** None of this host's: whatever it has loaded, there is no such pool. */
const POOL = 'quorate-test-no-such-pool';

async function acquire(other: string, lastUser: string) {
  const calls: string[] = [];
  const resource = localResource(
    {
      ...{ name: 'tank', kind: 'zfs-pool', after: ['block'], pool: POOL },
      ...{ devices: null, loadKeys: false, hosts: { a: 'nas-1', b: 'nas-2', c: 'nas-3' } },
    },
    {
      runner: {
        run: async (command) => {
          calls.push(command.join(' '));
          const stderr = CAPTURES.lastUsedByPeer.replace('node-a', lastUser);
          return { kind: 'exited', code: 1, stdout: '', stderr };
        },
        killMarked: async () => 0,
        follow: () => () => undefined,
      },
      ...{ clock: systemClock, mark: 'test', mayKill: false, frozenIo: null, lastSeen: () => null },
      devicesBelow: async () => ['/dev/quorate-test-no-such-device'],
      otherDataNodes: [nodeId('c'), nodeId(other)],
      ...{ gatewayMemory: new GatewayMemory(), poolMemory: new PoolMemory(), dataDir: '/nowhere' },
    },
  );
  const signal = new AbortController().signal;
  const context = { deadline: instant(systemClock.now() + 5000), signal, previousReleased: false };
  const error: unknown = await resource.acquire({ ...context, proof: 'fresh' }).catch((caught) => caught);
  return { calls, said: String(error) };
}

describe('zfs-pool', () => {
  it.each([
    ['b', 'nas-2'],
    ['a', 'nas-1'],
    ['b', 'nas-3'],
  ])('where %s is another node, a pool of %s is taken with proof', async (other, host) => {
    const { calls } = await acquire(other, host);
    expect(calls[1]).toBe(`zpool import -f -N -o cachefile=none -d /dev/quorate-test-no-such-device ${POOL}`);
  });

  it.each([
    ['b', 'nas-1', /name of this host/],
    ['a', 'nas-2', /name of this host/],
    ['b', 'b', /no member \(nas-1, nas-2, nas-3\)/],
  ])('where %s is another node, a pool of %s is not', async (other, host, why) => {
    const { calls, said } = await acquire(other, host);
    expect(calls).toHaveLength(1);
    expect(said).toMatch(why);
  });
});
