/**
 * Certificates for a cluster: one authority, a certificate per node (agent and executor share it), certificates for
 * operators. EC P-256 throughout. All functions return PEM texts; the command `quorate pki` writes the files.
 */
import { randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import type { JsonGeneralNames } from '@peculiar/x509';
import { nodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import {
  authorityCluster,
  authorityUri,
  CLIENT_ROLES,
  type Identity,
  identityUri,
  isClientName,
  isClientRole,
  isClusterName,
  serverNameOf,
} from './identity.ts';
import { provideReflection } from './reflection.ts';

export interface KeyPairPem {
  readonly certificate: string;
  readonly key: string;
}

export const AUTHORITY_DAYS = 3652;
export const CERTIFICATE_DAYS = 365;
const DAYS_LIMIT = 36_500;
const HOSTS_LIMIT = 32;
const DAY_MS = 86_400_000;
/** A certificate is valid from an hour before it was made: another host's clock may be behind. */
const BACKDATE_MS = 3_600_000;
const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNING_ALGORITHM = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** Loaded on first use: an agent only reads certificates, and node:crypto does that. */
async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  provideReflection();
  return import('@peculiar/x509');
}

const invalid = (message: string) => new QuorateError('pki-invalid', message);

function validity(days: number): { notBefore: Date; notAfter: Date } {
  if (!Number.isInteger(days) || days < 1 || days > DAYS_LIMIT) {
    throw invalid(`a certificate lasts 1 to ${DAYS_LIMIT} whole days, not ${days}`);
  }
  const now = Date.now();
  return { notBefore: new Date(now - BACKDATE_MS), notAfter: new Date(now + days * DAY_MS) };
}

/** 16 random bytes with the first bit 0: positive, and unique without a register. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
}

async function keyPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${der.replaceAll(/(.{64})(?=.)/g, '$1\n')}\n-----END PRIVATE KEY-----\n`;
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const base64 = /-----BEGIN PRIVATE KEY-----([^-]+)-----END PRIVATE KEY-----/.exec(pem)?.[1];
  if (base64 === undefined) throw invalid('the CA key is not a PKCS#8 private key in PEM');
  try {
    return await webcrypto.subtle.importKey('pkcs8', Buffer.from(base64, 'base64'), KEY_ALGORITHM, false, [
      'sign',
    ]);
  } catch (cause) {
    throw new QuorateError('pki-invalid', 'the CA key is not an EC P-256 private key', { cause });
  }
}

/** A new certificate authority for a cluster. Its key signs identities: it belongs on no node. */
export async function createAuthority(
  cluster: string,
  options: { readonly days?: number } = {},
): Promise<KeyPairPem> {
  if (!isClusterName(cluster)) {
    throw invalid(
      `a cluster name is 1 to 63 letters, digits and inner ". _ -", not ${JSON.stringify(cluster)}`,
    );
  }
  const x509 = await loadX509();
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    // As a structure, not as text: in text a "," or "=" would need escaping.
    name: [{ CN: [`Quorate CA of ${cluster}`] }],
    ...validity(options.days ?? AUTHORITY_DAYS),
    keys,
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: authorityUri(cluster) }]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: `${certificate.toString('pem')}\n`, key: await keyPem(keys.privateKey) };
}

async function issue(
  authority: KeyPairPem,
  identityIn: (cluster: string) => Identity,
  names: JsonGeneralNames,
  days: number,
): Promise<KeyPairPem> {
  const cluster = authorityCluster(authority.certificate);
  if (cluster === null) throw invalid('the CA certificate is not one of `quorate pki init`');
  const x509 = await loadX509();
  const issuer = new x509.X509Certificate(authority.certificate);
  const lifetime = validity(days);
  if (lifetime.notAfter > issuer.notAfter) {
    throw invalid(
      `the CA ends on ${issuer.notAfter.toISOString().slice(0, 10)}, before ${days} days are over`,
    );
  }
  const identity = identityIn(cluster);
  const keys = await newKeys();
  const usages: string[] = [x509.ExtendedKeyUsage.clientAuth];
  if ('node' in identity) usages.unshift(x509.ExtendedKeyUsage.serverAuth);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ CN: ['node' in identity ? identity.node : identity.client.name] }],
    issuer: issuer.subjectName.toJSON(),
    ...lifetime,
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.key),
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: identityUri(identity) }, ...names]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  if (!(await certificate.verify({ publicKey: issuer.publicKey, signatureOnly: true }))) {
    throw invalid('the CA key does not belong to the CA certificate');
  }
  return { certificate: `${certificate.toString('pem')}\n`, key: await keyPem(keys.privateKey) };
}

/** A host name or IP address as a subject alternative name. */
function hostName(host: string): JsonGeneralNames[number] {
  if (isIP(host) !== 0) return { type: 'ip', value: host };
  if (host.length > 253 || !/^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(host)) {
    throw invalid(`${JSON.stringify(host)} is neither a host name nor an IP address`);
  }
  return { type: 'dns', value: host };
}

/**
 * The certificate of a node, for its agent and executor, as server and as client. `hosts` (names, addresses) are for
 * other programs that look at them; between agents the identity alone counts.
 */
export async function issueNode(
  authority: KeyPairPem,
  node: string,
  options: { readonly hosts?: readonly string[]; readonly days?: number } = {},
): Promise<KeyPairPem> {
  const hosts = options.hosts ?? [];
  if (hosts.length > HOSTS_LIMIT) throw invalid(`at most ${HOSTS_LIMIT} hosts`);
  let id: ReturnType<typeof nodeId>;
  try {
    id = nodeId(node);
  } catch (cause) {
    throw new QuorateError('pki-invalid', (cause as RangeError).message, { cause });
  }
  const names: JsonGeneralNames = [{ type: 'dns', value: serverNameOf(id) }, ...hosts.map(hostName)];
  return issue(authority, (cluster) => ({ cluster, node: id }), names, options.days ?? CERTIFICATE_DAYS);
}

/** The certificate of a person or program that uses the admin interface with `role`. */
export async function issueClient(
  authority: KeyPairPem,
  role: string,
  name: string,
  options: { readonly days?: number } = {},
): Promise<KeyPairPem> {
  if (!isClientRole(role)) {
    throw invalid(`a role is ${CLIENT_ROLES.join(', ')}, not ${JSON.stringify(role)}`);
  }
  if (!isClientName(name)) {
    throw invalid(
      `a client's name is 1 to 63 letters, digits and inner ". _ @ -", not ${JSON.stringify(name)}`,
    );
  }
  return issue(
    authority,
    (cluster) => ({ cluster, client: { role, name } }),
    [],
    options.days ?? CERTIFICATE_DAYS,
  );
}
