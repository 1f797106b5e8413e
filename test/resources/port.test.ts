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

it('H6: a gateway is silent when it has answered neither by unicast nor by broadcast, three questions in three seconds each', async () => {
  const bench = new GatewayBench();
  bench.neighbour = REACHABLE;
  expect(await bench.afterMs(0)).toBe('well');
  expect(await bench.afterMs(20_000)).toBe('well');
  expect(bench.asked).toEqual(Array(2).fill('change 10.9.0.2 dev eth1 nud probe'));
  bench.neighbour = HEARD;
  expect(await bench.afterMs(2000)).toBe('unclear');
  expect(await bench.afterMs(1000)).toBe('unclear');
  bench.asked.length = 0;
  expect(await bench.afterMs(1000)).toBe('unclear');
  // Forgotten, so that the kernel asks everybody.
  expect(bench.asked).toEqual(['del 10.9.0.2 dev eth1', 'replace 10.9.0.2 dev eth1 use']);
  for (const ms of [1000, 1000]) expect(await bench.afterMs(ms)).toBe('unclear');
  expect(await bench.afterMs(1000)).toBe('trouble');
  bench.neighbour = null;
  expect(await bench.afterMs(1000)).toBe('trouble');
  expect(bench.asked.at(-1)).toBe('replace 10.9.0.2 dev eth1 use');
  bench.neighbour = REACHABLE;
  expect(await bench.afterMs(1000)).toBe('well');
  expect(bench.asked.at(-1)).toBe('change 10.9.0.2 dev eth1 nud probe');
});

it('H6: a gateway with a new link address is found by broadcast, and is well', async () => {
  const bench = new GatewayBench();
  bench.neighbour = REACHABLE;
  await bench.afterMs(0);
  bench.neighbour = { state: ['FAILED'] };
  // The kernel gives up before we do.
  expect(await bench.afterMs(4000)).toBe('unclear');
  expect(bench.asked.at(-1)).toBe('replace 10.9.0.2 dev eth1 use');
  bench.neighbour = REACHABLE;
  expect(await bench.afterMs(1000)).toBe('well');
});

it('H6: neither a pause of the whole host nor an answer that cannot be read makes a gateway silent', async () => {
  const bench = new GatewayBench();
  bench.neighbour = REACHABLE;
  await bench.afterMs(0);
  bench.neighbour = HEARD;
  for (let round = 0; round < 10; round += 1) {
    expect(await bench.afterMs(60_000)).toBe('unclear');
    bench.neighbour = { state: [] };
    expect(await bench.afterMs(100)).toBe('unclear');
    bench.neighbour = HEARD;
    expect(await bench.afterMs(1000)).toBe('unclear');
  }
});

it('a link address that somebody has fixed is left alone: nobody is asked', async () => {
  const bench = new GatewayBench();
  for (const state of ['PERMANENT', 'NOARP']) {
    bench.neighbour = { ...HEARD, state: [state] };
    for (let count = 0; count < 5; count += 1) expect(await bench.afterMs(2000)).toBe('well');
  }
  expect(bench.asked).toEqual([]);
});

it('H6: a gateway that has never answered is asked on, and is no reason for anything', async () => {
  const bench = new GatewayBench();
  for (const neighbour of [null, HEARD, { state: ['FAILED'] }, { state: ['INCOMPLETE'] }]) {
    bench.neighbour = neighbour;
    for (let count = 0; count < 5; count += 1) expect(await bench.afterMs(2000)).toBe('well');
  }
});

it('H4: a port whose link cannot be read is not known to be dead; one that lacks an address is not dead either', async () => {
  for (const [stdout, code] of [
    ['', 'command-failed'],
    [
      NO_CARRIER.replace('NO-CARRIER', 'LOWER_UP').replace('DOWN', 'UP').replace('10.9.0.1', '10.9.0.9'),
      'not-as-wanted',
    ],
  ] as const) {
    let nowMs = 0;
    const clock = {
      now: () => instant(nowMs),
      sleep: async (ms: number) => {
        nowMs += ms;
      },
    } as unknown as Clock;
    let readings = 0;
    const runner: CommandRunner = {
      run: async (command) => {
        if (!command.includes('-j')) return { kind: 'exited', code: 0, stdout: '', stderr: '' };
        readings += 1;
        return { kind: 'exited', code: 0, stdout: readings === 1 ? NO_CARRIER : stdout, stderr: '' };
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
    const context = { deadline: instant(60_000), signal: new AbortController().signal };
    const repair = port.acquire({ ...context, previousReleased: true, isFirst: false });
    await expect(repair).rejects.toMatchObject({ code });
  }
});
