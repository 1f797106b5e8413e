import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { registerPki } from '../../src/cli/pki.ts';
import { nodeId } from '../../src/core/index.ts';
import {
  authorityCluster,
  checkTls,
  createAuthority,
  identityOf,
  issueClient,
  issueNode,
  readTls,
} from '../../src/peer/index.ts';
import { provideReflection } from '../../src/peer/reflection.ts';
import { testAuthority, testTls } from '../support/pki.ts';

const A = nodeId('a');
const alphaA = { cluster: 'alpha', node: A };
const DAY_MS = 86_400_000;

/** A self-signed certificate with any alternative names; nothing that `quorate pki` would make. */
async function certificateNamed(...names: { type: 'url' | 'dns'; value: string }[]): Promise<string> {
  provideReflection();
  const x509 = await import('@peculiar/x509');
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=a',
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [new x509.SubjectAlternativeNameExtension(names)],
  });
  return certificate.toString('pem');
}

describe('the identity in a certificate', () => {
  test('of a node and of an operator, in PEM and in DER', async () => {
    const authority = await testAuthority('alpha');
    const node = await issueNode(authority, 'a', { hosts: ['10.0.1.10', 'nas-a.example', '::1'] });
    const client = await issueClient(authority, 'operator', 'maria@example.com');
    expect(identityOf(node.certificate)).toEqual(alphaA);
    expect(identityOf(new X509Certificate(node.certificate).raw)).toEqual(alphaA);
    expect(identityOf(client.certificate)).toEqual({
      cluster: 'alpha',
      client: { role: 'operator', name: 'maria@example.com' },
    });
    expect(new X509Certificate(node.certificate).checkHost('nas-a.example')).toBe('nas-a.example');
    expect(new X509Certificate(node.certificate).checkIP('10.0.1.10')).toBe('10.0.1.10');
  });

  test('an authority has none, but names its cluster', async () => {
    const { certificate } = await testAuthority('alpha');
    expect(identityOf(certificate)).toBeNull();
    expect(authorityCluster(certificate)).toBe('alpha');
    expect(authorityCluster((await testTls('alpha', 'a')).cert)).toBeNull();
  });

  test.each([
    ['none', []],
    ['two', ['quorate://alpha/a', 'quorate://alpha/b']],
    ['twice the same', ['quorate://alpha/a', 'quorate://alpha/a']],
    ['an invalid node id', ['quorate://alpha/-a']],
    ['an unknown role', ['quorate://alpha/client/root/eve']],
    ['a path beyond', ['quorate://alpha/a/b']],
    ['an empty cluster', ['quorate:///a']],
    ['another scheme', ['https://alpha/a']],
  ])('%s: null', async (_name, uris) => {
    const names = uris.map((value) => ({ type: 'url' as const, value }));
    const certificate = await certificateNamed(...names, { type: 'dns', value: 'a.quorate' });
    expect(identityOf(certificate)).toBeNull();
  });

  test('a DNS name that spells a URI is not one', async () => {
    for (const value of [
      'x, URI:quorate://alpha/a',
      'x, URI:quorate://alpha/a, y',
      'URI:quorate://alpha/a',
    ]) {
      expect(identityOf(await certificateNamed({ type: 'dns', value }))).toBeNull();
    }
    const both = await certificateNamed(
      { type: 'dns', value: 'x, URI:quorate://alpha/b, y' },
      { type: 'url', value: 'quorate://alpha/a' },
    );
    expect(identityOf(both)).toEqual(alphaA);
  });

  test('what is no certificate: null', () => {
    for (const text of [
      '',
      'quorate://alpha/a',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
    ])
      expect(identityOf(text)).toBeNull();
    expect(identityOf(Buffer.alloc(100))).toBeNull();
  });
});

