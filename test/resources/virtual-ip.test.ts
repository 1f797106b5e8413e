/** When an address is announced, and what is said when it cannot be. The packets are tested in linux-kernel.test.ts. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import { type CommandResult, type CommandRunner, VirtualIpResource } from '../../src/resources/index.ts';
import { CAPTURES } from './linux-captures.ts';

const said = (stdout: string, code = 0): CommandResult => ({ kind: 'exited', code, stdout, stderr: '' });
const forEver = new Promise<CommandResult>(() => undefined);

type Answer = CommandResult | Promise<CommandResult>;

class Host {
  readonly calls: string[] = [];
  places = CAPTURES.here as string;
  /** By the tool's first option. */
  announcing: Answer = forEver;
  detecting: Answer = said('');

  readonly runner: CommandRunner = {
    run: async (command) => {
      this.calls.push(command.join(' '));
      if (command[0] === 'ip') return command.includes('-j') ? said(this.places) : said('');
      return command.includes('-D') ? this.detecting : this.announcing;
    },
    killMarked: async () => 0,
    follow: () => () => undefined,
  };

  address(address = '10.9.0.1/24', announce = true): VirtualIpResource {
    return new VirtualIpResource({
      name: 'vip',
      address,
      interface: 'eth1',
      announce,
      runner: this.runner,
      clock: systemClock,
    });
  }
}

const context = () => ({
  deadline: instant(systemClock.now() + 5000),
  signal: new AbortController().signal,
});
const acquire = (vip: VirtualIpResource) => vip.acquire({ ...context(), previousReleased: true });

describe('virtual address', () => {
  it('the address first, then the announcement, and nobody waits for its end', async () => {
    const host = new Host();
    // It never ends here; really it stays for a second after its only packet.
    expect(await acquire(host.address())).toBe('10.9.0.1/24 is on eth1, being announced');
    expect(host.calls.slice(0, 2)).toEqual([
      'ip addr replace 10.9.0.1/24 dev eth1',
      'arping -U -c 1 -I eth1 10.9.0.1',
    ]);
    const other = new Host();
    other.places = CAPTURES.here6;
    expect(await acquire(other.address('fd09::1/64'))).toContain('being announced');
    expect(other.calls.slice(0, 2)).toEqual([
      'ip addr replace fd09::1/64 dev eth1 nodad',
      'ndptool -t na -U -T fd09::1 -i eth1 send',
    ]);
  });

  it.each([
    ['10.9.0.1/24', /arping is not installed.*apt-get install iputils-arping/],
    ['fd09::1/64', /ndptool is not installed.*apt-get install libndp-tools/],
  ])('%s: a missing tool is named with its package', async (address, words) => {
    const host = new Host();
    if (address.includes(':')) host.places = CAPTURES.here6;
    host.announcing = { kind: 'missing' };
    await expect(acquire(host.address(address))).rejects.toThrow(words);
  });

  it('a tool that fails is an error in its words', async () => {
    const host = new Host();
    host.announcing = {
      kind: 'exited',
      code: 2,
      stdout: '',
      stderr: 'arping: socket: Operation not permitted',
    };
    await expect(acquire(host.address())).rejects.toThrow(/not permitted/);
  });

  it('IPv6 on a link that came up a moment ago is announced by the next repetition', async () => {
    const host = new Host();
    host.places = CAPTURES.here6;
    const stderr = 'Failed to send message\nCommand failed "Network is unreachable"\n';
    host.announcing = { kind: 'exited', code: 1, stdout: '', stderr };
    expect(await acquire(host.address('fd09::1/64'))).toContain('to be announced');
    await expect(host.address('fd09::1/64').refresh(context())).rejects.toThrow(/unreachable/);
  });

  it('without announcements nothing is sent', async () => {
    const host = new Host();
    await acquire(host.address('10.9.0.1/24', false));
    expect(await host.address('10.9.0.1/24', false).refresh(context())).toMatchObject({
      said: 'announcements are off',
    });
    expect(host.calls.every((call) => call.startsWith('ip '))).toBe(true);
  });

  it('a repetition looks first, announces, and tells a conflict only by a link address', async () => {
    const host = new Host();
    host.announcing = said('Sent 1 probes (1 broadcast(s))\n');
    expect(await host.address().refresh(context())).toEqual({ outcome: 'well', said: 'announced' });
    host.detecting = said('Unicast reply from 10.9.0.1 [0A:00:00:00:00:02]  0.52ms\n', 1);
    expect(await host.address().refresh(context())).toEqual({
      outcome: 'trouble',
      said: '0a:00:00:00:00:02 answers for 10.9.0.1 on eth1',
    });
    for (const unclear of [
      said('', 1),
      said('arping: bind', 2),
      { kind: 'timed-out', limitMs: 1 } as const,
    ]) {
      host.detecting = unclear;
      expect(await host.address().refresh(context())).toMatchObject({
        outcome: 'well',
        said: expect.stringMatching(/^announced; .* not known$/),
      });
    }
    host.calls.length = 0;
    host.places = CAPTURES.nowhere;
    await expect(host.address().refresh(context())).rejects.toThrow(/not announced/);
    expect(host.calls.some((call) => call.startsWith('arping'))).toBe(false);
  });
});
