/** R1: the steps of an abrupt release share one deadline, and a command that hangs leaves time for the next step. */
import { describe, expect, it } from 'vitest';
import { type Instant, instant } from '../../src/core/index.ts';
import {
  type CommandRunner,
  InboundResource,
  PortBlockResource,
  PortResource,
  type Resource,
  RouteTableResource,
  VirtualIpResource,
} from '../../src/resources/index.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** Every command hangs until its limit. */
class HangingHost {
  readonly clock = new VirtualClock();
  readonly runner: CommandRunner = {
    run: async (_, { deadline }) => {
      const limitMs = Math.max(0, deadline - this.clock.now());
      await this.clock.sleep(limitMs);
      return { kind: 'timed-out', limitMs };
    },
    killMarked: async () => 0,
    follow: () => () => undefined,
  };
}

type Shared = Pick<HangingHost, 'clock' | 'runner'> & { readonly name: string };
const KINDS: readonly (readonly [string, (shared: Shared) => Resource])[] = [
  [
    'port',
    (shared) => new PortResource({ ...shared, interface: 'eth1', addresses: ['10.9.0.1/24'], gateway: null }),
  ],
  [
    'virtual-ip',
    (shared) =>
      new VirtualIpResource({ ...shared, interface: 'eth1', address: '10.9.0.1/24', announce: false }),
  ],
  [
    'route-table',
    (shared) =>
      new RouteTableResource({
        ...shared,
        table: 200,
        interface: 'eth1',
        gateway: '10.9.0.2',
        from: ['10.9.0.1'],
        routes: [],
        priority: 100,
      }),
  ],
  [
    'port-block',
    (shared) =>
      new PortBlockResource({
        ...shared,
        ports: [{ protocol: 'tcp', port: 2049 }],
        addresses: [],
        resetConnections: true,
      }),
  ],
  [
    'inbound',
    (shared) =>
      new InboundResource({
        ...shared,
        interface: 'eth1',
        addresses: ['10.9.0.1'],
        withinMs: 1000,
        required: false,
      }),
  ],
];

async function releaseOf(make: (shared: Shared) => Resource, mode: 'planned' | 'abrupt'): Promise<number> {
  const host = new HangingHost();
  const start: Instant = host.clock.now();
  const deadline = instant(start + 1000);
  const resource = make({ name: 'one', runner: host.runner, clock: host.clock });
  const { signal } = new AbortController();
  await expect(resource.release({ mode, deadline, signal })).rejects.toThrow();
  return host.clock.now() - start;
}

describe.each(KINDS)('%s', (_, make) => {
  it('leaves a good part of the time when its tool hangs', async () => {
    // One command, or a reading and what it was for.
    expect(await releaseOf(make, 'abrupt')).toBeLessThanOrEqual(640);
  });

  it('has all the time when nothing presses', async () => {
    expect(await releaseOf(make, 'planned')).toBe(1000);
  });
});
