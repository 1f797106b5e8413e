/** Who counts as a client, by the real kernel's connection tracking, in network namespaces of its own. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { InboundResource } from '../../src/resources/index.ts';
import { TestNetwork, until, whyNot, within } from './support/namespaces.ts';

const reason = whyNot();
if (reason !== null) console.warn(`inbound-kernel.test.ts is skipped: it ${reason}`);

let network: TestNetwork;
beforeEach(() => {
  network = new TestNetwork();
  const inNode = (...command: string[]) => network.in(network.node, ...command);
  inNode('ip', 'link', 'set', 'eth1', 'up');
  inNode('ip', 'addr', 'add', '10.9.0.1/24', 'dev', 'eth1');
  inNode('ip', 'addr', 'add', 'fd09::1/64', 'dev', 'eth1', 'nodad');
});
afterEach(() => network.close());

const make = (withinMs = 5000) =>
  new InboundResource({
    name: 'data',
    interface: 'eth1',
    addresses: ['10.9.0.1', 'fd09::1'],
    withinMs,
    required: true,
    runner: network.runner(`${process.pid}#inbound`),
    clock: systemClock,
  });
const acquire = (inbound: InboundResource) => inbound.acquire({ ...within(8000), previousReleased: true });

async function start(namespace: string, program: string): Promise<ChildProcess> {
  const child = network.start(namespace, process.execPath, '-e', program);
  if (child.stdout !== null) await once(child.stdout, 'data');
  return child;
}

const TCP_SOURCE = `require('net').createServer((s) => { s.on('error', () => {}); setInterval(() => s.write('x'), 20); })
  .listen(7001, '::', () => console.log('listening'));`;
const TCP_CALLER = `require('net').connect(7001, '10.9.0.2').once('data', () => console.log('connected')).on('data', () => {});`;
const UDP_SOURCE = `const s = require('dgram').createSocket('udp4');
  s.on('message', (_, { port, address }) => setInterval(() => s.send('x', port, address), 20));
  s.bind(7001, () => console.log('bound'));`;
const UDP_CALLER = `const s = require('dgram').createSocket('udp4'); s.once('message', () => console.log('answered'));
  s.send('x', 7001, '10.9.0.2');`;

describe.skipIf(reason !== null)('inbound', () => {
  it.each([
    ['TCP', TCP_SOURCE, TCP_CALLER],
    ['UDP', UDP_SOURCE, UDP_CALLER],
  ])('%s: answers to a call of ours from before the count are no client', async (_, source, caller) => {
    await start(network.peer, source);
    await start(network.node, caller);
    await expect(acquire(make(700))).rejects.toMatchObject({ code: 'no-data' });
  });

  const clients: readonly (readonly [string, readonly string[]])[] = [
    ['a connection', ['-e', `require('net').connect(2049, '10.9.0.1').on('error', () => {})`]],
    ['a connection by IPv6', ['-e', `require('net').connect(2049, 'fd09::1').on('error', () => {})`]],
    [
      'a datagram',
      [
        '-e',
        `const s = require('dgram').createSocket('udp4'); s.send('x', 2049, '10.9.0.1', () => s.close());`,
      ],
    ],
  ];
  it.each(clients)('%s counts', async (_, program) => {
    const inbound = make();
    const acquiring = acquire(inbound);
    await until(
      () => inbound.probe(within(2000)),
      (result) => result.isPartial === true,
    );
    network.in(network.peer, process.execPath, ...program);
    expect(await acquiring).toContain('data comes in through eth1');
    expect(await inbound.probe(within(2000))).toMatchObject({ probe: 'held' });
  });

  it.each(['10.9.0.1', 'fd09::1'])('a ping of %s counts', async (address) => {
    const inbound = make();
    const acquiring = acquire(inbound);
    await until(
      () => inbound.probe(within(2000)),
      (result) => result.isPartial === true,
    );
    network.in(network.peer, 'ping', '-c', '1', '-W', '1', address);
    expect(await acquiring).toContain('data comes in through eth1');
  });
});
