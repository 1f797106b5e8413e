/** Port, route table, virtual address and port block against the real kernel, in network namespaces of its own. */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import {
  type CommandRunner,
  GatewayMemory,
  InboundResource,
  PortBlockResource,
  PortResource,
  type ProbeResult,
  type Resource,
  RouteTableResource,
  VirtualIpResource,
} from '../../src/resources/index.ts';
import { TestNetwork, until, whyNot, within } from './support/namespaces.ts';

const reason = whyNot();
if (reason !== null) console.warn(`linux-kernel.test.ts is skipped: it ${reason}`);

let network: TestNetwork;
let runner: CommandRunner;
beforeEach(() => {
  network = new TestNetwork();
  runner = network.runner(`${process.pid}#kernel`);
});
afterEach(() => network.close());

const inNode = (...command: string[]) => network.in(network.node, ...command);
const inPeer = (...command: string[]) => network.in(network.peer, ...command);
const acquire = (resource: Resource) => resource.acquire({ ...within(8000), previousReleased: true });
const release = (resource: Resource, mode: 'planned' | 'abrupt' = 'planned') =>
  resource.release({ ...within(8000), mode });
const probe = (resource: Resource) => resource.probe(within(2000));
const NOT_HELD = { probe: 'not-held' };
const PARTLY = { probe: 'not-held', isPartial: true };
const isWhole = (result: ProbeResult) => expect(result.isPartial).toBeUndefined();

function portUp(): void {
  inNode('ip', 'link', 'set', 'eth1', 'up');
  inNode('ip', 'addr', 'add', '10.9.0.1/24', 'dev', 'eth1');
  inNode('ip', 'addr', 'add', 'fd09::1/64', 'dev', 'eth1', 'nodad');
}