describe('what cannot be issued', () => {
  test.each([
    ['a node id', () => issueNode(authorityOf('alpha'), '-a')],
    ['a host', () => issueNode(authorityOf('alpha'), 'a', { hosts: ['x, URI:quorate://alpha/b'] })],
    ['a role', () => issueClient(authorityOf('alpha'), 'root', 'eve')],
    ['a name', () => issueClient(authorityOf('alpha'), 'admin', 'eve/../a')],
    ['days', () => issueNode(authorityOf('alpha'), 'a', { days: 0 })],
    ['more days than the CA has', () => issueNode(authorityOf('alpha'), 'a', { days: 20_000 })],
    ['a cluster', () => createAuthority('a/b')],
    [
      'a CA that is a node',
      async () => {
        const { cert, key } = await testTls('alpha', 'a');
        return issueNode({ certificate: cert, key }, 'b');
      },
    ],
    [
      'a CA with the key of another',
      async () => {
        const [alpha, beta] = [await testAuthority('alpha'), await testAuthority('beta')];
        return issueNode({ certificate: alpha.certificate, key: beta.key }, 'b');
      },
    ],
  ])('%s', async (_name, issue) => {
    await expect(issue()).rejects.toMatchObject({ code: 'pki-invalid', exitCode: 2 });
  });
});

let authorities = new Map<string, Awaited<ReturnType<typeof createAuthority>>>();
beforeEach(async () => {
  authorities = new Map([['alpha', await testAuthority('alpha')]]);
});
function authorityOf(cluster: string) {
  const authority = authorities.get(cluster);
  if (authority === undefined) throw new Error(`no ${cluster}`);
  return authority;
}

describe('the TLS material of a node', () => {
  const files = { ca: '/etc/q/ca.pem', cert: '/etc/q/a.pem', key: '/etc/q/a.key' };

  test('right: says how long it lasts', async () => {
    const { validForMs } = checkTls(await testTls('alpha', 'a'), alphaA);
    expect(validForMs / DAY_MS).toBeCloseTo(365, 1);
  });

  test("of another node or cluster: names the file, what it is for, and this node's name", async () => {
    const ofB = { ...(await testTls('alpha', 'b')), files };
    expect(() => checkTls(ofB, alphaA)).toThrow(
      expect.objectContaining({
        code: 'certificate-wrong-identity',
        exitCode: 2,
        message:
          'the certificate in /etc/q/a.pem is for quorate://alpha/b, but this node is quorate://alpha/a',
      }),
    );
    const ofBeta = { ...(await testTls('beta', 'a')), files };
    expect(() => checkTls(ofBeta, alphaA)).toThrow(/for quorate:\/\/beta\/a, but/);
  });

  test('with the key of another certificate', async () => {
    const tls = { ...(await testTls('alpha', 'a')), key: (await testTls('alpha', 'b')).key, files };
    expect(() => checkTls(tls, alphaA)).toThrow(
      expect.objectContaining({
        code: 'certificate-key-mismatch',
        message: 'the key in /etc/q/a.key does not belong to the certificate in /etc/q/a.pem',
      }),
    );
  });

  test('not issued by the CA', async () => {
    const tls = { ...(await testTls('alpha', 'a')), ca: (await createAuthority('alpha')).certificate, files };
    expect(() => checkTls(tls, alphaA)).toThrow(expect.objectContaining({ code: 'certificate-untrusted' }));
  });

  test('expired, or not valid yet', async () => {
    const tls = { ...(await testTls('alpha', 'a')), files };
    const now = Date.now();
    expect(() => checkTls(tls, alphaA, now + 366 * DAY_MS)).toThrow(
      expect.objectContaining({
        code: 'certificate-expired',
        message: expect.stringContaining('/etc/q/a.pem expired on'),
      }),
    );
    expect(() => checkTls(tls, alphaA, now - DAY_MS)).toThrow(/is not valid before/);
  });

  test('no PEM, or a file that is not there', async () => {
    const good = await testTls('alpha', 'a');
    for (const part of ['ca', 'cert', 'key'] as const) {
      expect(() => checkTls({ ...good, [part]: 'hello', files }, alphaA)).toThrow(
        expect.objectContaining({
          code: 'certificate-unreadable',
          message: expect.stringContaining(files[part]),
        }),
      );
    }
    await expect(readTls({ ...files, ca: '/nowhere/ca.pem' })).rejects.toMatchObject({
      code: 'certificate-unreadable',
      message: 'the CA certificate /nowhere/ca.pem does not exist',
    });
  });
});

