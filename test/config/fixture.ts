import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, issueNode } from '../../src/peer/index.ts';

/** A directory with ca.pem, a.pem and a.key, in which relative paths of a config resolve. */
export async function configDirectory(): Promise<{ directory: string; remove(): void }> {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-config-'));
  const authority = await createAuthority('nas-prod');
  writeFileSync(join(directory, 'ca.pem'), authority.certificate);
  const node = await issueNode(authority, 'a', {});
  writeFileSync(join(directory, 'a.pem'), node.certificate);
  writeFileSync(join(directory, 'a.key'), node.key);
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

export const GOOD = `cluster: nas-prod
node: a
data_dir: state
members:
  a: {zone: us-east-1a, peer: 10.0.1.10:7400}
  b: {zone: us-east-1b, peer: 10.0.2.10:7400}
  w: {zone: us-east-1c, peer: 10.0.3.10:7400, witness: true}
timing: {heartbeat: 100ms, lease: 600ms, release: 1s, clock_error: 0.5%}
tls: {ca: ca.pem, cert: a.pem, key: a.key}
admin: {listen: 127.0.0.1:7401}
http: {listen: 127.0.0.1:7402}
watchdog: {device: /dev/watchdog, mode: required}
fencing: {ec2_stop: after}
max_data_loss: 0s
cloud: {region: us-east-1, endpoint: null}
resources:
  - {name: block, kind: drbd, resource: r0}
  - {name: eip, kind: elastic-ip, allocation: eipalloc-03a7e962, interfaces: {a: eni-46561127, b: eni-77f0c1aa}, after: [block]}
  - {name: nfs, kind: service, unit: nfs-server.service}
`;
