import {
  AssociateAddressCommand,
  DescribeAddressesCommand,
  DisassociateAddressCommand,
} from '@aws-sdk/client-ec2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeadLinks } from '../../cluster/local/controller/index.ts';
import {
  A,
  B,
  eventually,
  HOST,
  outcome,
  type Running,
  Service,
  startController,
  VIP,
  Wire,
} from './support.ts';

let running: Running;
let onA: Service;
let onB: Service;
let wires: Wire[];

/** The same port on both nodes and on the public address: an elastic IP does not change ports. */
async function begin(deadLinks: DeadLinks): Promise<void> {
  wires = [];
  onA = await Service.listen('a', A.ip);
  onB = await Service.listen('b', B.ip, onA.port);
  running = await startController({
    deadLinks,
    addresses: [
      {
        allocationId: VIP.allocation,
        publicIp: VIP.ip,
        ports: [onA.port],
        associatedWith: { interface: A.eni },
      },
    ],
  });
}

afterEach(async () => {
  for (const { socket } of wires) socket.destroy();
  await running.stop();
  await Promise.all([onA.close(), onB.close()]);
});

const connect = (localAddress?: string): Wire => {
  const wire = new Wire(VIP.ip, onA.port, localAddress);
  wires.push(wire);
  return wire;
};
const moveTo = (eni: string) =>
  running.ec2.send(new AssociateAddressCommand({ AllocationId: VIP.allocation, NetworkInterfaceId: eni }));
const free = async () => {
  const reply = await running.ec2.send(new DescribeAddressesCommand({}));
  const { AssociationId } = reply.Addresses?.[0] ?? {};
  await running.ec2.send(new DisassociateAddressCommand({ AssociationId }));
};
const isReset = (end: string) => ['ECONNRESET', 'ECONNREFUSED', 'EPIPE'].includes(end);

describe('an elastic IP', () => {
  beforeEach(() => begin('reset'));

  it('leads to the service on the private address, which sees the address of the client', async () => {
    const wire = connect(HOST);
    expect(await wire.ask('hello', 'a:hello')).toBe('a:hello');
    expect(onA.sources).toEqual([HOST]);
    expect(running.controller.lookup(VIP.ip)).toMatchObject({
      target: { interfaceId: A.eni, privateIp: A.ip, isLive: true },
      connections: 1,
    });
  });

  it('carries much data both ways unharmed', async () => {
    const wire = connect();
    const text = 'x'.repeat(3_000_000);
    wire.socket.end(text);
    await wire.end;
    // The service marks every chunk it echoes.
    expect(wire.received.replaceAll('a:', '').length).toBe(text.length + 'end'.length);
  });

  it('keeps a half-closed connection until the other side has spoken', async () => {
    const wire = connect();
    await wire.ask('hello', 'a:hello');
    wire.socket.end();
    expect(await wire.waitFor('a:end')).toBe('a:helloa:end');
    expect(await wire.end).toBe('end');
    await eventually(() => running.controller.lookup(VIP.ip)?.connections === 0);
  });

  it('after a re-association destroys the old connections and leads new ones to the new holder', async () => {
    const old = connect();
    await old.ask('1', 'a:1');
    await moveTo(B.eni);
    expect(isReset(await old.end)).toBe(true);
    expect(await connect().ask('2', 'b:2')).toBe('b:2');
    await eventually(() => onA.sockets.size === 0);
  });

  it('re-associated with the same interface keeps its connections', async () => {
    const wire = connect();
    await wire.ask('1', 'a:1');
    await moveTo(A.eni);
    expect(await wire.ask('2', 'a:2')).toBe('a:1a:2');
  });

  it('not associated, resets at once, and serves again afterwards', async () => {
    const old = connect();
    await old.ask('1', 'a:1');
    await free();
    expect(isReset(await old.end)).toBe(true);
    expect(isReset(await connect().end)).toBe(true);
    await moveTo(B.eni);
    expect(await connect().ask('2', 'b:2')).toBe('b:2');
  });

  it('resets when nothing listens on the holder', async () => {
    const { port } = onA;
    await onA.close();
    const wire = new Wire(VIP.ip, port);
    expect(isReset(await wire.end)).toBe(true);
    onA = await Service.listen('a', A.ip, port);
  });

  it('ends with the service that ends', async () => {
    const wire = connect();
    await wire.ask('1', 'a:1');
    for (const socket of onA.sockets) socket.resetAndDestroy();
    expect(isReset(await wire.end)).toBe(true);
  });

  it('loses the service when the client vanishes', async () => {
    const wire = connect();
    await wire.ask('1', 'a:1');
    wire.socket.resetAndDestroy();
    await eventually(() => onA.sockets.size === 0 && running.controller.lookup(VIP.ip)?.connections === 0);
  });

  it('is dead with its link, its zone or its machine', async () => {
    const alive = async () => {
      const wire = connect();
      return (await Promise.race([wire.ask('1', 'a:1').catch(() => 'silence'), wire.end])) === 'a:1';
    };
    const cuts: [() => unknown, () => unknown][] = [
      [
        () => running.controller.setInterfaceLink(A.eni, false),
        () => running.controller.setInterfaceLink(A.eni, true),
      ],
      [
        () => running.controller.setZoneLink('us-east-1a', false),
        () => running.controller.setZoneLink('us-east-1a', true),
      ],
      [
        () => running.controller.power(A.instance, 'crash'),
        () => running.controller.power(A.instance, 'start'),
      ],
      [
        () => running.controller.power(A.instance, 'stop'),
        () => running.controller.power(A.instance, 'start'),
      ],
    ];
    for (const [cut, mend] of cuts) {
      const before = connect();
      await before.ask('1', 'a:1');
      await cut();
      expect(isReset(await before.end)).toBe(true);
      expect(await alive()).toBe(false);
      await mend();
      expect(await alive()).toBe(true);
    }
  });

  it('in a closed security group admits nobody, but tracked connections live on', async () => {
    const wire = connect();
    await wire.ask('1', 'a:1');
    const { ModifyNetworkInterfaceAttributeCommand } = await import('@aws-sdk/client-ec2');
    const isolate = new ModifyNetworkInterfaceAttributeCommand({
      NetworkInterfaceId: A.eni,
      Groups: ['sg-isolated'],
    });
    await running.ec2.send(isolate);
    expect(isReset(await connect().end)).toBe(true);
    expect(await wire.ask('2', 'a:2')).toBe('a:1a:2');
  });
});

