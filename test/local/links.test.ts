import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Links } from '../../cluster/local/links/index.ts';
import { freeNetwork, linkHost, port1, releaseNetwork } from '../../cluster/local/node/index.ts';
import { until } from './support/until.ts';

const PORT = 7400;

/** Node a dials node b; both ends keep what they received. */
describe('links', () => {
  let network: number;
  let links: Links;
  let server: Server;
  let onB: { socket: Socket; text: string; isClosed: boolean }[];

  beforeEach(async () => {
    network = await freeNetwork();
    links = new Links();
    onB = [];
    server = createServer((socket) => {
      const end = { socket, text: '', isClosed: false };
      onB.push(end);
      socket.on('data', (bytes) => {
        end.text += bytes.toString();
      });
      socket.on('error', () => undefined);
      socket.on('close', () => {
        end.isClosed = true;
      });
    });
    server.listen(PORT, port1(network, 2));
    await once(server, 'listening');
    await links.listen([
      {
        from: 'a',
        to: 'b',
        listen: { host: linkHost(network, 1, 2), port: PORT },
        target: { host: port1(network, 2), port: PORT },
      },
    ]);
  });
  afterEach(() => {
    links.close();
    server.close();
    for (const { socket } of onB) socket.destroy();
    releaseNetwork(network);
  });

  function dial(): { socket: Socket; text: string; isClosed: boolean } {
    const end = { socket: connect(PORT, linkHost(network, 1, 2)), text: '', isClosed: false };
    end.socket.on('data', (bytes) => {
      end.text += bytes.toString();
    });
    end.socket.on('error', () => undefined);
    end.socket.on('close', () => {
      end.isClosed = true;
    });
    return end;
  }

  async function pair() {
    const before = onB.length;
    const a = dial();
    await until('b accepts', () => onB.length > before);
    const b = onB.at(-1);
    if (b === undefined) throw new Error('no connection');
    return { a, b };
  }

  test('one direction is withheld while the other flows; after the heal it flows again, complete and in order', async () => {
    const { a, b } = await pair();
    links.cut('a', 'b');
    for (let number = 0; number < 1_000; number += 1) a.socket.write(`${number} `);
    b.socket.write('back');
    await until('the way back is open', () => a.text === 'back');
    expect(b.text).toBe('');
    links.heal('a', 'b');
    const all = Array.from({ length: 1_000 }, (_, number) => `${number} `).join('');
    await until('everything has arrived', () => b.text === all);
  });

  test('the other direction, on the same connection', async () => {
    const { a, b } = await pair();
    links.cut('b', 'a');
    b.socket.write('withheld');
    a.socket.write('through');
    await until('the way there is open', () => b.text === 'through');
    expect(a.text).toBe('');
    links.heal('b', 'a');
    await until('it has arrived', () => a.text === 'withheld');
  });

  test('the end of a connection is withheld like its bytes', async () => {
    const { a, b } = await pair();
    links.cut('a', 'b');
    links.cut('b', 'a');
    a.socket.write('last words');
    a.socket.resetAndDestroy();
    const fresh = dial();
    await once(fresh.socket, 'connect');
    expect(b).toMatchObject({ text: '', isClosed: false });
    links.healAll();
    await until('b hears of the end', () => b.isClosed);
  });

  test('a new connection through a cut link hangs until the heal', async () => {
    links.cut('b', 'a');
    const a = dial();
    a.socket.write('hello');
    await once(a.socket, 'connect');
    expect(onB).toHaveLength(0);
    links.heal('b', 'a');
    await until('b hears it', () => onB[0]?.text === 'hello');
  });

  test('reset: connections break at once and new ones are refused', async () => {
    const { a, b } = await pair();
    links.cut('a', 'b', 'reset');
    await until('both ends are closed', () => a.isClosed && b.isClosed);
    const late = dial();
    await until('refused', () => late.isClosed);
    links.heal('a', 'b');
    const { b: again } = await pair();
    expect(again.isClosed).toBe(false);
  });

  test('a dark node is silent; with the power back, old connections are reset and new ones pass', async () => {
    const { a } = await pair();
    links.darken('b');
    server.close();
    for (const { socket } of onB) socket.destroy();
    const probe = dial();
    await once(probe.socket, 'connect');
    expect(a.isClosed).toBe(false);
    links.lighten('b');
    await until('the old connection is reset', () => a.isClosed);
  });

  test('back pressure: a slow reader loses nothing', async () => {
    const { a, b } = await pair();
    b.socket.pause();
    const chunk = 'x'.repeat(65_536);
    for (let count = 0; count < 200; count += 1) a.socket.write(chunk);
    b.socket.resume();
    await until('all of it has arrived', () => b.text.length === 200 * chunk.length);
  });
});
