/** What `ip monitor` says of interfaces, and who hears it. */
import { expect, it } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import { interfaceOf, NetworkFollower } from '../../src/executor/network-follower.ts';
import type { FollowHandlers } from '../../src/resources/index.ts';

it('reads the lines of iproute2 6.1', () => {
  const lines: [string, string | null][] = [
    [
      '3: v1@v2: <NO-CARRIER,BROADCAST,MULTICAST,UP,M-DOWN> mtu 1500 qdisc noqueue state LOWERLAYERDOWN',
      'v1',
    ],
    ['2: eth1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default', 'eth1'],
    ['3: v1    inet 10.1.1.1/24 scope global v1\\       valid_lft forever preferred_lft forever', 'v1'],
    ['Deleted 2: v2    inet6 fe80::1829:31ff:fed4:ddf2/64 scope link tentative', 'v2'],
    ['Deleted 12: bond0.5@bond0: <BROADCAST> mtu 1500', 'bond0.5'],
    ['10.9.0.2 dev eth1 lladdr 26:6e:9a:d6:c7:72 REACHABLE', null],
    ['', null],
  ];
  for (const [line, name] of lines) expect(interfaceOf(line)).toBe(name);
});

class Bench {
  nowMs = 0;
  changes = 0;
  readonly commands: string[] = [];
  readonly timers: { ms: number; act: () => void }[] = [];
  handlers: FollowHandlers | null = null;
  readonly follower: NetworkFollower;

  constructor() {
    const clock: Clock = {
      now: () => instant(this.nowMs),
      wallMs: () => 0,
      after: (ms, act) => {
        this.timers.push({ ms, act });
        return { cancel: () => undefined };
      },
      sleep: async () => undefined,
    };
    const runner = {
      follow: (command: readonly string[], handlers: FollowHandlers) => {
        this.commands.push(command.join(' '));
        this.handlers = handlers;
        return () => undefined;
      },
    };
    this.follower = new NetworkFollower(new Set(['eth1']), runner, clock, () => {
      this.changes += 1;
    });
  }
}

it('tells of its own interfaces only, and begins again, later and later, when the child ends', () => {
  const bench = new Bench();
  bench.follower.start();
  bench.handlers?.onLine('7: veth4f@if6: <BROADCAST,UP> mtu 1500');
  expect(bench.changes).toBe(0);
  bench.handlers?.onLine('2: eth1: <NO-CARRIER,BROADCAST,UP> mtu 1500');
  expect(bench.changes).toBe(1);
  for (let count = 0; count < 3; count += 1) {
    bench.handlers?.onEnd('exit code 1');
    bench.timers.at(-1)?.act();
  }
  expect(bench.commands).toEqual(Array(4).fill('ip -o monitor link address'));
  expect(bench.timers.map(({ ms }) => ms)).toEqual([500, 1000, 2000]);
  bench.nowMs += 60_000;
  bench.handlers?.onEnd('killed');
  expect(bench.timers.at(-1)?.ms).toBe(500);
  bench.follower.close();
  bench.handlers?.onEnd('killed');
  expect(bench.timers).toHaveLength(4);
});