describe.skipIf(reason !== null)('port', () => {
  const make = (more: Partial<ConstructorParameters<typeof PortResource>[0]> = {}) =>
    new PortResource({
      name: 'port2',
      interface: 'eth1',
      addresses: ['10.9.0.1/24', 'fd09:0::1/64'],
      gateway: '10.9.0.2',
      runner,
      clock: systemClock,
      ...more,
    });

  it('is acquired, repaired, released', async () => {
    const port = make();
    isWhole(await probe(port));
    expect(await probe(port)).toMatchObject(NOT_HELD);
    expect(await acquire(port)).toBe('eth1 is up with 10.9.0.1/24, fd09::1/64, gateway 10.9.0.2 answers');
    expect(await probe(port)).toMatchObject({ probe: 'held' });
    expect(await acquire(port)).toBe('eth1 is up, gateway 10.9.0.2 answers');

    inNode('ip', 'addr', 'del', '10.9.0.1/24', 'dev', 'eth1');
    expect(await probe(port)).toMatchObject(PARTLY);
    await acquire(port);
    expect(await probe(port)).toMatchObject({ probe: 'held' });

    expect(await release(port)).toBe('eth1 was taken down');
    isWhole(await probe(port));
    expect(inNode('ip', 'addr', 'show', 'dev', 'eth1')).not.toContain('10.9.0.1');
    expect(await release(port)).toBe('eth1 was taken down');
  });

  it('R2: down with an address left is not released: the host still answers for it elsewhere', async () => {
    const port = make();
    await acquire(port);
    inNode('ip', 'link', 'set', 'eth1', 'down');
    expect(await probe(port)).toMatchObject(PARTLY);
    expect(inNode('ip', 'route', 'show', 'table', 'local')).toContain('local 10.9.0.1');
    await release(port, 'abrupt');
    isWhole(await probe(port));
    expect(inNode('ip', 'route', 'show', 'table', 'local')).not.toContain('10.9.0.1');
  });

  it('H6: a dead cable is not held, and no success', async () => {
    const port = make();
    await acquire(port);
    inPeer('ip', 'link', 'set', 'eth0', 'down');
    await until(
      () => probe(port),
      // The carrier is gone a moment before the kernel says so in its own words too.
      (result) => result.detail.includes('DOWN'),
    );
    expect(await probe(port)).toMatchObject({ ...PARTLY, detail: expect.stringContaining('DOWN') });
    await expect(port.acquire({ ...within(1500), previousReleased: true })).rejects.toMatchObject({
      code: 'port-dead',
    });
  });

  it('a gateway that does not answer, or cannot be told to, is only said', async () => {
    for (const gateway of ['10.9.0.77', 'fd09::77']) {
      const port = make({ gateway });
      expect(await acquire(port)).toContain(`gateway ${gateway} does not answer on eth1`);
      expect(await probe(port)).toMatchObject({ probe: 'held' });
    }
    const short = make({ gateway: '10.9.0.78' }).acquire({ ...within(1500), previousReleased: true });
    expect(await short).toMatch(/not known yet|is unknown/);
  });

  it('H6: a gateway that has answered and falls silent makes the port not held; one that never answered does not', async () => {
    const gatewayMemory = new GatewayMemory();
    const one = (gateway: string) => make({ gateway, gatewayMemory });
    const isWell = async () => (await one('10.9.0.2').refresh(within(4000))).outcome === 'well';
    await acquire(one('10.9.0.2'));
    await until(isWell, (well) => well);

    inPeer('ip', 'link', 'set', 'eth0', 'arp', 'off');
    await until(
      () => one('10.9.0.2').refresh(within(4000)),
      ({ outcome }) => outcome === 'trouble',
    );
    expect(await probe(one('10.9.0.2'))).toMatchObject({
      ...PARTLY,
      detail: 'eth1 is up, but gateway 10.9.0.2 answers no longer',
    });
    const repair = one('10.9.0.2').acquire({ ...within(4000), previousReleased: true, isFirst: false });
    await expect(repair).rejects.toMatchObject({ code: 'port-dead' });

    inPeer('ip', 'link', 'set', 'eth0', 'arp', 'on');
    await until(isWell, (well) => well);
    expect(await probe(one('10.9.0.2'))).toMatchObject({ probe: 'held' });

    await release(one('10.9.0.2'));
    inNode('ip', 'link', 'set', 'eth1', 'up');
    await acquire(one('10.9.0.77'));
    for (let count = 0; count < 3; count += 1)
      expect(await one('10.9.0.77').refresh(within(4000))).toMatchObject({ outcome: 'well' });
    expect(await probe(one('10.9.0.77'))).toMatchObject({ probe: 'held' });
  });

  it('a link address that somebody has fixed survives being looked at', async () => {
    const [, mac = ''] = /link\/ether (\S+)/.exec(inPeer('ip', 'link', 'show', 'eth0')) ?? [];
    const fixed = ['10.9.0.2', 'lladdr', mac, 'dev', 'eth1', 'nud', 'permanent'];
    const port = make({ gateway: '10.9.0.2' });
    await acquire(port);
    inNode('ip', 'neigh', 'replace', ...fixed);
    for (let count = 0; count < 3; count += 1)
      expect(await port.refresh(within(4000))).toMatchObject({ outcome: 'well' });
    expect(inNode('ip', 'neigh', 'show', 'dev', 'eth1')).toContain('PERMANENT');
    expect(await acquire(port)).toContain('gateway 10.9.0.2 has a fixed link address');
  });

  it('IPv6: the gateway is asked from the own address, long before the link-local one is usable', async () => {
    // So that it never is: the kernel by itself waits for it.
    inNode('sh', '-c', 'echo 600 > /proc/sys/net/ipv6/conf/eth1/dad_transmits');
    expect(await acquire(make({ gateway: 'fd09::2' }))).toContain('gateway fd09::2 answers');
    expect(inNode('ip', '-6', 'addr', 'show', 'dev', 'eth1', 'scope', 'link')).toContain('tentative');
  });

  it('R2: an address of its own on another interface is not released, and goes too', async () => {
    const port = make({ gateway: null });
    inNode('ip', 'link', 'add', 'eth2', 'type', 'veth', 'peer', 'name', 'eth3');
    inNode('ip', 'addr', 'add', '10.9.0.1/32', 'dev', 'eth2');
    inNode('ip', 'addr', 'add', '10.9.0.5/32', 'dev', 'eth2');
    inNode('ip', 'addr', 'add', 'fd09::1/128', 'dev', 'eth1');
    expect(await probe(port)).toMatchObject({ ...PARTLY, detail: expect.stringContaining('on eth2') });
    await release(port, 'abrupt');
    isWhole(await probe(port));
    const left = inNode('ip', '-br', 'addr', 'show');
    expect(left).not.toMatch(/10\.9\.0\.1\/|fd09/);
    expect(left).toContain('10.9.0.5/32');
  });

  it('an interface that is not there is not held', async () => {
    const port = make({ interface: 'eth7', gateway: null });
    expect(await probe(port)).toEqual({ probe: 'not-held', detail: 'there is no interface eth7' });
    await release(port, 'abrupt');
    await expect(acquire(port)).rejects.toThrow(/eth7/);
  });
});

