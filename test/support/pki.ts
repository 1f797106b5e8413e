/** Certificates for tests: real ones, made once per cluster name and kept for the process. */
import { webcrypto } from 'node:crypto';
import { nodeId } from '../../src/core/index.ts';
import {
  createAuthority,
  identityUri,
  issueNode,
  type KeyPairPem,
  type TlsMaterial,
} from '../../src/peer/index.ts';

const authorities = new Map<string, Promise<KeyPairPem>>();
const nodes = new Map<string, Promise<TlsMaterial>>();

/** The authority of a test cluster; the same one for the same name. */
export function testAuthority(cluster: string): Promise<KeyPairPem> {
  const made = authorities.get(cluster) ?? createAuthority(cluster);
  authorities.set(cluster, made);
  return made;
}

/** TLS material of one node of a test cluster. */
export function testTls(cluster: string, node: string): Promise<TlsMaterial> {
  const name = `${cluster}/${node}`;
  const made = nodes.get(name) ?? makeTls(cluster, node);
  nodes.set(name, made);
  return made;
}

async function makeTls(cluster: string, node: string): Promise<TlsMaterial> {
  const authority = await testAuthority(cluster);
  const issued = await issueNode(authority, nodeId(node), { hosts: ['127.0.0.1'] });
  return { ca: authority.certificate, cert: issued.certificate, key: issued.key };
}

/** Of `node`, good for `ms` from now on only: `quorate pki` counts in days. */
export async function shortLived(cluster: string, node: string, ms: number): Promise<TlsMaterial> {
  const authority = await testAuthority(cluster);
  const x509 = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const der = Buffer.from(authority.key.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: '4001',
    subject: `CN=${node}`,
    issuer: new x509.X509Certificate(authority.certificate).subject,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + ms),
    publicKey: keys.publicKey,
    signingKey: await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.clientAuth,
        x509.ExtendedKeyUsage.serverAuth,
      ]),
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: identityUri({ cluster, node: nodeId(node) }) },
      ]),
    ],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`;
  return { ca: authority.certificate, cert: made.toString('pem'), key };
}
