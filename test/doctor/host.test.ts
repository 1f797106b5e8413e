/** Disk and network: judged on made-up hosts, and measured on this one. */
import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { diskCheck } from '../../src/doctor/disk.ts';
import { networkCheck } from '../../src/doctor/network.ts';
import { systemFiles, systemHost, systemNetwork } from '../../src/doctor/system.ts';
import {
  brief,
  configHolding,
  configOf,
  configWith,
  contextOf,
  directory,
  type FakeHost,
  one,
} from './support.ts';

const dataDir = join(directory, 'state');
const signal = new AbortController().signal;

describe('disk', () => {
  const disk = (fake: FakeHost) => diskCheck.run(contextOf({ kinds: { [dataDir]: 'directory' }, ...fake }));

  it.each([
    [[1, 2, 3], 'ok'],
    [[1, 1, 101], 'warning'],
    [[1, 1, 601], 'failed'],
    [[], 'unknown'],
    [new Error('EROFS: read-only file system'), 'failed'],
  ])('syncs of %j ms: %s', async (syncs, result) => {
    expect(one(await disk({ syncs }), 'sync').result).toBe(result);
  });

  it.each([
    [10e9, 'ok'],
    [400e6, 'warning'],
    [10e6, 'failed'],
  ])('%d bytes free: %s', async (freeBytes, result) => {
    expect(one(await disk({ syncs: [1], freeBytes }), 'free space').result).toBe(result);
  });

  it('fails without a data directory', async () => {
    expect(brief(await diskCheck.run(contextOf()))).toEqual(['failed data_dir']);
    expect(brief(await diskCheck.run(contextOf({ kinds: { [dataDir]: 'file' } })))).toEqual([
      'failed data_dir',
    ]);
  });
});

describe('interfaces', () => {
  const none = configOf().members.filter(({ id }) => id === 'a');
  const network = (fake: FakeHost, config = configOf()) =>
    networkCheck.run(contextOf(fake, { config: { ...config, members: none } }));

  it('the peer address must be on one that is up', async () => {
    expect(one(await network({}), 'peer interface')).toMatchObject({
      result: 'ok',
      detail: '10.0.1.10 is on eth0',
    });
    const config = configWith('10.0.1.10:7400', '10.0.1.99:7400');
    const members = config.members.filter(({ id }) => id === 'a');
    const findings = await networkCheck.run(contextOf({}, { config: { ...config, members } }));
    expect(one(findings, 'peer interface').result).toBe('failed');
  });

  it('a port is there or not, up or down', async () => {
    const port = configHolding('name: port2, kind: port, interface: eth1, addresses: [10.0.9.10/24]');
    const files = { '/sys/class/net/eth0/operstate': 'up\n', '/sys/class/net/eth1/operstate': 'down\n' };
    expect(one(await network({ files }, port), 'port port2')).toMatchObject({
      result: 'ok',
      detail: 'eth1 is there, and down',
    });
    const other = { '/sys/class/net/eth0/operstate': 'up\n' };
    expect(one(await network({ files: other }, port), 'port port2').result).toBe('failed');
    expect(one(await network({}, port), 'port port2').result).toBe('unknown');
  });

  it('a port that is the replication link cuts it', async () => {
    const port = configHolding('name: port2, kind: port, interface: eth0, addresses: [10.0.9.10/24]');
    expect(one(await network({}, port), 'peer interface').result).toBe('warning');
  });
});

