/** The events and files of the status page over real sockets: who gets what, and who is cut off. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StatusFacts } from '../../../src/http/index.ts';
import { HttpServer } from '../../../src/http/index.ts';
import { MAX_READERS, statusPageOf } from '../../../src/http/status-page/index.ts';
import { ownTimeMs } from '../../support/own-time.ts';
import { PageServer } from './page-server.ts';
import { statusFacts } from './status-facts.ts';

let server: PageServer;
const sockets: Socket[] = [];
beforeEach(async () => {
  server = await PageServer.start({ hasPage: false });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.close();
});

interface Stream {
  readonly socket: Socket;
  readonly said: () => string;
  readonly isClosed: () => boolean;
}

async function stream(headers = ''): Promise<Stream> {
  const socket = connect(server.port, '127.0.0.1');
  sockets.push(socket);
  let text = '';
  let isClosed = false;
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    text += chunk;
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isClosed = true;
  });
  await once(socket, 'connect');
  socket.write(`GET /events HTTP/1.1\r\nHost: a\r\n${headers}\r\n`);
  return { socket, said: () => text, isClosed: () => isClosed };
}

const count = (text: string, what: string): number => text.split(what).length - 1;
const pulses = ({ said }: Stream): number => count(said(), 'event: pulse\n');
const states = ({ said }: Stream): number => count(said(), 'event: state\n');

async function until(fact: () => boolean, what: string, limitMs = 20_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!fact()) {
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('events', () => {
  it('the state at once, then pulses, and the state again only when it has changed', async () => {
    const reader = await stream();
    await until(() => pulses(reader) === 1, 'the first pulse');
    expect(reader.said()).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(reader.said()).toMatch(/\r\ncontent-type: text\/event-stream; charset=utf-8\r\n/);
    expect(reader.said()).toMatch(/\r\ncache-control: no-store\r\n/);
    expect(reader.said()).toMatch(/retry: 2000\n\n.*id: 1\nevent: state\ndata: \{"cluster":"nas-prod"/s);
    await until(() => pulses(reader) === 3, 'two more pulses');
    expect(states(reader)).toBe(1);
    server.facts = () => statusFacts({ status: { commitIndex: 13 } });
    await until(() => states(reader) === 2, 'the state that has changed');
    expect(reader.said()).toContain('id: 2\nevent: state\n');
  });

  it('a change is told after a moment, never in the step that makes it, and many at once', async () => {
    const reader = await stream();
    await until(() => pulses(reader) === 1, 'the first pulse');
    const readsBefore = server.reads;
    for (let commitIndex = 20; commitIndex < 60; commitIndex++)
      server.change(() => statusFacts({ status: { commitIndex } }));
    expect(server.reads).toBe(readsBefore);
    const began = ownTimeMs();
    await until(() => states(reader) === 2, 'the change');
    expect(ownTimeMs() - began).toBeLessThan(900);
    expect(reader.said()).toContain('"commitIndex":59');
    expect(server.reads - readsBefore).toBeLessThanOrEqual(2);
  });

  it('Last-Event-ID changes nothing: the state as it is now', async () => {
    const reader = await stream('Last-Event-ID: 1\r\n');
    await until(() => states(reader) === 1, 'the state');
    const strange = await stream('Last-Event-ID: \u00ff{"x":1}\r\n');
    await until(() => states(strange) === 1, 'the state');
  });

  it('what is sent is made once, however many look; nothing is, when nobody does', async () => {
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(server.reads).toBe(0);
    expect(server.listeners).toBe(0);
    const readers = await Promise.all(Array.from({ length: 10 }, () => stream()));
    await until(() => readers.every((reader) => pulses(reader) === 1), 'each has the state');
    // One read for each that came.
    expect(server.reads).toBe(10);
    await until(() => readers.every((reader) => pulses(reader) === 2), 'a pulse for each');
    expect(server.reads).toBe(11);
    expect(server.listeners).toBe(1);
    for (const { socket } of readers) socket.destroy();
    await until(() => server.listeners === 0, 'it is known that nobody looks');
    const { reads } = server;
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(server.reads).toBe(reads);
  });

  it('what cannot be read is a comment: no news, and no end either', async () => {
    const reader = await stream();
    await until(() => pulses(reader) === 1, 'the first pulse');
    server.facts = () => {
      throw new Error('no');
    };
    await until(() => reader.said().includes(': the state cannot be read\n\n'), 'the comment');
    expect(pulses(reader)).toBe(1);
    server.facts = () => statusFacts();
    await until(() => pulses(reader) === 2, 'news again');
    expect(states(reader)).toBe(1);
  });
});

describe('limits', () => {
  it('readers beyond the limit are told 503, and the checks are answered all the same', async () => {
    const readers = await Promise.all(Array.from({ length: MAX_READERS }, () => stream()));
    await until(() => readers.every((reader) => pulses(reader) > 0), 'all of them read');
    const full = await fetch(`${server.url}events`);
    expect(full.status).toBe(503);
    expect(full.headers.get('retry-after')).toBe('10');
    expect(await full.json()).toEqual({
      error: `${MAX_READERS} look already`,
      remedy: 'ask another node, or /status.json',
    });
    expect((await fetch(`${server.url}events`, { method: 'HEAD' })).status).toBe(503);
    expect((await fetch(`${server.url}holder`)).status).toBe(200);
    readers[0]?.socket.destroy();
    await until(() => readers[0]?.isClosed() === true, 'one has left');
    let status = 0;
    await until(() => {
      void fetch(`${server.url}events`, { method: 'HEAD' }).then(
        (answer) => {
          status = answer.status;
        },
        () => undefined,
      );
      return status === 200;
    }, 'there is room');
  });

  it('HEAD and OPTIONS do not look', async () => {
    for (const method of ['HEAD', 'OPTIONS']) {
      const answer = await fetch(`${server.url}events`, { method });
      expect(answer.status).toBe(200);
      expect(await answer.text()).toBe('');
      if (method === 'OPTIONS') expect(answer.headers.get('allow')).toBe('GET, HEAD, OPTIONS');
    }
    expect(server.reads).toBe(0);
    expect((await fetch(`${server.url}events`, { method: 'POST', body: 'x' })).status).toBe(405);
  });

  it('who does not read is cut off; nothing piles up, and the others go on', async () => {
    const [slow, quick] = [await stream(), await stream()];
    await until(() => pulses(slow) === 1 && pulses(quick) === 1, 'both read');
    slow.socket.pause();
    let turn = 0;
    const big = () => {
      turn += 1;
      const detail = `${turn}`.padEnd(300, 'x');
      const resources = Array.from({ length: 3_000 }, (_none, at) => ({
        ...{ name: `r${at}`, kind: 'service', probe: 'held' as const, detail },
      }));
      return statusFacts({ status: { resources } });
    };
    const heapBefore = process.memoryUsage().arrayBuffers;
    // A megabyte each: the kernel's own buffers take some of them first.
    await until(() => {
      server.change(big);
      return states(quick) >= 25;
    }, 'the quick one has them all');
    expect(process.memoryUsage().arrayBuffers - heapBefore).toBeLessThan(64 * 1024 * 1024);
    server.facts = () => statusFacts();
    slow.socket.resume();
    await until(() => slow.isClosed(), 'the slow one was cut off');
    expect(states(slow)).toBeLessThan(20);
    const seen = pulses(quick);
    await until(() => pulses(quick) > seen + 1, 'the other one goes on');
  }, 60_000);

  it('all of them end when the agent does, and nothing goes on behind it', async () => {
    const readers = await Promise.all([stream(), stream()]);
    await until(() => readers.every((reader) => pulses(reader) === 1), 'both read');
    await server.close();
    await until(() => readers.every(({ isClosed }) => isClosed()), 'both have ended');
    expect(server.listeners).toBe(0);
    const { reads } = server;
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(server.reads).toBe(reads);
  });
});

describe('/status.json', () => {
  it('the same document in one piece, by GET, HEAD and OPTIONS', async () => {
    const told = await fetch(`${server.url}status.json`);
    expect(told.status).toBe(200);
    expect(told.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(told.headers.get('x-content-type-options')).toBe('nosniff');
    const text = await told.text();
    expect(JSON.parse(text)).toMatchObject({ cluster: 'nas-prod', pulse: { leaseRemainingMs: 412.5 } });
    const head = await fetch(`${server.url}status.json`, { method: 'HEAD' });
    expect(Number(head.headers.get('content-length'))).toBe(Buffer.byteLength(text));
    expect((await fetch(`${server.url}status.json`, { method: 'DELETE' })).status).toBe(405);
  });

  it('503 where it cannot be read', async () => {
    server.facts = (): StatusFacts => {
      throw new TypeError('no such thing');
    };
    const told = await fetch(`${server.url}status.json`);
    expect(told.status).toBe(503);
    expect(await told.json()).toMatchObject({ error: expect.stringContaining('no such thing') });
  });
});

describe('the files', () => {
  it('without them, / says what to do, and everything else works', async () => {
    const answer = await fetch(server.url);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ remedy: expect.stringContaining('npm run build') });
    expect((await fetch(`${server.url}health`)).status).toBe(200);
  });

  it('with a strict policy, from memory, and only once', async () => {
    const page = statusPageOf('let x = 1;');
    const files = new HttpServer({
      listen: '127.0.0.1:0',
      backend: server.backend,
      process: { version: '0.1.0', nodeVersion: '20', certificates: { node: 0, ca: 0, refused: null } },
      page,
    });
    const url = `http://127.0.0.1:${await files.start()}`;
    try {
      const types = {
        '/': 'text/html',
        '/status-page.js': 'text/javascript',
        '/status-page.css': 'text/css',
      };
      for (const [path, type] of Object.entries({ ...types, '/status-page.svg': 'image/svg+xml' })) {
        const answer = await fetch(url + path);
        expect(answer.status, path).toBe(200);
        expect(answer.headers.get('content-type')).toContain(type);
        expect(answer.headers.get('cache-control')).toBe('no-cache');
        expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
        expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
        const policy = answer.headers.get('content-security-policy') ?? '';
        expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
        expect(policy).not.toMatch(/unsafe|\*|data:|http/);
        expect(await answer.text()).toBe(page.get(path)?.body);
        const etag = answer.headers.get('etag') ?? '';
        for (const known of [etag, `W/${etag}`, `"other", ${etag}`]) {
          const again = await fetch(url + path, { headers: { 'if-none-match': known } });
          expect(again.status).toBe(304);
          expect(again.headers.get('content-security-policy')).toBe(policy);
        }
        expect((await fetch(url + path, { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
        expect((await fetch(url + path, { method: 'HEAD' })).headers.get('etag')).toBe(etag);
        expect((await fetch(url + path, { method: 'PUT', body: 'x' })).status).toBe(405);
      }
      // Nothing inline: the policy would refuse it.
      expect(page.get('/')?.body).not.toMatch(/<style|style=|<script>|<script type="module">|\son\w+=/);
    } finally {
      await files.close();
    }
  });
});
