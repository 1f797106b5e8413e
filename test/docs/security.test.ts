/** docs/security.md: what it says of the policy and the units is theirs, and what it warns of is really so. */
import { connect } from 'node:tls';
import { expect, it } from 'vitest';
import { authorise, LEAST_ROLE, type NodeStanding } from '../../src/admin/authorise.ts';
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

it('is right about what the certificate of a node may ask of the admin listener', async () => {
  const authority = await createAuthority('nas');
  const node = await issueNode(authority, nodeId('c'));
  const client = await issueClient(authority, 'viewer', 'monitoring');
  const ask = (standing: NodeStanding, call: keyof typeof LEAST_ROLE, certificate = node.certificate) =>
    authorise(Buffer.from(certificate), 'nas', call, () => standing);
  for (const call of Object.keys(LEAST_ROLE) as (keyof typeof LEAST_ROLE)[]) {
    const isQuestion = LEAST_ROLE[call] === 'viewer';
    for (const standing of ['self', 'voter'] as const)
      expect(ask(standing, call)).toMatchObject({ cluster: 'nas' });
    expect(() => ask('removed', call)).toThrow(/c was removed: its certificate counts no more/);
    expect(() => ask('stranger', call)).toThrow(/does not know c as a member/);
    if (isQuestion) expect(ask('learner', call)).toMatchObject({ cluster: 'nas' });
    else expect(() => ask('learner', call)).toThrow(/needs the role .* as a learner/);
    // Of a client no log is asked.
    if (!isQuestion) expect(() => ask('voter', call, client.certificate)).toThrow(/needs the role/);
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