describe('with silent dead links (as in reality)', () => {
  beforeEach(() => begin('silence'));

  it('a connection freezes, thaws when the link comes back, and loses nothing', async () => {
    const wire = connect();
    await wire.ask('1', 'a:1');
    running.controller.setInterfaceLink(A.eni, false);
    await expect(wire.ask('2', 'a:2', 150)).rejects.toThrow('only a:1');
    running.controller.setInterfaceLink(A.eni, true);
    expect(await wire.waitFor('a:2')).toBe('a:1a:2');
  });

  it('a connection made meanwhile waits for the link', async () => {
    running.controller.setInterfaceLink(A.eni, false);
    const wire = connect();
    await expect(wire.ask('1', 'a:1', 150)).rejects.toThrow();
    expect(onA.sources).toEqual([]);
    running.controller.setInterfaceLink(A.eni, true);
    await wire.waitFor('a:1');
  });

  it('a frozen connection is reset when the address moves', async () => {
    const wire = connect();
    await wire.ask('1', 'a:1');
    running.controller.setInterfaceLink(A.eni, false);
    await moveTo(B.eni);
    expect(isReset(await wire.end)).toBe(true);
    expect(await connect().ask('2', 'b:2')).toBe('b:2');
  });

  it('a client that gives up on a frozen connection is forgotten', async () => {
    running.controller.setInterfaceLink(A.eni, false);
    const wire = connect();
    await eventually(() => running.controller.lookup(VIP.ip)?.connections === 1);
    wire.socket.resetAndDestroy();
    running.controller.setInterfaceLink(A.eni, true);
    await eventually(() => running.controller.lookup(VIP.ip)?.connections === 0);
  });
});

it('requests through a dead interface never arrive: port 2 carries the API calls too', async () => {
  await begin('reset');
  const throughA = running.client({ localAddress: A.ip, timeoutMs: 150 });
  const throughB = running.client({ localAddress: B.ip, timeoutMs: 1_000 });
  const ask = () => throughA.send(new DescribeAddressesCommand({}));
  expect(await outcome(ask())).toBe('ok');
  running.controller.setInterfaceLink(A.eni, false);
  expect(await outcome(ask())).toBe('- TimeoutError');
  expect(await outcome(throughB.send(new DescribeAddressesCommand({})))).toBe('ok');
  running.controller.setInterfaceLink(A.eni, true);
  expect(await outcome(ask())).toBe('ok');
  const calls = running.controller.calls();
  expect(calls.map((one) => [one.source, one.reply])).toEqual([
    [A.ip, 'sent'],
    [A.ip, 'silence'],
    [B.ip, 'sent'],
    [A.ip, 'sent'],
  ]);
  expect(running.controller.interfaceOfSource(A.ip)).toBe(A.eni);
});