describe('peers', () => {
  it.each([
    [
      'connected',
      { kind: 'connected', ms: 3, localAddress: '10.0.1.10', remoteAddress: '203.0.113.5' },
      'ok',
    ],
    [
      'slow',
      { kind: 'connected', ms: 130, localAddress: '10.0.1.10', remoteAddress: '203.0.113.5' },
      'warning',
    ],
    ['refused', { kind: 'refused' }, 'failed'],
    ['silent', { kind: 'failed', why: 'no answer within 1000 ms' }, 'failed'],
  ] as const)('%s', async (_what, answer, result) => {
    const findings = await networkCheck.run(contextOf({ reach: () => answer }));
    expect(one(findings, 'peer b').result).toBe(result);
    expect(one(findings, 'peer w').result).toBe(result);
  });

  it('one that answers only now and then has failed', async () => {
    let count = 0;
    const findings = await networkCheck.run(
      contextOf({
        reach: () =>
          ++count < 4
            ? { kind: 'connected', ms: 1, localAddress: '10.0.1.10', remoteAddress: '203.0.113.5' }
            : { kind: 'failed', why: 'reset' },
      }),
    );
    expect(one(findings, 'peer b')).toMatchObject({ result: 'failed' });
    expect(one(findings, 'peer b').detail).toContain('after 3 that worked');
  });
});

describe('this host', () => {
  let place = '';
  let server: Server;
  let port = 0;
  beforeAll(async () => {
    place = mkdtempSync(join(tmpdir(), 'quorate-doctor-'));
    writeFileSync(join(place, 'file'), 'x'.repeat(100));
    symlinkSync('file', join(place, 'link'));
    server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address !== null && typeof address === 'object') port = address.port;
  });
  afterAll(() => {
    server.close();
    rmSync(place, { recursive: true });
  });

  it('times its syncs and leaves nothing behind', async () => {
    const before = readdirSync(place);
    const ms = await systemFiles.timeSyncs(place, 5, 4096, signal);
    expect(ms).toHaveLength(5);
    expect(ms.every((one) => one > 0)).toBe(true);
    expect(readdirSync(place)).toEqual(before);
    expect(await systemFiles.timeSyncs(place, 5, 4096, AbortSignal.abort())).toEqual([]);
    await expect(systemFiles.timeSyncs(join(place, 'none'), 5, 4096, signal)).rejects.toThrow('ENOENT');
  });

  it('says of files what they are', async () => {
    const kinds = await Promise.all(
      [place, join(place, 'link'), '/dev/null', join(place, 'none')].map(systemFiles.kindOf),
    );
    expect(kinds).toEqual(['directory', 'file', 'character', null]);
    expect(await systemFiles.target(join(place, 'link'))).toBe('file');
    expect(await systemFiles.size(place)).toBeGreaterThanOrEqual(100);
    expect(await systemFiles.size(join(place, 'none'))).toBeNull();
    expect(await systemFiles.read('/proc/uptime')).toMatch(/^\d+\.\d\d /);
    expect(await systemFiles.read(place)).toBeNull();
    expect(await systemFiles.list(place)).toEqual(['file', 'link']);
    expect(await systemFiles.freeBytes(place)).toBeGreaterThan(0);
  });

  it('knows its interfaces and its boot clock', () => {
    const host = systemHost({});
    expect(host.interfaces().some(({ addresses }) => addresses.includes('127.0.0.1'))).toBe(true);
    expect(host.bootMs()).toBeGreaterThan(0);
  });

  const { connect } = systemNetwork(configOf().tls);
  it('connects, is refused, and cannot leave from an address that is not here', async () => {
    const to = { host: '127.0.0.1', port, localAddress: null };
    expect(await connect(to, 5000, signal)).toEqual({
      kind: 'connected',
      ms: expect.any(Number),
      localAddress: '127.0.0.1',
      remoteAddress: '127.0.0.1',
    });
    expect(await connect({ ...to, localAddress: '127.0.0.9' }, 5000, signal)).toMatchObject({
      localAddress: '127.0.0.9',
    });
    expect(await connect({ ...to, port: 1 }, 5000, signal)).toEqual({ kind: 'refused' });
    expect(await connect({ ...to, localAddress: '192.0.2.99' }, 5000, signal)).toEqual({
      kind: 'no-local-address',
    });
    expect(await connect(to, 5000, AbortSignal.abort())).toMatchObject({ kind: 'failed' });
  });
});
