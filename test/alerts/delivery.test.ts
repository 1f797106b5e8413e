/** Alerts on their way: tried again, in order, bounded. Real HTTP and SMTP servers stand at the end of it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Alert, Attempt, Target } from '../../src/alerts/alert.ts';
import { DELIVERY, Delivery, type DeliveryNews } from '../../src/alerts/delivery.ts';
import { Mail } from '../../src/alerts/mail.ts';
import { Office } from '../../src/alerts/office.ts';
import { signatureOf, Webhook } from '../../src/alerts/webhook.ts';
import { systemClock } from '../../src/clock.ts';
import { VirtualClock } from '../resources/support/virtual-clock.ts';

const alert = (key: string): Alert => ({
  ...{ version: 1, id: `id-of-${key}`, cluster: 'nas', node: 'a', key, state: 'firing', severity: 'bad' },
  ...{ text: `${key} happened.`, at: '2026-01-02T03:04:05.000Z', since: null },
});
const FAILS: Attempt = { ok: false, why: 'it answers 503', isFinal: false };
let directory: string;
const closing: (() => void)[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-alerts-'));
});
afterEach(() => {
  for (const close of closing.splice(0)) close();
  rmSync(directory, { recursive: true, force: true });
});
const secretFile = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text, { mode: 0o600 });
  return join(directory, name);
};

describe('a way to one target', () => {
  const setUp = (answers: Attempt[]) => {
    const clock = new VirtualClock();
    const sent: { key: string; atMs: number; dropped: number }[] = [];
    const news: DeliveryNews[] = [];
    const target: Target = {
      name: 'ops',
      send: async ({ key }, dropped) => {
        sent.push({ key, atMs: clock.now() - 1000, dropped });
        return answers.shift() ?? { ok: true };
      },
    };
    const delivery = new Delivery(target, clock, (one) => news.push(one));
    return { clock, sent, news, delivery, kinds: () => news.map(({ kind }) => kind) };
  };

  it('tries again with growing pauses until it has arrived, and keeps the order', async () => {
    const { sent, delivery, kinds } = setUp([FAILS, FAILS, FAILS]);
    delivery.add(alert('one'));
    delivery.add(alert('two'));
    await expect.poll(kinds).toEqual(['failed', 'sent', 'sent']);
    expect(sent.map(({ key, atMs }) => [key, atMs])).toEqual([
      ...[
        ['one', 0],
        ['one', 1_000],
        ['one', 3_000],
        ['one', 7_000],
      ],
      ['two', 7_000],
    ]);
  });

  it('gives up what is refused for good at once, and what is a day old', async () => {
    const final = setUp([{ ok: false, why: 'it answers 404', isFinal: true }]);
    final.delivery.add(alert('one'));
    final.delivery.add(alert('two'));
    await expect.poll(final.kinds).toEqual(['given-up', 'sent']);
    const dead = setUp(Array.from({ length: 1_000 }, () => FAILS));
    dead.delivery.add(alert('one'));
    await expect.poll(dead.kinds, { timeout: 10_000 }).toEqual(['failed', 'given-up']);
    expect(dead.sent.at(-1)?.atMs).toBeLessThanOrEqual(DELIVERY.oldestMs);
    expect(dead.sent.length).toBeGreaterThan(DELIVERY.oldestMs / DELIVERY.longestRetryMs - 2);
  });

  it('keeps a bounded number, drops the oldest, and says with the next how many', async () => {
    let open: (answer: Attempt) => void = () => undefined;
    const sent: [string, number][] = [];
    const news: DeliveryNews[] = [];
    const target: Target = {
      name: 'ops',
      send: ({ key }, dropped) => {
        sent.push([key, dropped]);
        return sent.length > 1 ? Promise.resolve({ ok: true }) : new Promise((resolve) => (open = resolve));
      },
    };
    const delivery = new Delivery(target, systemClock, (one) => news.push(one));
    for (let at = 0; at < DELIVERY.queued + 3; at++) delivery.add(alert(`n${at}`));
    expect(news.filter(({ kind }) => kind === 'dropped').map(({ alert: { key } }) => key)).toEqual([
      'n1',
      'n2',
      'n3',
    ]);
    open({ ok: true });
    await expect.poll(() => sent.length).toBe(DELIVERY.queued);
    expect(sent.slice(0, 3)).toEqual([
      ['n0', 0],
      ['n4', 3],
      ['n5', 0],
    ]);
  });

  it('ends at once, whatever it waits for', async () => {
    const { sent, delivery } = setUp([FAILS]);
    delivery.end();
    delivery.add(alert('one'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(sent.length).toBeLessThanOrEqual(1);
  });
});

describe('a webhook', () => {
  interface Got {
    readonly headers: IncomingHttpHeaders;
    readonly body: string;
  }
  async function receiver(answers: number[]): Promise<{ url: string; got: Got[] }> {
    const got: Got[] = [];
    const server: Server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        got.push({ headers: request.headers, body });
        const status = answers.shift() ?? 200;
        response
          .writeHead(status, status === 302 ? { location: 'http://127.0.0.1:1/' } : {})
          .end('x'.repeat(100_000));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => {
      server.closeAllConnections();
      server.close();
    });
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/secret-path`, got };
  }
  const config = { name: 'ops', url: null, urlFile: null, secretFile: null };
  const signal = () => AbortSignal.timeout(10_000);

  it('gets JSON that is signed with its time by the secret in the file', async () => {
    const { url, got } = await receiver([]);
    const hook = new Webhook(
      { ...config, urlFile: secretFile('url', `${url}\n`), secretFile: secretFile('secret', 'hush\n') },
      () => 1_767_323_045_678,
    );
    expect(await hook.send(alert('one'), 4, signal())).toEqual({ ok: true });
    const [{ headers, body } = { headers: {}, body: '' }] = got;
    expect(JSON.parse(body)).toEqual({ ...alert('one'), dropped: 4 });
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'x-quorate-delivery': 'id-of-one',
      'x-quorate-timestamp': '1767323045',
      'x-quorate-signature': signatureOf('hush', '1767323045', body),
    });
    expect(headers['x-quorate-signature']).toMatch(/^sha256=[0-9a-f]{64}$/);
    expect(signatureOf('other', '1767323045', body)).not.toBe(headers['x-quorate-signature']);
  });

  it.each([
    [500, false],
    [429, false],
    [404, true],
    [302, true],
  ])('that answers %i: for good is %s, and nobody else is asked', async (status, isFinal) => {
    const { url } = await receiver([status]);
    const hook = new Webhook({ ...config, url }, Date.now);
    expect(await hook.send(alert('one'), 0, signal())).toEqual({
      ok: false,
      why: `it answers ${status}`,
      isFinal,
    });
  });

  it('that is not there, says nothing, or whose files are missing: why, without what is secret', async () => {
    const silent = createTcp(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    closing.push(() => silent.close());
    const { port } = silent.address() as AddressInfo;
    const ends = [
      await new Webhook({ ...config, url: 'http://127.0.0.1:1/secret-path' }, Date.now).send(
        alert('x'),
        0,
        signal(),
      ),
      await new Webhook({ ...config, url: `http://127.0.0.1:${port}/secret-path` }, Date.now).send(
        ...([alert('x'), 0, AbortSignal.timeout(100)] as const),
      ),
      await new Webhook({ ...config, urlFile: join(directory, 'none') }, Date.now).send(
        alert('x'),
        0,
        signal(),
      ),
      await new Webhook({ ...config, urlFile: secretFile('bad', 'ftp://x/secret-path') }, Date.now).send(
        ...([alert('x'), 0, signal()] as const),
      ),
    ];
    expect(ends.every(({ ok }) => !ok)).toBe(true);
    const whys = ends.map((end) => (end.ok ? '' : end.why));
    expect(whys).toEqual([
      expect.stringMatching(/ECONNREFUSED|bad port/),
      'no answer in time',
      expect.stringMatching(/none cannot be read/),
      'it is not an http(s) URL',
    ]);
    expect(whys.join()).not.toContain('secret-path');
  });
});

describe('a mail', () => {
  /** As much of an SMTP server as a mail needs. */
  async function smtp(refuses: (line: string) => string | null = () => null) {
    const lines: string[] = [];
    const server = createTcp((socket) => {
      let isData = false;
      let rest = '';
      const say = (text: string): void => void socket.write(`${text}\r\n`);
      socket.on('error', () => undefined);
      say('220 mail.test');
      socket.on('data', (chunk) => {
        rest += chunk.toString();
        for (let end = rest.indexOf('\r\n'); end >= 0; end = rest.indexOf('\r\n')) {
          const line = rest.slice(0, end);
          rest = rest.slice(end + 2);
          lines.push(line);
          if (isData) {
            if (line !== '.') continue;
            isData = false;
            say('250 taken');
          } else if (refuses(line) !== null) say(refuses(line) ?? '');
          else if (line.startsWith('EHLO')) say('250-mail.test\r\n250 AUTH PLAIN');
          else if (line.startsWith('AUTH')) say('235 ok');
          else if (line === 'DATA') {
            isData = true;
            say('354 go on');
          } else if (line === 'QUIT') socket.end('221 bye\r\n');
          else say('250 ok');
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => server.close());
    return { port: (server.address() as AddressInfo).port, lines };
  }
  const mail = (port: number, tls: 'none' | 'starttls' = 'none', passwordFile: string | null = null) =>
    new Mail({
      smtp: { host: '127.0.0.1', port, tls, user: passwordFile === null ? null : 'quorate', passwordFile },
      from: 'storage@example.com',
      to: ['ops@example.com', 'boss@example.com'],
    });
  const signal = () => AbortSignal.timeout(10_000);

  it('says in its subject what it is about, and in its text who tells it and since when', async () => {
    const { port, lines } = await smtp();
    expect(await mail(port).send(alert('one'), 3, signal())).toEqual({ ok: true });
    expect(lines).toContain('MAIL FROM:<storage@example.com>');
    expect(lines.filter((line) => line.startsWith('RCPT'))).toHaveLength(2);
    expect(lines).toContain('Subject: [quorate nas] BAD: one happened.');
    expect(lines).toContain('told by   a');
    expect(lines).toContain('X-Quorate-Key: one');
    expect(lines.join('\n')).toMatch(/3 alerts before this one were dropped/);
  });

  it('a text cannot make headers of its own', async () => {
    const { port, lines } = await smtp();
    const wild = { ...alert('one'), text: 'x\r\nBcc: evil@example.com\r\n\r\nbody', key: 'k\r\nX-Evil: 1' };
    expect(await mail(port).send(wild, 0, signal())).toEqual({ ok: true });
    const headers = lines.slice(lines.indexOf('DATA'), lines.indexOf('', lines.indexOf('DATA')));
    expect(headers.filter((line) => /^(Bcc|X-Evil):/i.test(line))).toEqual([]);
    expect(lines.filter((line) => line.startsWith('RCPT'))).toHaveLength(2);
  });

  it('does without nothing that was asked for: no TLS, no mail', async () => {
    const { port, lines } = await smtp((line) => (line === 'STARTTLS' ? '502 no' : null));
    expect(await mail(port, 'starttls').send(alert('one'), 0, signal())).toMatchObject({ ok: false });
    expect(lines.some((line) => line.startsWith('MAIL'))).toBe(false);
  });

  it('refused for good or not, and the password is in no sentence', async () => {
    const passwordFile = secretFile('password', 'hush-hush');
    const login = await smtp((line) => (line.startsWith('AUTH') ? '535 not with hush-hush' : null));
    const end = await mail(login.port, 'none', passwordFile).send(alert('one'), 0, signal());
    expect(end).toMatchObject({ ok: false, isFinal: false });
    expect(JSON.stringify(end)).not.toContain('hush-hush');
    const full = await smtp((line) => (line.startsWith('MAIL') ? '452 later' : null));
    expect(await mail(full.port).send(alert('one'), 0, signal())).toMatchObject({
      ok: false,
      isFinal: false,
    });
    const never = await smtp((line) => (line.startsWith('MAIL') ? '550 never' : null));
    expect(await mail(never.port).send(alert('one'), 0, signal())).toMatchObject({
      ok: false,
      isFinal: true,
    });
  });
});

it('a test goes to every target once, past what waits, and each says how it went', async () => {
  const reports: unknown[] = [];
  const answers: Readonly<Record<string, Attempt>> = { good: { ok: true }, bad: FAILS };
  const targets = Object.entries(answers).map(
    ([name, answer]): Target => ({ name, send: async () => answer }),
  );
  const office = new Office(targets, systemClock, (report) => reports.push(report));
  await office.handle({ kind: 'test', alert: { ...alert('a/test'), state: 'test' } });
  expect(reports).toEqual([
    {
      ...{ kind: 'tested', id: 'id-of-a/test' },
      results: [
        { target: 'good', ok: true, detail: 'sent', ms: expect.any(Number) },
        { target: 'bad', ok: false, detail: 'it answers 503', ms: expect.any(Number) },
      ],
    },
  ]);
  office.end();
});
