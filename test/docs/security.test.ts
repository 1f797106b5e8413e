/** docs/security.md: what it says of the policy and the units is theirs, and what it warns of is really so. */
import { connect } from 'node:tls';
import { expect, it } from 'vitest';
import { authorise, LEAST_ROLE } from '../../src/admin/authorise.ts';
import { AdminListener } from '../../src/admin/listener.ts';
import { nodeId } from '../../src/core/index.ts';
import { checkTls, createAuthority, issueClient, issueNode } from '../../src/peer/index.ts';
import { text } from '../deployments/support/files.ts';
import { parseUnit } from '../deployments/support/units.ts';

const page = text('docs/security.md');

it('has every statement of the policy, and no other', () => {
  const policy = JSON.parse(text('cluster/aws/iam-policy.json')) as { Statement: { Sid: string }[] };
  const part = page.slice(page.indexOf("## The cloud's permissions"), page.indexOf('## The units'));
  const named = [...part.matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, cell = '']) => [
    ...cell.matchAll(/`(\w+)`/g),
  ]);
  expect(named.map(([, sid]) => sid).sort()).toEqual(policy.Statement.map(({ Sid }) => Sid).sort());
});

it('names settings that the units have', () => {
  const part = page.slice(page.indexOf('## The units'), page.indexOf('## What is not protected'));
  const rows = [...part.matchAll(/^\| (`\w+=.*?) \|/gm)];
  const both = rows
    .flatMap(([, cell = '']) => [...cell.matchAll(/`(\w+)=([^`]+)`/g)])
    .filter(([, key]) => key !== 'KillMode');
  expect(both.length).toBeGreaterThan(5);
  for (const name of ['agent', 'executor']) {
    const unit = parseUnit(text(`cluster/systemd/quorate-${name}.service`));
    for (const [, key, value] of both) expect(unit.get(`Service.${key}`)).toEqual([value]);
  }
});

it('is right that any node of the cluster, member or not, may ask everything of the admin listener', async () => {
  const authority = await createAuthority('nas');
  const removed = await issueNode(authority, nodeId('removed-long-ago'));
  const client = await issueClient(authority, 'viewer', 'monitoring');
  for (const call of Object.keys(LEAST_ROLE) as (keyof typeof LEAST_ROLE)[]) {
    expect(authorise(Buffer.from(removed.certificate), 'nas', call)).toMatchObject({ cluster: 'nas' });
    if (LEAST_ROLE[call] !== 'viewer')
      expect(() => authorise(Buffer.from(client.certificate), 'nas', call)).toThrow(/needs the role/);
  }
});

it('is right that a ca.pem may have two authorities while they are changed', async () => {
  const [old, next] = [await createAuthority('nas'), await createAuthority('nas')];
  const ca = `${old.certificate}${next.certificate}`;
  const [a, b] = [await issueNode(old, nodeId('a')), await issueNode(next, nodeId('b'))];
  const own = { ca, cert: a.certificate, key: a.key };
  expect(checkTls(own, { cluster: 'nas', node: nodeId('a') }).validForMs).toBeGreaterThan(0);

  const listener = new AdminListener({
    listen: '127.0.0.1:0',
    tls: own,
    onConnection: (socket) => socket.end(`authorized: ${socket.authorized}`),
  });
  const port = await listener.start();
  const socket = connect({
    ...{ host: '127.0.0.1', port, ca, cert: b.certificate, key: b.key },
    ...{ checkServerIdentity: () => undefined, ALPNProtocols: ['h2'] },
  });
  try {
    const said = new Promise<string>((resolve, reject) => {
      socket.once('data', (data) => resolve(String(data))).once('error', reject);
    });
    expect(await said).toBe('authorized: true');
  } finally {
    socket.destroy();
    listener.stop();
    listener.cut();
  }
});
