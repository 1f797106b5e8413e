/** What the release of an address makes of commands that fail: all are tried, and what is left decides (R2). */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import {
  type CommandResult,
  type CommandRunner,
  PortResource,
  VirtualIpResource,
} from '../../src/resources/index.ts';
import { CAPTURES } from './linux-captures.ts';

const exited = (code: number, stdout: string, stderr = ''): CommandResult => ({
  kind: 'exited',
  code,
  stdout,
  stderr,
});
/** Of one command, by kernel: 6.6 and later have words of their own. */
const GONE = [
  'RTNETLINK answers: Cannot assign requested address\n',
  'Error: ipv4: Address not found.\n',
  'Error: ipv6: Address not found.\n',
];
const REFUSED = 'RTNETLINK answers: Operation not permitted\n';

/** An interface, and what `ip addr del` says on this kernel. */
function host(stderr: string, link: string = CAPTURES.linkDown) {
  const calls: string[] = [];
  const runner: CommandRunner = {
    run: async (command) => {
      const line = command.join(' ');
      calls.push(line);
      if (line.startsWith('ip -j addr show to')) return exited(0, '[]\n');
      if (line.startsWith('ip -j')) return exited(0, link);
      return line.startsWith('ip addr del') ? exited(2, '', stderr) : exited(0, '');
    },
    killMarked: async () => 0,
    follow: () => () => undefined,
  };
  const shared = { interface: 'eth1', runner, clock: systemClock };
  const addresses = ['10.9.0.1/24', 'fd09::1/64'];
  const port = new PortResource({ name: 'port2', addresses, gateway: null, ...shared });
  const vip = new VirtualIpResource({ name: 'vip', address: '10.9.0.1/24', announce: false, ...shared });
  return { calls, port, vip };
}
const context = () => ({
  mode: 'abrupt' as const,
  deadline: instant(systemClock.now() + 5000),
  signal: new AbortController().signal,
});

describe('release', () => {
  it.each(GONE)(
    'an address that is gone by itself is no failure, in the words of every kernel: %s',
    async (stderr) => {
      expect(await host(stderr).vip.release(context())).toContain('10.9.0.1 is not on eth1');
      const left = host(stderr, CAPTURES.linkDownWithAddress);
      const failing = left.port.release(context());
      await expect(failing).rejects.toMatchObject({ code: 'release-unverified' });
      await expect(failing).rejects.toThrow(/still has 10\.9\.0\.1\/24$/);
    },
  );

  it('a command that fails keeps no other from being tried, and what is left decides', async () => {
    const gone = host(REFUSED);
    expect(await gone.vip.release(context())).toContain('10.9.0.1 is not on eth1');

    const left = host(REFUSED, CAPTURES.linkUp);
    await expect(left.port.release(context())).rejects.toThrow(/eth1 is up.*; .*not permitted/);
    expect(left.calls).toContain('ip addr del 10.9.0.1/24 dev eth1');
    expect(left.calls).toContain('ip addr del fd09::1/64 dev eth1');
  });
});
