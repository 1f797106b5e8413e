/** H6: how long a port waits for a carrier that does not come. */
import { expect, it } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import { type CommandRunner, PortResource } from '../../src/resources/index.ts';

/** As `ip -j addr show dev eth1` says it without a cable. */
const NO_CARRIER = JSON.stringify([
  {
    ifindex: 2,
    ifname: 'eth1',
    flags: ['NO-CARRIER', 'BROADCAST', 'MULTICAST', 'UP'],
    operstate: 'DOWN',
    addr_info: [{ family: 'inet', local: '10.9.0.1', prefixlen: 24, scope: 'global' }],
  },
]);

async function waitedMs(isFirst: boolean): Promise<number> {
  let nowMs = 0;
  const clock: Clock = {
    now: () => instant(nowMs),
    wallMs: () => 0,
    after: () => ({ cancel: () => undefined }),
    sleep: async (ms) => {
      nowMs += ms;
    },
  };
  const runner: CommandRunner = {
    run: async (command) => {
      const isReading = command.includes('-j');
      return { kind: 'exited', code: 0, stdout: isReading ? NO_CARRIER : '', stderr: '' };
    },
    killMarked: async () => 0,
    follow: () => () => undefined,
  };
  const port = new PortResource({
    name: 'port2',
    interface: 'eth1',
    addresses: ['10.9.0.1/24'],
    gateway: null,
    runner,
    clock,
  });
  const context = { deadline: instant(60_000), signal: new AbortController().signal, previousReleased: true };
  await expect(port.acquire({ ...context, isFirst })).rejects.toMatchObject({ code: 'port-dead' });
  return nowMs;
}

it('H6: in a takeover it gives the port time to negotiate, in a repair it leaves the wait to the reconcile loop', async () => {
  expect(await waitedMs(true)).toBeGreaterThan(4000);
  expect(await waitedMs(false)).toBeLessThanOrEqual(1000);
});
