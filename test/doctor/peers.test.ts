/** Certificates and agents of real peers over mutual TLS; and what is judged of what they say. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Config, configFingerprint, type TlsFiles } from '../../src/config/index.ts';
import { durationMs, nodeId } from '../../src/core/index.ts';
import { certificatesCheck } from '../../src/doctor/certificates.ts';
import { hostContext } from '../../src/doctor/host-context.ts';
import { peersCheck, sameConfig } from '../../src/doctor/peers.ts';
import { systemNetwork } from '../../src/doctor/system.ts';
import { QuorateError } from '../../src/errors.ts';
import { createAuthority, issueNode, type NodeFacts, type TlsMaterial } from '../../src/peer/index.ts';
import { VERSION } from '../../src/version.ts';
import { A, B, closeAll, startNode } from '../peer/harness.ts';
import { testAuthority, testTls } from '../support/pki.ts';
import { configHolding, configOf, contextOf, one } from './support.ts';

const CLUSTER = 'nas-prod';
let place = '';
let tls: TlsFiles;
beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), 'quorate-doctor-'));
  tls = write('a', await testTls(CLUSTER, 'a'));
});
afterAll(() => rmSync(place, { recursive: true }));
afterEach(closeAll);

function write(name: string, { ca, cert, key }: TlsMaterial): TlsFiles {
  const files = {
    ca: join(place, `${name}-ca.pem`),
    cert: join(place, `${name}.pem`),
    key: join(place, `${name}.key`),
  };
  writeFileSync(files.ca, ca);
  writeFileSync(files.cert, cert);
  writeFileSync(files.key, key);
  return files;
}

/** Two members; b listens on `address`. */
function configAt(address: string, files: TlsFiles = tls): Config {
  const config = configOf();
  const members = config.members
    .filter(({ id }) => id !== 'w')
    .map((member) => (member.id === 'b' ? { ...member, peer: address } : member));
  return { ...config, members, tls: files };
}

/** This host for everything but files and commands. */
function contextAt(config: Config) {
  const { askFacts } = hostContext({ ...contextOf(), config });
  const network = systemNetwork(config.tls);
  return contextOf({}, { config, askFacts, network });
}
const factsOf = (config: Config, change: Partial<NodeFacts> = {}): NodeFacts => ({
  node: B,
  version: VERSION,
  nodeVersion: '20.19.0',
  config: configFingerprint(config),
  wallMs: Date.now(),
  fitness: null,
  hostId: null,
  ...change,
});

async function startPeer(facts?: () => NodeFacts, material?: TlsMaterial): Promise<string> {
  const node = await startNode(B, {
    cluster: CLUSTER,
    ...(facts === undefined ? {} : { facts }),
    ...(material === undefined ? {} : { tls: material }),
  });
  node.transport.setPeers(new Map([[A, '127.0.0.1:1']]));
  return node.address;
}

describe('certificates', () => {
  const issued = async (days: number): Promise<TlsMaterial> => {
    const authority = await createAuthority(CLUSTER);
    const { certificate, key } = await issueNode(authority, A, { days });
    return { ca: authority.certificate, cert: certificate, key };
  };
  const own = async (material: TlsMaterial, atMs: number) => {
    const config = configAt('127.0.0.1:1', write('own', material));
    const context = contextAt(config);
    const clock = { ...context.clock, wallMs: () => atMs };
    return one(await certificatesCheck.run({ ...context, clock }), 'own');
  };

  it("the own one: valid, soon to end, ended, somebody else's", async () => {
    const material = await issued(40);
    const day = 86_400_000;
    expect((await own(material, Date.now())).result).toBe('ok');
    expect(await own(material, Date.now() + 20 * day)).toMatchObject({ result: 'warning' });
    expect(await own(material, Date.now() + 41 * day)).toMatchObject({ result: 'failed' });
    expect(await own(await testTls(CLUSTER, 'b'), Date.now())).toMatchObject({ result: 'failed' });
  });

  const ofPeer = async (address: string, files?: TlsFiles) => {
    const context = contextAt(configAt(address, files));
    const clock = { ...context.clock, wallMs: () => Date.now() };
    return one(await certificatesCheck.run({ ...context, clock }), 'peer b');
  };

  it("a peer's: of this cluster, and for how long", async () => {
    const finding = await ofPeer(await startPeer());
    expect(finding).toMatchObject({ result: 'ok' });
    expect(finding.detail).toMatch(/valid for 36[45] days/);
  });

  it("a peer's that ends soon", async () => {
    const authority = await testAuthority(CLUSTER);
    const pair = await issueNode(authority, B, { days: 5 });
    const material = { ca: authority.certificate, cert: pair.certificate, key: pair.key };
    expect(await ofPeer(await startPeer(undefined, material))).toMatchObject({ result: 'warning' });
  });

  it('of another node than the one expected there', async () => {
    const node = await startNode(nodeId('c'), { cluster: CLUSTER });
    expect(await ofPeer(node.address)).toMatchObject({
      result: 'failed',
      detail: expect.stringContaining('nas-prod/c'),
    });
  });

  it('of another authority', async () => {
    const files = write('stranger', await issued(30));
    expect(await ofPeer(await startPeer(), files)).toMatchObject({ result: 'failed' });
  });

  it('nobody there, or nobody who speaks TLS: unknown, or said', async () => {
    expect(await ofPeer('127.0.0.1:1')).toMatchObject({ result: 'unknown' });
    const server: Server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    expect(await ofPeer(`127.0.0.1:${port}`)).toMatchObject({ result: 'unknown' });
    server.close();
  });
});

