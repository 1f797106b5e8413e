/** What the release of an address makes of commands that fail: all are tried, and what is left decides (R2). */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { instant } from '../../src/core/index.ts';
import { releaseUntilVerified } from '../../src/executor/verified-release.ts';
import {
  type CommandResult,
  type CommandRunner,
  PortResource,
  VirtualIpResource,
} from '../../src/resources/index.ts';
import { CAPTURES, hostWith } from './linux-captures.ts';

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
      // Gone when its deletion was tried, whatever came of that.
      const isTried = calls.some((call) => call.startsWith('ip addr del 10.9.0.1'));
      if (line.startsWith('ip -j addr show to')) return exited(0, isTried ? '[]\n' : CAPTURES.here);
      if (line === 'ip -j addr show') return exited(0, hostWith(link));
      if (line.startsWith('ip -j')) return exited(0, link);
      if (line === 'ip -batch -') return exited(1, '', stderr);
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
      expect(await host(stderr).vip.release(context())).toBe('10.9.0.1 was deleted from eth1');
      const left = host(stderr, CAPTURES.linkDownWithAddress);
      expect(await left.port.release(context())).toBe('eth1 was taken down');
      // What its commands say is no evidence, this is.
      expect(await left.port.probe(context())).toMatchObject({
        isPartial: true,
        detail: 'eth1 is down, but still has 10.9.0.1/24',
      });
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

/** A host with the address, and what becomes of it; every command as it was given. */
class Kernel {
  readonly calls: string[] = [];
  places: readonly string[];
  /** Whether a deletion does what it says. */
  isLying = false;

  constructor(places: readonly string[]) {
    this.places = places;
  }

  readonly runner: CommandRunner = {
    run: async (command) => {
      const line = command.join(' ');
      this.calls.push(line);
      if (line === READ) return exited(0, `[${this.places.join(',')}]\n`);
      if (line.startsWith('ip -j addr show dev')) return exited(0, CAPTURES.linkUp);
      if (!line.startsWith('ip addr del')) throw new Error(`no answer for ${line}`);
      if (!this.isLying) this.places = this.places.filter((place) => !line.endsWith(nameIn(place)));
      return exited(0, '');
    },
    killMarked: async () => 0,
    follow: () => () => undefined,
  };

  get vip(): VirtualIpResource {
    const where = { address: '10.9.0.1/24', interface: 'eth1', announce: false };
    return new VirtualIpResource({ name: 'vip', ...where, runner: this.runner, clock: systemClock });
  }
}

const READ = 'ip -j addr show to 10.9.0.1';
const inside = (text: string): string => text.trim().slice(1, -1);
const HERE = inside(CAPTURES.here);
const ON_LO = inside(CAPTURES.elsewhere);
const nameIn = (place: string): string => (place === HERE ? 'dev eth1' : 'dev lo');

describe('the order of a release: what is served, the last write, and then the reading that is the evidence', () => {
  const verified = (kernel: Kernel, isReadFirst: boolean) =>
    releaseUntilVerified({
      graph: [{ name: 'vip', scope: 'local', after: [] }],
      local: new Map([['vip', kernel.vip]]),
      clock: systemClock,
      children: { killInFlight: async () => true, killLeftovers: async () => true },
      limitMs: 1000,
      isReadFirst,
      mayHaveLeftovers: false,
      onUnverified: () => kernel.calls.push('unverified'),
    });

  it('abrupt: one reading after the deletion, made afresh', async () => {
    const kernel = new Kernel([HERE]);
    const [finding] = await verified(kernel, false);
    expect(finding).toMatchObject({ detail: '10.9.0.1 is not on eth1' });
    expect(kernel.calls).toEqual([
      READ,
      'ip -j addr show dev eth1',
      'ip addr del 10.9.0.1/24 dev eth1',
      READ,
    ]);
  });

  it('a port: down, one reading, the deletions in one batch, and the verification reads once', async () => {
    const calls: string[] = [];
    let link: string = CAPTURES.linkDownWithAddress;
    const runner: CommandRunner = {
      run: async (command, { input }) => {
        calls.push(input === undefined ? command.join(' ') : `batch: ${input}`);
        if (input !== undefined) link = CAPTURES.linkDown;
        return exited(0, command.includes('-j') ? hostWith(link) : '');
      },
      killMarked: async () => 0,
      follow: () => () => undefined,
    };
    const addresses = ['10.9.0.1/24', 'fd09::1/64'];
    const shared = { interface: 'eth1', gateway: null, runner, clock: systemClock };
    const port = new PortResource({ name: 'port2', addresses, ...shared });
    link = CAPTURES.linkUp;
    expect(await port.release({ ...context(), mode: 'planned' })).toBe('eth1 was taken down');
    expect(await port.probe(context())).toEqual({ probe: 'not-held', detail: 'eth1 is down' });
    expect(calls).toEqual([
      'ip link set dev eth1 down',
      'ip -j addr show',
      'batch: addr del 10.9.0.1/24 dev eth1\naddr del fd09::1/64 dev eth1\n',
      'ip -j addr show',
    ]);
  });

  it('a port is read alone where the list of all interfaces is too long, or has one that cannot be read', async () => {
    const strange = hostWith('[{"ifindex":9,"ifname":"odd0","flags":[],"operstate":"NEW","addr_info":[]}]');
    for (const whole of [
      { kind: 'died', why: 'more than 256 KiB of output', isTooMuch: true } as const,
      exited(0, strange),
    ]) {
      const answers = [CAPTURES.elsewhere, CAPTURES.nowhere];
      const runner: CommandRunner = {
        run: async (command) => {
          const line = command.join(' ');
          if (line === 'ip -j addr show') return whole;
          return exited(0, line.endsWith('dev eth1') ? CAPTURES.linkDown : (answers.shift() ?? '[]'));
        },
        killMarked: async () => 0,
        follow: () => () => undefined,
      };
      const shared = { interface: 'eth1', gateway: null, runner, clock: systemClock };
      const port = new PortResource({ name: 'port2', addresses: ['10.9.0.1/24'], ...shared });
      expect(await port.probe(context())).toMatchObject({
        isPartial: true,
        detail: expect.stringContaining('10.9.0.1/32 is on lo'),
      });
      expect(await port.probe(context())).toEqual({ probe: 'not-held', detail: 'eth1 is down' });
    }
  });

  it('planned: the step ends with its last write, and the verification reads once', async () => {
    const kernel = new Kernel([HERE, ON_LO]);
    expect(await kernel.vip.release({ ...context(), mode: 'planned' })).toBe(
      '10.9.0.1 was deleted from eth1, lo',
    );
    expect(kernel.calls.at(-1)).toBe('ip addr del 10.9.0.1/32 dev lo');
    kernel.calls.length = 0;
    await verified(kernel, true);
    expect(kernel.calls).toEqual([READ]);
  });

  it('R2: a deletion that only says that it was one is no evidence', async () => {
    const kernel = new Kernel([HERE]);
    kernel.isLying = true;
    await kernel.vip.release({ ...context(), mode: 'planned' });
    const ending = verified(kernel, true);
    while (kernel.calls.filter((call) => call === 'unverified').length < 2) await systemClock.sleep(1);
    kernel.isLying = false;
    expect(await ending).toMatchObject([{ detail: '10.9.0.1 is not on eth1' }]);
    expect(kernel.calls.at(-1)).toBe(READ);
    expect(kernel.calls.at(-2)).toMatch(/^ip addr del/);
  });
});
