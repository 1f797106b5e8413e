/** Certificates that are renewed while everything runs: files that are swapped under live listeners and streams. */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { splitAddress } from '../../src/peer/dialer.ts';
import {
  CERTIFICATE_TIMES,
  CertificateWatch,
  certificateWarnings,
  createAuthority,
  issueNode,
  type TlsMaterial,
} from '../../src/peer/index.ts';
import { shortLived, testAuthority, testTls } from '../support/pki.ts';
import { A, B, CLUSTER, closeAll, connect, heartbeat, linkTo, startNode } from './harness.ts';

const DAY_MS = 86_400_000;
let directory: string;
let wallMs: number;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-certificates-'));
  wallMs = Date.now();
});
afterEach(async () => {
  rmSync(directory, { recursive: true, force: true });
  await closeAll();
});

const paths = () => ({
  ca: join(directory, 'ca.pem'),
  cert: join(directory, 'a.pem'),
  key: join(directory, 'a.key'),
});

function put({ ca, cert, key }: Partial<TlsMaterial>): void {
  if (ca !== undefined) writeFileSync(paths().ca, ca);
  if (cert !== undefined) writeFileSync(paths().cert, cert);
  if (key !== undefined) writeFileSync(paths().key, key);
}

/** A new one of the same authority each time. */
async function fresh(node = 'a', cluster = CLUSTER): Promise<TlsMaterial> {
  const authority = await testAuthority(cluster);
  const { certificate, key } = await issueNode(authority, node, {});
  return { ca: authority.certificate, cert: certificate, key };
}

async function watching(tls: TlsMaterial) {
  put(tls);
  const lines: { readonly level: string; readonly event: unknown; readonly text: string }[] = [];
  const renewed: TlsMaterial[] = [];
  const note = (level: string) => (fields: Record<string, unknown>, text: string) =>
    void lines.push({ level, event: fields.event, text });
  const watch = new CertificateWatch({
    paths: paths(),
    tls,
    expected: { cluster: CLUSTER, node: A },
    clock: { ...systemClock, wallMs: () => wallMs },
    logger: { info: note('info'), warn: note('warn'), error: note('error') },
    onRenewed: (one) => void renewed.push(one),
  });
  return { watch, lines, renewed, events: () => lines.map(({ event }) => event) };
}