describe('agents', () => {
  const look = (config: Config) => peersCheck.run(contextAt(config));

  it('of the same version and config', async () => {
    let config = configAt('127.0.0.1:1');
    const address = await startPeer(() => factsOf(config));
    config = configAt(address);
    const findings = await look(config);
    expect(findings.map(({ result, subject }) => `${result} ${subject}`)).toEqual([
      expect.stringMatching(/^(ok|warning) agent b$/),
      'ok version of b',
      'ok config of b',
      'ok wall clock of b',
    ]);
    expect(one(findings, 'agent b').measured).toEqual({
      kind: 'round-trips',
      over: 'agent',
      ms: Array.from({ length: 10 }, () => expect.any(Number)),
    });
  });

  it.each([
    ['10\n', 'b', 'ok'],
    ['11\n', 'b', 'failed'],
    ['0\n', 'b', 'unknown'],
    [undefined, 'b', 'unknown'],
    ['10\n', null, 'unknown'],
  ])('with a pool, host id %j here and %j there: %s', async (here, hostId, result) => {
    const pool = 'name: tank, kind: zfs-pool, pool: tank, devices: /dev/vdb';
    const { resources } = configHolding(pool);
    const config = { ...configAt('127.0.0.1:1'), resources };
    const facts = factsOf(config, { hostId });
    const askFacts = async () => [{ facts, roundTripMs: 1, askedAtMs: Date.now() }];
    const files = here === undefined ? {} : { '/sys/module/spl/parameters/spl_hostid': here };
    const findings = await peersCheck.run(contextOf({ files }, { config, askFacts }));
    expect(one(findings, 'host id of b').result).toBe(result);
  });

  it('of another version, config and time', async () => {
    let config = configAt('127.0.0.1:1');
    const address = await startPeer(() =>
      factsOf({ ...config, cluster: 'nas-test' }, { version: '0.0.9', wallMs: Date.now() + 60_000 }),
    );
    config = configAt(address);
    const findings = await look(config);
    expect(one(findings, 'version of b').result).toBe('warning');
    expect(one(findings, 'config of b')).toMatchObject({
      result: 'failed',
      detail: expect.stringContaining('"cluster"'),
    });
    expect(one(findings, 'wall clock of b')).toMatchObject({ result: 'warning' });
    expect(one(findings, 'wall clock of b').detail).toMatch(/^(59|60)\d{3} ms ahead/);
  });

  it('that does not know the question, or is not there: unknown', async () => {
    expect(one(await look(configAt(await startPeer())), 'agent b').result).toBe('unknown');
    expect(one(await look(configAt('127.0.0.1:1')), 'agent b').result).toBe('unknown');
  });

  it('alone', async () => {
    const config = configOf();
    const members = config.members.filter(({ id }) => id === 'a');
    expect(one(await peersCheck.run(contextOf({}, { config: { ...config, members } })), 'peers').result).toBe(
      'skipped',
    );
  });

  it('an error that is none of the transport is not hidden', async () => {
    const broken = contextOf({}, { askFacts: () => Promise.reject(new TypeError('a bug')) });
    await expect(peersCheck.run(broken)).rejects.toThrow('a bug');
    const refused = contextOf({}, { askFacts: () => Promise.reject(new QuorateError('peer-refused', 'no')) });
    expect(one(await peersCheck.run(refused), 'agent b').result).toBe('unknown');
  });
});

describe('the same config', () => {
  const config = configOf();
  const own = configFingerprint(config);
  const [b, w] = [
    { id: nodeId('b'), witness: false },
    { id: nodeId('w'), witness: true },
  ];
  const differing = (change: Partial<Config>) => configFingerprint({ ...config, ...change });
  const result = (peer: typeof b, theirs: Readonly<Record<string, string>>, asNode = config) =>
    sameConfig({ config: asNode }, peer, own, theirs)[0]?.result;

  it.each([
    ['everything', own, 'ok'],
    ['other resources', differing({ resources: [] }), 'failed'],
    ['other fencing', differing({ fencing: { ...config.fencing, ec2Stop: 'off' } }), 'failed'],
    [
      'L8: another timing counts at the next bootstrap only',
      differing({ timing: { ...config.timing, leaseMs: durationMs(700) } }),
      'warning',
    ],
    [
      'other addresses may be right',
      differing({ members: config.members.map((one) => ({ ...one, peer: '10.9.9.9:1' })) }),
      'warning',
    ],
    [
      'a part unsaid',
      Object.fromEntries(Object.entries(own).filter(([part]) => part !== 'fencing')),
      'unknown',
    ],
    ['nothing said', {}, 'unknown'],
  ])('%s: %s', (_what, theirs, expected) => {
    expect(result(b, theirs)).toBe(expected);
  });

  it('W1: a witness need not have what it never holds', () => {
    const theirs = differing({ resources: [], watchdog: { ...config.watchdog, mode: 'off' } });
    expect(result(w, theirs)).toBe('ok');
    expect(result(b, theirs)).toBe('failed');
    expect(result(b, theirs, configOf(undefined, 'w'))).toBe('ok');
    expect(result(w, differing({ cluster: 'other' }))).toBe('failed');
  });
});
