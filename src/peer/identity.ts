/**
 * Who a certificate speaks for. The identity is one URI in the subject alternative names:
 * `quorate://<cluster>/<node>` for an agent and its executor, `quorate://<cluster>/client/<role>/<name>` for an
 * operator. The subject's common name is only for people and decides nothing.
 */
import { X509Certificate } from 'node:crypto';
import { type NodeId, nodeId } from '../core/index.ts';

export const CLIENT_ROLES = ['viewer', 'operator', 'admin'] as const;
export type ClientRole = (typeof CLIENT_ROLES)[number];

export interface NodeIdentity {
  readonly cluster: string;
  readonly node: NodeId;
}
export interface ClientIdentity {
  readonly cluster: string;
  readonly client: { readonly role: ClientRole; readonly name: string };
}
export type Identity = NodeIdentity | ClientIdentity;

const SCHEME = 'quorate://';
/** Letters, digits and inner `. _ -`: what a URI, a file name and a log line can hold unescaped. */
const CLUSTER_PATTERN = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const CLIENT_NAME_PATTERN = /^[A-Za-z0-9]([A-Za-z0-9._@-]{0,61}[A-Za-z0-9])?$/;

export const isClusterName = (value: string): boolean => CLUSTER_PATTERN.test(value);
export const isClientName = (value: string): boolean => CLIENT_NAME_PATTERN.test(value);
export const isClientRole = (value: string): value is ClientRole =>
  (CLIENT_ROLES as readonly string[]).includes(value);

/** The URI that stands in the certificate; also the way to name an identity to people. */
export function identityUri(identity: Identity): string {
  if ('node' in identity) return `${SCHEME}${identity.cluster}/${identity.node}`;
  return `${SCHEME}${identity.cluster}/client/${identity.client.role}/${identity.client.name}`;
}

/** The URI in a cluster's CA certificate, from which `pki issue` knows the cluster. It is nobody's identity. */
export const authorityUri = (cluster: string): string => `${SCHEME}${cluster}`;

/** The name for TLS's server name indication and gRPC's host check: an address may not stand there. */
export const serverNameOf = (node: NodeId): string => `${node}.quorate`;

function parseIdentity(uri: string): Identity | null {
  const [cluster = '', ...path] = uri.slice(SCHEME.length).split('/');
  if (!isClusterName(cluster)) return null;
  const [first = '', role = '', name = ''] = path;
  if (path.length === 3 && first === 'client' && isClientRole(role) && isClientName(name)) {
    return { cluster, client: { role, name } };
  }
  if (path.length !== 1) return null;
  try {
    return { cluster, node: nodeId(first) };
  } catch {
    return null;
  }
}

/**
 * The names of a certificate's `subjectAltName` as Node prints them: `URI:…, DNS:…`. A name that holds a separator is
 * printed as a JSON string, and must not be cut there: `DNS:"x, URI:quorate://c/a, y"` is one name.
 */
const ALTERNATIVE_NAME = /(?:[^,"]|"(?:[^"\\]|\\.)*")+/g;

/** The `quorate:` URIs of a certificate, a CA's own included. */
function quorateUris(certificate: X509Certificate): string[] {
  return (certificate.subjectAltName?.match(ALTERNATIVE_NAME) ?? [])
    .map((name) => name.trimStart())
    .filter((name) => name.startsWith(`URI:${SCHEME}`))
    .map((name) => name.slice('URI:'.length));
}

/**
 * The identity in a certificate (PEM text or DER), or null: not a certificate, no identity, or more than one (who
 * could be taken for two is nobody). It says what the certificate claims; that its issuer is trusted is for TLS.
 */
export function identityOf(certificate: string | Uint8Array): Identity | null {
  try {
    const [only, ...more] = quorateUris(new X509Certificate(certificate));
    return only === undefined || more.length > 0 ? null : parseIdentity(only);
  } catch {
    return null;
  }
}

/** The cluster that a CA certificate of `pki init` was made for; null for any other certificate. */
export function authorityCluster(certificate: string | Uint8Array): string | null {
  try {
    const parsed = new X509Certificate(certificate);
    const [only, ...more] = quorateUris(parsed);
    if (!parsed.ca || only === undefined || more.length > 0) return null;
    const cluster = only.slice(SCHEME.length);
    return isClusterName(cluster) ? cluster : null;
  } catch {
    return null;
  }
}