describe('the files', () => {
  test('good ones are taken at the next look, also where a link is swapped', async () => {
    const { watch, renewed, events } = await watching(await fresh());
    await watch.look();
    expect(renewed).toEqual([]);
    const next = await fresh();
    put(next);
    await watch.look();
    expect(renewed.map(({ cert }) => cert)).toEqual([next.cert]);
    const linked = await fresh();
    writeFileSync(join(directory, 'new.pem'), linked.cert);
    writeFileSync(join(directory, 'new.key'), linked.key);
    for (const name of ['a.pem', 'a.key']) {
      unlinkSync(join(directory, name));
      symlinkSync(join(directory, name.replace('a', 'new')), join(directory, name));
    }
    await watch.look();
    expect(watch.current.cert).toBe(linked.cert);
    expect(events()).toEqual(['certificate-renewed', 'certificate-renewed']);
  });

  const bad: readonly (readonly [string, () => Promise<Partial<TlsMaterial>>, RegExp])[] = [
    ['a key of another certificate', async () => ({ key: (await fresh()).key }), /does not belong/],
    ['the certificate of another node', () => fresh('b'), /is for quorate:\/\/alpha\/b/],
    ['the certificate of another cluster', () => fresh('a', 'beta'), /is for quorate:\/\/beta\/a/],
    ['one that has expired', () => shortLived(CLUSTER, 'a', -1000), /expired on/],
    [
      'one of an authority that is not in the file',
      async () => {
        const { certificate, key } = await issueNode(await createAuthority(CLUSTER), 'a', {});
        return { cert: certificate, key };
      },
      /was not issued by/,
    ],
    ['no certificate at all', async () => ({ cert: 'nothing' }), /no certificate in PEM/],
  ];
  test.each(bad)(
    '%s is refused aloud at the second look, and the old one stays',
    async (_what, make, why) => {
      const first = await fresh();
      const { watch, lines, renewed } = await watching(first);
      put(await make());
      await watch.look();
      expect(lines).toEqual([]); // they may be half written
      await watch.look();
      expect(lines.map(({ level, event }) => [level, event])).toEqual([['error', 'certificate-refused']]);
      expect(lines[0]?.text).toMatch(why);
      expect(watch.facts.refused).toMatch(why);
      expect(certificateWarnings(watch.facts, wallMs)[0]).toMatch(/are not used/);
      await watch.look();
      expect(lines).toHaveLength(1);
      wallMs += CERTIFICATE_TIMES.repeatMs;
      await watch.look();
      expect(lines.length).toBeGreaterThan(1); // as long as it lasts, once a day
      expect(renewed).toEqual([]);
      expect(watch.current).toBe(first);
      put(first);
      await watch.look();
      expect(watch.facts.refused).toBeNull();
    },
  );

  test('whatever stands in the files, looking never fails: a broken certificate must not end a holder', async () => {
    const { watch, renewed } = await watching(await fresh());
    const { ca, cert, key } = await fresh();
    const other = await createAuthority('beta');
    const pem = (bytes: Buffer): string =>
      `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64')}\n-----END CERTIFICATE-----\n`;
    const broken = (text: string, at: number): string => {
      const der = Buffer.from(text.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
      der[at % der.length] = (der[at % der.length] ?? 0) ^ (1 << (at % 8));
      return pem(der);
    };
    for (let at = 0; at < 700; at++) {
      if (at % 3 === 0) put({ ca, cert: broken(cert, at), key });
      else if (at % 3 === 1) put({ ca: broken(ca, at), cert, key });
      else put({ ca: other.certificate + broken(ca, at), cert, key: key.slice(0, at % key.length) });
      await watch.look();
    }
    // A flipped bit of the authority's own signature, or of a name that decides nothing, is found by nobody.
    for (const one of renewed) expect([one.cert, one.key]).toEqual([cert, key]);
  }, 60_000);

  test('what cannot be put to use is refused like what is wrong', async () => {
    const first = await fresh();
    put(first);
    const watch = new CertificateWatch({
      ...{ paths: paths(), tls: first, expected: { cluster: CLUSTER, node: A }, clock: systemClock },
      logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
      onRenewed: () => {
        throw new Error('no');
      },
    });
    put(await fresh());
    await watch.look();
    await watch.look();
    expect(watch.current).toBe(first);
    expect(watch.facts.refused).toMatch(/cannot be read: Error: no/);
  });

  test('a missing file is refused, and comes back', async () => {
    const { watch, events } = await watching(await fresh());
    renameSync(paths().key, join(directory, 'away'));
    await watch.look();
    await watch.look();
    expect(watch.facts.refused).toMatch(/does not exist/);
    renameSync(join(directory, 'away'), paths().key);
    await watch.look();
    expect(events()).toEqual(['certificate-refused', 'certificate-restored']);
  });

  test('the end is said 30 days ahead, once a day, and what was renewed in time is not', async () => {
    const { watch, lines } = await watching(await shortLived(CLUSTER, 'a', 31 * DAY_MS));
    wallMs += 0.5 * DAY_MS;
    await watch.look();
    expect([lines, certificateWarnings(watch.facts, wallMs)]).toEqual([[], []]);
    wallMs += DAY_MS;
    await watch.look();
    await watch.look();
    expect(lines.map(({ text }) => text)).toEqual(["this node's certificate ends in 29 days"]);
    expect(certificateWarnings(watch.facts, wallMs)).toEqual([
      expect.stringMatching(/^this node's certificate expires on \d{4}-\d\d-\d\d$/),
    ]);
    put(await fresh());
    await watch.look();
    wallMs += DAY_MS;
    await watch.look();
    expect(lines.map(({ level }) => level)).toEqual(['warn', 'info']);
  });

  test('by itself it looks again and again', async () => {
    const { watch, renewed } = await watching(await fresh());
    const timers: (() => void)[] = [];
    const next = await fresh();
    const started = new CertificateWatch({
      paths: paths(),
      tls: watch.current,
      expected: { cluster: CLUSTER, node: A },
      clock: {
        ...systemClock,
        after: (ms, act) => {
          if (ms === CERTIFICATE_TIMES.lookEveryMs) timers.push(act);
          return { cancel: () => undefined };
        },
      },
      logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
      onRenewed: (one) => void renewed.push(one),
    });
    started.start();
    put(next);
    for (let turn = 0; turn < 3; turn++) {
      expect(timers).toHaveLength(1);
      timers.shift()?.();
      await expect.poll(() => timers.length).toBe(1);
    }
    expect(renewed.map(({ cert }) => cert)).toEqual([next.cert]);
    started.end();
  });
});

/** What a server shows to a client that comes now. */
async function shownBy(address: string, tls: TlsMaterial): Promise<X509Certificate> {
  const { host, port } = splitAddress(address);
  const { ca, cert, key } = tls;
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connectTls(
      { host, port, ca, cert, key, ALPNProtocols: ['h2'], checkServerIdentity: () => undefined },
      () => {
        const shown = socket.getPeerX509Certificate();
        socket.destroy();
        if (shown === undefined) reject(new Error('no certificate'));
        else resolve(shown);
      },
    );
    socket.on('error', reject);
  });
}