describe.skipIf(reason !== null)('route table', () => {
  type Options = ConstructorParameters<typeof RouteTableResource>[0];
  const make = (more: Partial<Options> = {}) =>
    new RouteTableResource({
      name: 'routes',
      table: 200,
      interface: 'eth1',
      gateway: '10.9.0.2',
      from: ['10.9.0.1', '10.9.0.128/25', 'fd09::1'],
      routes: [{ to: '::/0', via: 'fd09::2' }],
      priority: 100,
      runner,
      clock: systemClock,
      ...more,
    });
  const to = (target: string, from: string) =>
    JSON.parse(inNode('ip', '-j', '-N', 'route', 'get', target, 'from', from))[0];

  it('is acquired, repaired in the other table, released', async () => {
    portUp();
    const routes = make();
    isWhole(await probe(routes));
    expect(await probe(routes)).toMatchObject(NOT_HELD);
    await acquire(routes);
    expect(await probe(routes)).toMatchObject({ probe: 'held', detail: 'table 200 is in use' });
    expect(to('198.51.100.1', '10.9.0.1')).toMatchObject({ gateway: '10.9.0.2', table: '200' });
    expect(to('2001:db8::1', 'fd09::1')).toMatchObject({ gateway: 'fd09::2', table: '200' });
    const before = inNode('ip', 'rule');
    expect(await acquire(routes)).toContain('table 200 is in use');
    expect(inNode('ip', 'rule')).toBe(before);

    inNode('ip', 'route', 'del', 'default', 'table', '200');
    expect(await probe(routes)).toMatchObject(PARTLY);
    await acquire(routes);
    expect(await probe(routes)).toMatchObject({ probe: 'held', detail: 'table 201 and 200 is in use' });
    expect(to('198.51.100.1', '10.9.0.1')).toMatchObject({ table: '201' });

    inNode('ip', '-6', 'rule', 'del', 'from', 'fd09::1');
    inNode('ip', 'rule', 'add', 'from', '10.9.0.7', 'lookup', '200', 'priority', '100');
    expect(await probe(routes)).toMatchObject(PARTLY);
    await acquire(routes);
    expect(await probe(routes)).toMatchObject({ probe: 'held' });
    expect(inNode('ip', 'rule')).not.toContain('10.9.0.7');

    await release(routes);
    isWhole(await probe(routes));
    expect(inNode('ip', 'rule')).not.toContain('20');
    await release(routes, 'abrupt');
  });

  it('no packet ever meets a half-built table while it is rebuilt', async () => {
    portUp();
    await acquire(make({ from: ['10.9.0.1'], routes: [] }));
    const lines = Array.from({ length: 200 }, () => 'route get 198.51.100.1 from 10.9.0.1').join('\\n');
    const loop = `while :; do printf '${lines}\\n' | ip -batch -; done 2>&1`;
    const watcher = network.start(network.node, 'bash', '-c', loop);
    let seen = '';
    watcher.stdout?.setEncoding('utf8').on('data', (text: string) => {
      seen += text;
    });
    const count = () => seen.split('via').length - 1;
    for (let turn = 0; turn < 12; turn++) {
      const extra = [{ to: `203.0.113.${turn}`, via: null }];
      const before = count();
      await acquire(make({ from: ['10.9.0.1'], routes: extra }));
      await until(count, (value) => value > before);
    }
    watcher.kill('SIGKILL');
    const answers = seen.split('\n').slice(0, -1);
    const odd = answers.filter(
      (line) => line.startsWith('198.') && !/via 10\.9\.0\.2 dev eth1 table 20[01]/.test(line),
    );
    expect(odd).toEqual([]);
    expect(answers.filter((line) => /error|unreachable/i.test(line))).toEqual([]);
  });

  it('a gateway outside the networks of the port is on the link by itself', async () => {
    portUp();
    const routes = make({ gateway: '192.0.2.1', from: ['10.9.0.1'], routes: [] });
    await acquire(routes);
    expect(to('198.51.100.1', '10.9.0.1')).toMatchObject({ gateway: '192.0.2.1' });
    expect(await probe(routes)).toMatchObject({ probe: 'held' });
  });

  it('what the kernel refuses is an error in its words, and nothing is switched', async () => {
    portUp();
    const before = make({ from: ['10.9.0.1'], routes: [] });
    await acquire(before);
    const after = make({ from: ['10.9.0.1'], routes: [{ to: '10.8.0.0/24', via: '10.7.0.1' }] });
    await expect(acquire(after)).rejects.toThrow(/invalid gateway/);
    expect(to('198.51.100.1', '10.9.0.1')).toMatchObject({ gateway: '10.9.0.2', table: '200' });
    expect(inNode('ip', 'rule')).not.toContain('lookup 201');
  });
});

