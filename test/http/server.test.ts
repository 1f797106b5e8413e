/** The real server on loopback, asked through real sockets, in front of facts that the test holds. */
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request } from 'node:http';
import { connect, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/core/index.ts';
import { QuorateError } from '../../src/errors.ts';
import { HttpServer, type RoleBackend, type RoleFacts } from '../../src/http/index.ts';
import { HOLDER, STANDBY } from './facts.ts';
import { metricFacts, PROCESS } from './metric-facts.ts';
import { statusFacts } from './status-page/status-facts.ts';

const BACKEND: RoleBackend = {
  roleFacts: () => HOLDER,
  metricFacts,
  statusFacts,
  onChange: () => () => undefined,
};
let facts: () => RoleFacts;
let server: HttpServer;
let port: number;
const open: Socket[] = [];
beforeEach(async () => {
  facts = () => HOLDER;
  server = new HttpServer({
    listen: '127.0.0.1:0',
    backend: {
      ...BACKEND,
      roleFacts: () => facts(),
      metricFacts: () => metricFacts({ role: facts() }),
    },
    process: PROCESS,
    page: null,
  });
  port = await server.start();
});
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await server.close();
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

function ask(
  path: string,
  options: { method?: string; agent?: Agent; body?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method: options.method ?? 'GET',
        agent: options.agent ?? false,
        headers: options.headers ?? {},
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        );
      },
    );
    asking.on('error', reject);
    asking.end(options.body);
  });
}

async function dial(): Promise<{ socket: Socket; said: () => string; closed: Promise<unknown> }> {
  const socket = connect(port, '127.0.0.1');
  open.push(socket);
  let text = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    text += chunk;
  });
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  await once(socket, 'connect');
  return { socket, said: () => text, closed };
}

async function until(fact: () => boolean, what: string, limitMs = 10_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!fact()) {
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

describe('answers', () => {
  it('200 and 503, with the same document', async () => {
    const holds = await ask('/holder');
    expect(holds.status).toBe(200);
    expect(holds.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
    });
    expect(JSON.parse(holds.text)).toMatchObject({ node: 'a', check: 'holder', ok: true, epoch: 8 });
    facts = () => STANDBY;
    const stands = await ask('/holder');
    expect(stands.status).toBe(503);
    expect(stands.headers['cache-control']).toBe('no-store');
    expect(JSON.parse(stands.text)).toMatchObject({ node: 'b', check: 'holder', ok: false, holder: 'a' });
    expect((await ask('/standby?max-lag=10')).status).toBe(200);
    expect((await ask('/standby?max-lag=10ms')).status).toBe(503);
  });

  it('the facts are read anew for each question', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      expect((await ask('/leader', { agent })).status).toBe(200);
      facts = () => ({ ...HOLDER, leaseUntil: null });
      expect((await ask('/leader', { agent })).status).toBe(503);
      facts = () => HOLDER;
      expect((await ask('/leader', { agent })).status).toBe(200);
    } finally {
      agent.destroy();
    }
  });

  it('HEAD has no body and the same length, OPTIONS has both', async () => {
    const [get, head, options] = [
      await ask('/holder'),
      await ask('/holder', { method: 'HEAD' }),
      await ask('/holder', { method: 'OPTIONS' }),
    ];
    expect(head).toMatchObject({ status: 200, text: '' });
    expect(head.headers['content-length']).toBe(get.headers['content-length']);
    expect(options).toMatchObject({ status: 200, text: get.text });
    expect(options.headers.allow).toBe('GET, HEAD, OPTIONS');
    facts = () => STANDBY;
    expect((await ask('/holder', { method: 'HEAD' })).status).toBe(503);
    expect((await ask('/holder', { method: 'OPTIONS' })).status).toBe(503);
  });

  it('400, 404, 405 and 413 say what to do instead', async () => {
    const bad = await ask('/standby?max-lag=soon');
    expect(bad.status).toBe(400);
    expect(JSON.parse(bad.text)).toMatchObject({ remedy: expect.stringContaining('max-lag=10') });
    const nothing = await ask('/status');
    expect(nothing.status).toBe(404);
    expect(JSON.parse(nothing.text)).toMatchObject({
      paths: ['/leader', '/holder', '/standby', '/witness', '/health', '/ready'],
    });
    const posted = await ask('/holder', { method: 'POST', body: '{}' });
    expect(posted.status).toBe(405);
    expect(posted.headers).toMatchObject({ allow: 'GET, HEAD, OPTIONS', connection: 'close' });
    const body = 'x'.repeat(100_000);
    const loaded = await ask('/holder', { body, headers: { 'content-length': String(body.length) } });
    expect(loaded.status).toBe(413);
    expect(loaded.headers.connection).toBe('close');
  });

  it('facts that cannot be read are a no, not the end of the agent', async () => {
    facts = () => {
      throw new TypeError('no such thing');
    };
    const answer = await ask('/health');
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text)).toMatchObject({ error: expect.stringContaining('no such thing') });
  });

  it('style 5: a broken invariant is not an answer', async () => {
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const caught = once(process, 'uncaughtException');
    facts = () => {
      throw new InvariantError('two tenures');
    };
    try {
      void ask('/health').catch(() => undefined);
      expect((await caught)[0]).toMatchObject({ message: 'two tenures' });
    } finally {
      for (const listener of before) process.on('uncaughtException', listener);
    }
  });
});