describe('between live agents', () => {
  test('streams go on, and connections that are made later use the new one, on both sides', async () => {
    const [a, b] = [await startNode(A), await startNode(B)];
    await connect(a, b);
    const changes = a.links.items.length + b.links.items.length;
    const next = await fresh();
    a.transport.replaceTls(next);
    for (let seq = 1; seq <= 20; seq++) {
      a.transport.send(heartbeat(A, B, seq));
      await b.inbox.find((message) => message.kind === 'heartbeat' && message.seq === seq);
    }
    expect(a.links.items.length + b.links.items.length).toBe(changes);
    const shown = await shownBy(a.address, await testTls(CLUSTER, 'b'));
    expect(shown.serialNumber).toBe(new X509Certificate(next.cert).serialNumber);
  });

  test('a certificate of a few seconds ends: its node cannot come back, until it is renewed', async () => {
    const shortTls = await shortLived(CLUSTER, 'a', 3_000);
    const endsAt = Date.parse(new X509Certificate(shortTls.cert).validTo) + 1_000;
    const [a, b] = [await startNode(A, { tls: shortTls }), await startNode(B)];
    await connect(a, b);
    await expect.poll(() => Date.now() > endsAt, { timeout: 10_000 }).toBe(true);
    // What stands goes on.
    a.transport.send(heartbeat(A, B, 77));
    await b.inbox.find((message) => message.kind === 'heartbeat' && message.seq === 77);
    // What is made anew does not: it is dialled again after this.
    const from = a.links.items.length;
    a.transport.setPeers(new Map());
    a.transport.setPeers(new Map([[B, b.address]]));
    await a.log.find((line) => /does not accept this node's certificate|does not answer/.test(line));
    expect(a.transport.isUp(B)).toBe(false);
    a.transport.replaceTls(await fresh());
    await linkTo(a, B, true, from);
    expect((await shownBy(a.address, await testTls(CLUSTER, 'b'))).subject).toBe('CN=a');
  }, 30_000);

  test('another authority: both trusted first, then each certificate, then the old one taken out', async () => {
    const old = await testAuthority(CLUSTER);
    const young = await createAuthority(CLUSTER);
    const [a, b] = [await startNode(A), await startNode(B)];
    await connect(a, b);
    const both = old.certificate + young.certificate;
    const by = async (authority: typeof old, node: string, ca: string): Promise<TlsMaterial> => {
      const { certificate, key } = await issueNode(authority, node, {});
      return { ca, cert: certificate, key };
    };
    const redial = async (): Promise<void> => {
      const [fromA, fromB] = [a.links.items.length, b.links.items.length];
      a.transport.setPeers(new Map());
      b.transport.setPeers(new Map());
      a.transport.setPeers(new Map([[B, b.address]]));
      b.transport.setPeers(new Map([[A, a.address]]));
      await Promise.all([linkTo(a, B, true, fromA), linkTo(b, A, true, fromB)]);
    };
    a.transport.replaceTls(await by(old, 'a', both));
    b.transport.replaceTls(await by(old, 'b', both));
    await redial();
    a.transport.replaceTls(await by(young, 'a', both));
    await redial();
    b.transport.replaceTls(await by(young, 'b', both));
    await redial();
    a.transport.replaceTls(await by(young, 'a', young.certificate));
    b.transport.replaceTls(await by(young, 'b', young.certificate));
    await redial();
    const stranger = await startNode(B, { tls: await by(old, 'b', both) });
    stranger.transport.setPeers(new Map([[A, a.address]]));
    await stranger.log.find((line) => /does not accept this node's certificate|does not answer/.test(line));
    expect(stranger.transport.isUp(A)).toBe(false);
  }, 30_000);
});