describe.skipIf(reason !== null)('virtual address', () => {
  const make = (address: string) =>
    new VirtualIpResource({
      name: 'vip',
      address,
      interface: 'eth1',
      announce: true,
      runner,
      clock: systemClock,
    });
  const macOf = (namespace: string, name: string) =>
    JSON.parse(network.in(namespace, 'ip', '-j', 'link', 'show', 'dev', name))[0].address as string;
  const peerThinks = (address: string) =>
    JSON.parse(inPeer('ip', '-j', 'neigh', 'show', address, 'dev', 'eth0'))[0]?.lladdr as string;

  it.each([
    ['10.9.0.100/24', '10.9.0.100'],
    ['fd09::64/64', 'fd09::64'],
  ])('%s is acquired, announced, repaired, released', async (cidr, address) => {
    portUp();
    // Not before the link-local address is usable, which IPv6 announces from.
    if (address.includes(':'))
      await until(
        () => inNode('ip', '-6', 'addr', 'show', 'dev', 'eth1'),
        (text) => !text.includes('tentative'),
      );
    const vip = make(cidr);
    expect(await probe(vip)).toMatchObject(NOT_HELD);
    inPeer('ip', 'neigh', 'replace', address, 'lladdr', '02:00:00:00:00:01', 'nud', 'stale', 'dev', 'eth0');
    await acquire(vip);
    expect(await probe(vip)).toMatchObject({ probe: 'held' });
    const ours = macOf(network.node, 'eth1');
    await until(
      () => peerThinks(address),
      (mac) => mac === ours,
    );
    await acquire(vip);

    inNode('ip', 'addr', 'del', cidr, 'dev', 'eth1');
    expect(await probe(vip)).toMatchObject(NOT_HELD);
    await acquire(vip);
    expect(await probe(vip)).toMatchObject({ probe: 'held' });

    inPeer('ip', 'neigh', 'replace', address, 'lladdr', '02:00:00:00:00:01', 'nud', 'stale', 'dev', 'eth0');
    expect(await vip.refresh(within(4000))).toEqual({ outcome: 'well', said: 'announced' });
    await until(
      () => peerThinks(address),
      (mac) => mac === ours,
    );

    await release(vip);
    isWhole(await probe(vip));
    await release(vip, 'abrupt');
    await expect(vip.refresh(within(4000)))
      .resolves.toMatchObject({ outcome: 'well' })
      .catch(() => undefined);
  });

  it('R2: the same address with another prefix length is not released, and goes too', async () => {
    portUp();
    inNode('ip', 'addr', 'add', '10.9.0.100/32', 'dev', 'eth1');
    const vip = make('10.9.0.100/24');
    expect(await probe(vip)).toMatchObject(PARTLY);
    await release(vip, 'abrupt');
    isWhole(await probe(vip));
  });

  it('R2: the address on another interface is not released, and goes too: the host answers for it', async () => {
    portUp();
    inNode('ip', 'link', 'add', 'eth2', 'type', 'veth', 'peer', 'name', 'eth3');
    inNode('ip', 'addr', 'add', '10.9.0.100/24', 'dev', 'eth2');
    inNode('ip', 'addr', 'add', '10.9.0.101/24', 'dev', 'eth2');
    const vip = make('10.9.0.100/24');
    expect(await probe(vip)).toMatchObject({ ...PARTLY, detail: expect.stringContaining('on eth2') });
    await release(vip, 'abrupt');
    isWhole(await probe(vip));
    const left = inNode('ip', '-br', 'addr', 'show');
    expect(left).not.toContain('10.9.0.100');
    expect(left).toContain('10.9.0.1/24');
  });

  it("a release leaves the node's own addresses, also those that came after the floating one", async () => {
    inNode('ip', 'link', 'set', 'eth1', 'up');
    inNode('sh', '-c', 'echo 0 > /proc/sys/net/ipv4/conf/eth1/promote_secondaries');
    inNode('sh', '-c', 'echo 0 > /proc/sys/net/ipv4/conf/all/promote_secondaries');
    inNode('ip', 'addr', 'add', '10.9.0.100/24', 'dev', 'eth1');
    inNode('ip', 'addr', 'add', '10.9.0.1/24', 'dev', 'eth1');
    expect(await release(make('10.9.0.100/24'), 'abrupt')).toContain(
      'promote_secondaries of eth1 was set to 1, so that 10.9.0.1/24 stays',
    );
    expect(inNode('ip', '-br', '-4', 'addr', 'show', 'dev', 'eth1')).toMatch(/10\.9\.0\.1\/24 *$/m);
  });

  it('an address that another host once had is usable again when that host has left it', async () => {
    inNode('ip', 'link', 'set', 'eth1', 'up');
    for (const address of ['fd09::64/64', 'fd09::65/64']) {
      inPeer('ip', 'addr', 'add', address, 'dev', 'eth0', 'nodad');
      inNode('ip', 'addr', 'add', address, 'dev', 'eth1');
    }
    await until(
      () => inNode('ip', '-6', 'addr', 'show', 'dev', 'eth1'),
      (text) => text.split('dadfailed').length === 3,
    );
    for (const address of ['fd09::64/64', 'fd09::65/64']) {
      inPeer('ip', 'addr', 'del', address, 'dev', 'eth0');
    }
    const vip = make('fd09::64/64');
    expect(await probe(vip)).toMatchObject({ ...PARTLY, detail: expect.stringContaining('claims') });
    await acquire(vip);
    expect(await probe(vip)).toMatchObject({ probe: 'held' });
    const port = new PortResource({
      name: 'port2',
      interface: 'eth1',
      addresses: ['fd09::65/64'],
      gateway: null,
      runner,
      clock: systemClock,
    });
    await acquire(port);
    expect(await probe(port)).toMatchObject({ probe: 'held' });
  });

  it('says who else answers for the address', async () => {
    portUp();
    inPeer('ip', 'addr', 'add', '10.9.0.100/24', 'dev', 'eth0');
    const vip = make('10.9.0.100/24');
    await acquire(vip);
    expect(await vip.refresh(within(4000))).toEqual({
      outcome: 'trouble',
      said: `${macOf(network.peer, 'eth0')} answers for 10.9.0.100 on eth1`,
    });
    inPeer('ip', 'addr', 'del', '10.9.0.100/24', 'dev', 'eth0');
    expect(await vip.refresh(within(4000))).toEqual({ outcome: 'well', said: 'announced' });
  });

  it('on a link that is down it is an error, and not released', async () => {
    await expect(acquire(make('10.9.0.100/24'))).rejects.toThrow(/eth1, which is down/);
    expect(await probe(make('10.9.0.100/24'))).toMatchObject(PARTLY);
  });
});