describe('T2: an old yes', () => {
  it('does not wait in a buffer of ours: where the kernel has not taken it, the connection is cut', async () => {
    // With answers this small it takes a client with a tiny receive buffer that reads nothing, for tens of thousands of answers.
    Object.defineProperty(Socket.prototype, 'writableLength', { configurable: true, get: () => 1 });
    try {
      const { socket, said, closed } = await dial();
      socket.write('GET /health HTTP/1.1\r\nHost: a\r\n\r\n');
      await until(() => said().includes('"check":"health"'), 'an answer that may be old');
      socket.write('GET /ready HTTP/1.1\r\nHost: a\r\n\r\n');
      await until(() => said().includes('"check":"ready"'), 'another one on the same connection');
      socket.write('GET /holder HTTP/1.1\r\nHost: a\r\n\r\n');
      await closed;
    } finally {
      Reflect.deleteProperty(Socket.prototype, 'writableLength');
    }
  });

  it('a question behind one whose answer has not left is not taken', async () => {
    let answers = 0;
    facts = () => {
      answers += 1;
      return HOLDER;
    };
    const { socket, said, closed } = await dial();
    socket.write('GET /holder HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(50));
    await closed;
    expect(answers).toBe(1);
    expect(said().split('HTTP/1.1 200').length - 1).toBeLessThanOrEqual(1);
  });
});

describe('limits', () => {
  it('HTTP/1.0 without a host, as simple checks ask', async () => {
    const { socket, said, closed } = await dial();
    socket.write('GET /holder HTTP/1.0\r\n\r\n');
    await closed;
    expect(said()).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(said()).toMatch(/\r\nconnection: close\r\n/i);
  });

  it('HTTP/1.1 keeps the connection, and says for how long', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      const first = await ask('/holder', { agent });
      expect(first.headers['keep-alive']).toBe('timeout=75');
      await ask('/holder', { agent });
      expect(Object.values(agent.freeSockets).flat()).toHaveLength(1);
    } finally {
      agent.destroy();
    }
  });

  it('headers that are too large are refused', async () => {
    const { socket, said, closed } = await dial();
    socket.write(`GET /holder HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(9_000)}\r\n\r\n`);
    await closed;
    expect(said()).toMatch(/^HTTP\/1\.1 431 /);
  });

  it('what is not HTTP is refused', async () => {
    const { socket, said, closed } = await dial();
    socket.write('\u0016\u0003\u0001\u0002\u0000');
    await closed;
    expect(said()).toMatch(/^(HTTP\/1\.1 400 .*)?/s);
  });

  it('a connection that says nothing, or half of something, is closed', async () => {
    const [silent, half] = [await dial(), await dial()];
    half.socket.write('GET /holder HTT');
    await Promise.all([silent.closed, half.closed]);
    expect(half.said()).toMatch(/^HTTP\/1\.1 408 /);
  }, 20_000);

  it('at its limit of connections, those that are only kept make room for a check', async () => {
    // One whole answer each, then nothing.
    const kept = await Promise.all(Array.from({ length: 256 }, () => dial()));
    for (const { socket } of kept) socket.write('GET /health HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => kept.every(({ said }) => said().includes('200 OK')), 'all have their answer');
    let last = 0;
    // The one that finds it full is turned away; it is the next one that gets in.
    await until(() => {
      void ask('/health').then(
        ({ status }) => {
          last = status;
        },
        () => undefined,
      );
      return last === 200;
    }, 'a check gets through');
  });
});

describe('listening', () => {
  it('a port in use, and an address that is not ours: named as the config has them', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const taken = typeof address === 'object' && address !== null ? address.port : 0;
    const start = (listen: string) =>
      new HttpServer({
        listen,
        backend: BACKEND,
        process: PROCESS,
        page: null,
      }).start();
    const inUse = await start(`127.0.0.1:${taken}`).catch((error: unknown) => error);
    expect(inUse).toBeInstanceOf(QuorateError);
    expect(inUse).toMatchObject({ code: 'port-in-use', message: `http.listen 127.0.0.1:${taken} is in use` });
    await expect(start('192.0.2.1:7402')).rejects.toMatchObject({
      code: 'address-not-available',
      message: expect.stringContaining('http.listen 192.0.2.1:7402'),
    });
    other.close();
  });

  it('/metrics in the text format, by GET and HEAD, as of the instant of the scrape', async () => {
    const told = await ask('/metrics');
    expect(told.status).toBe(200);
    expect(told.headers).toMatchObject({
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
      'cache-control': 'no-store',
    });
    expect(told.text).toContain('quorate_role_check{check="holder"} 1\n');
    facts = () => STANDBY;
    expect((await ask('/metrics')).text).toContain('quorate_role_check{check="holder"} 0\n');
    const head = await ask('/metrics', { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, text: '' });
    expect(Number(head.headers['content-length'])).toBeGreaterThan(1000);
    expect((await ask('/metrics', { method: 'POST' })).status).toBe(405);
  });

  it('/metrics: what cannot be read is 503, and nobody else is harmed', async () => {
    facts = () => {
      throw new Error('no');
    };
    expect(await ask('/metrics')).toMatchObject({
      status: 503,
      text: expect.stringContaining('cannot be read'),
    });
    facts = () => HOLDER;
    expect((await ask('/holder')).status).toBe(200);
  });

  it('IPv6, where the host has it', async () => {
    const six = new HttpServer({
      listen: '[::1]:0',
      backend: BACKEND,
      process: PROCESS,
      page: null,
    });
    const found = await six.start().catch((error: unknown) => error);
    await six.close();
    if (typeof found !== 'number') expect(found).toMatchObject({ code: 'address-not-available' });
  });

  it('closing ends kept connections at once', async () => {
    const { socket, said, closed } = await dial();
    socket.write('GET /health HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => said().includes('200 OK'), 'an answer');
    await server.close();
    await closed;
  });
});