describe('quorate pki', () => {
  let directory = '';
  let printed = '';
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'quorate-pki-'));
    printed = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      printed += String(text);
      return true;
    });
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await rm(directory, { recursive: true, force: true });
  });

  async function pki(...parameters: string[]): Promise<void> {
    const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
    registerPki(program);
    await program.parseAsync(['pki', ...parameters], { from: 'user' });
  }
  const at = (name: string) => join(directory, name);
  const modeOf = async (name: string) => (await stat(at(name))).mode & 0o777;

  test('makes what an agent accepts, with keys that only their owner reads', async () => {
    await pki('init', '--cluster', 'nas-prod', '--out', directory);
    await pki('issue', '--ca', directory, '--node', 'a', '--host', '10.0.1.10', 'nas-a', '--out', directory);
    expect(await modeOf('ca.key')).toBe(0o600);
    expect(await modeOf('a.key')).toBe(0o600);
    const tls = await readTls({ ca: at('ca.pem'), cert: at('a.pem'), key: at('a.key') });
    expect(() => checkTls(tls, { cluster: 'nas-prod', node: A })).not.toThrow();
    expect(printed).toContain(`${at('a.key')}  (private key`);
    // Another implementation agrees.
    expect(
      execFileSync('openssl', ['verify', '-x509_strict', '-CAfile', at('ca.pem'), at('a.pem')], {
        encoding: 'utf8',
      }),
    ).toContain('OK');
    const ca = new X509Certificate(await readFile(at('ca.pem')));
    expect((Date.parse(ca.validTo) - Date.now()) / DAY_MS).toBeCloseTo(3652, 1);
  });

  test("makes an operator's certificate", async () => {
    await pki('init', '--cluster', 'nas-prod', '--out', directory);
    await pki(
      'issue',
      '--ca',
      directory,
      '--role',
      'viewer',
      '--name',
      'maria',
      '--days',
      '7',
      '--out',
      at('sub/dir'),
    );
    expect(identityOf(await readFile(at('sub/dir/viewer-maria.pem'), 'utf8'))).toEqual({
      cluster: 'nas-prod',
      client: { role: 'viewer', name: 'maria' },
    });
  });

  test('overwrites nothing, and leaves nothing half-made, unless forced', async () => {
    await writeFile(at('ca.key'), 'precious', { mode: 0o644 });
    await expect(pki('init', '--cluster', 'nas-prod', '--out', directory)).rejects.toMatchObject({
      code: 'file-exists',
      exitCode: 2,
      message: `${at('ca.key')} exists already`,
    });
    expect(await readFile(at('ca.key'), 'utf8')).toBe('precious');
    await expect(stat(at('ca.pem'))).rejects.toThrow('ENOENT');
    await pki('init', '--cluster', 'nas-prod', '--out', directory, '--force');
    expect(await readFile(at('ca.key'), 'utf8')).toContain('PRIVATE KEY');
    expect(await modeOf('ca.key')).toBe(0o600);
  });

  test("a node called ca cannot replace the authority's files", async () => {
    await pki('init', '--cluster', 'nas-prod', '--out', directory);
    const before = await readFile(at('ca.key'), 'utf8');
    const issue = pki('issue', '--ca', directory, '--node', 'ca', '--out', `${directory}/.`, '--force');
    await expect(issue).rejects.toMatchObject({ code: 'pki-invalid' });
    expect(await readFile(at('ca.key'), 'utf8')).toBe(before);
  });

  test.each([
    ['neither a node nor a client', []],
    ['both', ['--node', 'a', '--role', 'viewer', '--name', 'x']],
    ['a role without a name', ['--role', 'viewer']],
    ['a name without a role', ['--name', 'x']],
    ['a host for a client', ['--role', 'viewer', '--name', 'x', '--host', 'h']],
  ])('refuses %s', async (_name, parameters) => {
    await pki('init', '--cluster', 'nas-prod', '--out', directory);
    await expect(pki('issue', '--ca', directory, '--out', directory, ...parameters)).rejects.toMatchObject({
      code: 'pki-invalid',
    });
  });

  test('says where it looked for the authority', async () => {
    await expect(pki('issue', '--ca', directory, '--node', 'a', '--out', directory)).rejects.toMatchObject({
      code: 'certificate-unreadable',
      message: expect.stringContaining(at('ca.')),
    });
  });
});
