/** H6: how long a port waits for a carrier that does not come, and when a gateway counts as silent. */
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

class GatewayBench {
  nowMs = 1000;
  neighbour: object | null = null;
  readonly asked: string[] = [];
  readonly port: PortResource;

  constructor() {
    const runner: CommandRunner = {
      run: async (command) => {
        if (!command.includes('-j')) this.asked.push(command.slice(2).join(' '));
        const stdout = JSON.stringify(
          this.neighbour === null ? [] : [{ dst: '10.9.0.2', ...this.neighbour }],
        );
        return { kind: 'exited', code: 0, stdout, stderr: '' };
      },
      killMarked: async () => 0,
      follow: () => () => undefined,
    };
    const clock = { now: () => instant(this.nowMs) } as Clock;
    this.port = new PortResource({
      name: 'port2',
      interface: 'eth1',
      addresses: ['10.9.0.1/24'],
      gateway: '10.9.0.2',
      runner,
      clock,
    });
  }

  async afterMs(ms: number): Promise<string> {
    this.nowMs += ms;
    const signal = new AbortController().signal;
    return (await this.port.refresh({ deadline: instant(this.nowMs + 3000), signal })).outcome;
  }
}

const HEARD = { lladdr: '02:00:00:00:00:02', state: ['STALE'] };
const REACHABLE = { ...HEARD, state: ['REACHABLE'] };

it('H6: a gateway that is heard but does not hear us is silent after three questions in three seconds or more', async () => {
  const bench = new GatewayBench();
  bench.neighbour = REACHABLE;
  expect(await bench.afterMs(0)).toBe('well');
  expect(await bench.afterMs(20_000)).toBe('well');
  bench.neighbour = HEARD;
  expect(await bench.afterMs(2000)).toBe('unclear');
  expect(await bench.afterMs(1000)).toBe('unclear');
  expect(await bench.afterMs(1000)).toBe('trouble');
  // A question by broadcast while nothing is known of it: still silent.
  bench.neighbour = null;
  expect(await bench.afterMs(1000)).toBe('trouble');
  expect(bench.asked.at(-1)).toBe('replace 10.9.0.2 dev eth1 use');
  bench.neighbour = REACHABLE;
  expect(await bench.afterMs(1000)).toBe('well');
  expect(bench.asked.at(-1)).toBe('change 10.9.0.2 lladdr 02:00:00:00:00:02 dev eth1 nud probe');
});

it('H6: neither a pause of the whole host nor an answer that cannot be read makes a gateway silent', async () => {
  const bench = new GatewayBench();
  bench.neighbour = REACHABLE;
  await bench.afterMs(0);
  bench.neighbour = HEARD;
  expect(await bench.afterMs(60_000)).toBe('unclear');
  bench.neighbour = REACHABLE;
  await bench.afterMs(1000);
  bench.neighbour = HEARD;
  await bench.afterMs(2000);
  await bench.afterMs(900);
  bench.neighbour = { state: [] };
  expect(await bench.afterMs(100)).toBe('unclear');
  bench.neighbour = HEARD;
  for (const ms of [1000, 1000, 900]) expect(await bench.afterMs(ms)).toBe('unclear');
  expect(await bench.afterMs(1100)).toBe('trouble');
});

it('H6: a gateway that has never answered is asked on, and is no reason for anything', async () => {
  const bench = new GatewayBench();
  for (const neighbour of [null, HEARD, { state: ['FAILED'] }, { state: ['INCOMPLETE'] }]) {
    bench.neighbour = neighbour;
    expect(await bench.afterMs(5000)).toBe('unclear');
  }
});