describe.skipIf(reason !== null)('port block', () => {
  const make = (more: Partial<ConstructorParameters<typeof PortBlockResource>[0]> = {}) =>
    new PortBlockResource({
      name: 'nfs-ports',
      ports: [
        { protocol: 'tcp', port: 2049 },
        { protocol: 'tcp', port: 2050 },
        { protocol: 'udp', port: 111 },
      ],
      addresses: [],
      resetConnections: true,
      runner,
      clock: systemClock,
      ...more,
    });
  const connect = `const s = require('net').connect(2049, process.argv[1]);
    s.setTimeout(400, () => { console.log('no answer'); process.exit(); });
    s.on('connect', () => { console.log('connected'); process.exit(); });
    s.on('error', (e) => { console.log(e.code); process.exit(); });`;
  const dial = (namespace: string, address: string) =>
    network.in(namespace, process.execPath, '-e', connect, address).trim();
  async function serve(): Promise<void> {
    const server = network.start(
      network.node,
      process.execPath,
      '-e',
      `require('net').createServer(() => {}).listen(2049, '::', () => console.log('listening'))`,
    );
    if (server.stdout !== null) await once(server.stdout, 'data');
  }

  it('is closed, opened, repaired, closed again: closed means silence', async () => {
    portUp();
    await serve();
    const block = make();
    expect(await probe(block)).toMatchObject({ probe: 'held' });
    expect(dial(network.peer, '10.9.0.1')).toBe('connected');

    await release(block, 'abrupt');
    expect(await probe(block)).toMatchObject(NOT_HELD);
    isWhole(await probe(block));
    expect(dial(network.peer, '10.9.0.1')).toBe('no answer');
    expect(dial(network.peer, 'fd09::1')).toBe('no answer');
    expect(dial(network.node, '10.9.0.1')).toBe('connected');

    await acquire(block);
    await acquire(block);
    expect(await probe(block)).toMatchObject({ probe: 'held' });
    expect(dial(network.peer, 'fd09::1')).toBe('connected');
    await release(block);
    isWhole(await probe(block));
  });

  it.each([
    ['a rule gone', 'flush chain inet quorate_block_nfs-ports output'],
    ['a rule more', 'add rule inet quorate_block_nfs-ports input accept'],
    ['dormant', 'add table inet quorate_block_nfs-ports { flags dormant; }'],
    ['a chain more', 'add chain inet quorate_block_nfs-ports other'],
    ['a set', 'add set inet quorate_block_nfs-ports s { type ipv4_addr; }'],
  ])('%s is neither open nor closed', async (_, statement) => {
    portUp();
    const block = make();
    await release(block);
    inNode('nft', statement);
    expect(await probe(block)).toMatchObject(PARTLY);
    await release(block);
    isWhole(await probe(block));
    expect(await probe(block)).toMatchObject(NOT_HELD);
  });

  it('a block for some addresses leaves the others alone', async () => {
    portUp();
    inNode('ip', 'addr', 'add', '10.9.0.100/24', 'dev', 'eth1');
    await serve();
    const block = make({ addresses: ['10.9.0.100/24', '10.9.0.101', 'FD09:0::1'] });
    await release(block);
    isWhole(await probe(block));
    expect(dial(network.peer, '10.9.0.100')).toBe('no answer');
    expect(dial(network.peer, 'fd09::1')).toBe('no answer');
    expect(dial(network.peer, '10.9.0.1')).toBe('connected');
  });

  it("ends the server's side of a connection, and the client hears nothing of it", async () => {
    portUp();
    await serve();
    const client = network.start(
      network.peer,
      process.execPath,
      '-e',
      `const s = require('net').connect(2049, '10.9.0.1', () => console.log('connected'));
       s.on('close', () => console.log('closed')); s.on('error', () => {});`,
    );
    let said = '';
    client.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await until(
      () => said,
      (text) => text.includes('connected'),
    );
    const established = () => inNode('ss', '-H', '-n', '-t', 'state', 'established');
    expect(established()).toContain(':2049');
    expect(await release(make(), 'abrupt')).toContain('1 connections reset');
    expect(established()).toBe('');
    expect(inPeer('ss', '-H', '-n', '-t', 'state', 'established')).toContain(':2049');
    expect(said).not.toContain('closed');
  });

  it('a block and a count whose names differ by a prefix do not touch each other', async () => {
    const block = make({ name: 'in_x' });
    const count = new InboundResource({
      name: 'x',
      interface: 'eth1',
      addresses: ['10.9.0.1'],
      withinMs: 100,
      required: false,
      runner,
      clock: systemClock,
    });
    await release(block);
    await release(count);
    isWhole(await probe(block));
    expect(await probe(block)).toMatchObject(NOT_HELD);
  });

  it('blocks of two resources do not touch each other', async () => {
    portUp();
    await serve();
    const other = make({ name: 'other', ports: [{ protocol: 'tcp', port: 445 }] });
    await release(make());
    await release(other);
    await acquire(other);
    expect(await probe(other)).toMatchObject({ probe: 'held' });
    expect(dial(network.peer, '10.9.0.1')).toBe('no answer');
  });
});
