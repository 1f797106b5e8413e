/**
 * The node's own TLS files, checked before anything listens: a wrong file must end in one sentence at start, not in
 * peers that silently refuse each other.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { identityOf, identityUri } from './identity.ts';

/** PEM texts. `files` names where they came from, for messages. */
export interface TlsMaterial {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly files?: TlsPaths;
}
export interface TlsPaths {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** More than any chain needs; a wrong path must not be read whole. */
const FILE_LIMIT_BYTES = 256 * 1024;
const CERTIFICATE_PATTERN = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const UNNAMED: TlsPaths = { ca: 'tls.ca', cert: 'tls.cert', key: 'tls.key' };

async function readPem(file: string, what: string, signal: AbortSignal | undefined): Promise<string> {
  try {
    const text = await readFile(file, { encoding: 'utf8', ...(signal && { signal }) });
    if (text.length > FILE_LIMIT_BYTES) throw new Error(`larger than ${FILE_LIMIT_BYTES} bytes`);
    return text;
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const why = isMissing ? 'does not exist' : `cannot be read: ${String(cause)}`;
    throw new QuorateError('certificate-unreadable', `${what} ${file} ${why}`, { cause, context: { file } });
  }
}

/** Reads the three files; what is in them is checked by `checkTls`. */
export async function readTls(paths: TlsPaths, signal?: AbortSignal): Promise<TlsMaterial> {
  return {
    ca: await readPem(paths.ca, 'the CA certificate', signal),
    cert: await readPem(paths.cert, 'the certificate', signal),
    key: await readPem(paths.key, 'the private key', signal),
    files: paths,
  };
}

/** At least one. */
export function certificatesIn(pem: string, file: string): [X509Certificate, ...X509Certificate[]] {
  try {
    const [first, ...rest] = (pem.match(CERTIFICATE_PATTERN) ?? []).map((text) => new X509Certificate(text));
    if (first !== undefined) return [first, ...rest];
  } catch (cause) {
    throw new QuorateError('certificate-unreadable', `${file} holds a certificate that cannot be read`, {
      cause,
      context: { file },
    });
  }
  throw new QuorateError('certificate-unreadable', `${file} holds no certificate in PEM`, {
    context: { file },
  });
}

function checkDates(certificate: X509Certificate, file: string, now: number): void {
  const from = Date.parse(certificate.validFrom);
  const to = Date.parse(certificate.validTo);
  if (now >= from && now <= to) return;
  const what = now < from ? 'is not valid before' : 'expired on';
  const when = new Date(now < from ? from : to).toISOString();
  throw new QuorateError('certificate-expired', `the certificate in ${file} ${what} ${when}`, {
    context: { file },
  });
}

/** Follows the issuers from the leaf through `chain` to one of `roots`; at most as many steps as there are. */
function isIssuedBy(
  leaf: X509Certificate,
  chain: readonly X509Certificate[],
  roots: readonly X509Certificate[],
) {
  const issued = (by: X509Certificate, of: X509Certificate) => of.checkIssued(by) && of.verify(by.publicKey);
  let at = leaf;
  for (let step = 0; step <= chain.length; step++) {
    const subject = at;
    if (roots.some((root) => issued(root, subject))) return true;
    const next = chain.find((link) => link !== subject && issued(link, subject));
    if (next === undefined) return false;
    at = next;
  }
  return false;
}

/**
 * Refuses material with which this node could not speak to its peers. `now` is wall-clock time in ms since 1970.
 * Returns how long the node's certificate is still valid, in ms.
 */
export function checkTls(
  tls: TlsMaterial,
  expected: { readonly cluster: string; readonly node: NodeId },
  now: number = Date.now(),
): { readonly validForMs: number } {
  const files = tls.files ?? UNNAMED;
  const roots = certificatesIn(tls.ca, files.ca);
  const [leaf, ...chain] = certificatesIn(tls.cert, files.cert);
  const wanted = identityUri(expected);
  const identity = identityOf(leaf.raw);
  const found = identity === null ? null : identityUri(identity);
  if (found !== wanted) {
    throw new QuorateError(
      'certificate-wrong-identity',
      `the certificate in ${files.cert} is for ${found ?? `nobody (its subject is ${leaf.subject})`}, but this node is ${wanted}`,
      { context: { file: files.cert, found, wanted } },
    );
  }
  checkKey(tls, leaf, files);
  for (const root of roots) checkDates(root, files.ca, now);
  checkDates(leaf, files.cert, now);
  if (!isIssuedBy(leaf, chain, roots)) {
    throw new QuorateError(
      'certificate-untrusted',
      `the certificate in ${files.cert} was not issued by the CA in ${files.ca}`,
      { context: { cert: files.cert, ca: files.ca } },
    );
  }
  return { validForMs: Date.parse(leaf.validTo) - now };
}

function checkKey(tls: TlsMaterial, leaf: X509Certificate, files: TlsPaths): void {
  let matches: boolean;
  try {
    matches = leaf.checkPrivateKey(createPrivateKey(tls.key));
  } catch (cause) {
    throw new QuorateError('certificate-unreadable', `${files.key} holds no private key that can be used`, {
      cause,
      context: { file: files.key },
    });
  }
  if (!matches) {
    throw new QuorateError(
      'certificate-key-mismatch',
      `the key in ${files.key} does not belong to the certificate in ${files.cert}`,
      { context: { key: files.key, cert: files.cert } },
    );
  }
  // What OpenSSL itself would refuse (an algorithm, a broken chain), found here rather than at the first dial.
  try {
    createSecureContext({ ca: tls.ca, cert: tls.cert, key: tls.key });
  } catch (cause) {
    throw new QuorateError('certificate-unreadable', `TLS refuses ${files.cert}: ${String(cause)}`, {
      cause,
    });
  }
}
