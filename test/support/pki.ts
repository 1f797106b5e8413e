/** Certificates for tests: real ones, made once per cluster name and kept for the process. */
import { nodeId } from '../../src/core/index.ts';
import { createAuthority, issueNode, type KeyPairPem, type TlsMaterial } from '../../src/peer/index.ts';

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
