import { X509Certificate } from 'node:crypto';
import { createServer } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AdminClient, AdminServer, statusSchema } from '../../src/admin/index.ts';
import { nodeId } from '../../src/core/index.ts';
import { QuorateError } from '../../src/errors.ts';
import { sha256 } from '../../src/log/index.ts';
import type { TlsMaterial } from '../../src/peer/index.ts';
import { audit } from '../../src/state/index.ts';
import { a, chain, config, elected, FAILOVER, note } from '../state/story.ts';
import {
  type FakeAgent,
  FakeBackend,
  type Identities,
  identities,
  POOLS,
  REPLICATION,
  RESYNCS,
  STATUS,
  startFakeAgent,
} from './fake.ts';

let known: Identities;
let agent: FakeAgent;
beforeAll(async () => {
  known = await identities();
  agent = await startFakeAgent(known);
});
afterAll(() => agent.close());
beforeEach(() => {
  agent.backend.asked.length = 0;
  agent.backend.failure = null;
  agent.backend.statusDocument = STATUS;
  agent.backend.log = FAILOVER;
  agent.backend.committed = FAILOVER.length;
});

async function as<Result>(
  tls: TlsMaterial,
  work: (client: AdminClient) => Promise<Result>,
  address = agent.address,
) {
  const client = new AdminClient({ address, tls, who: 'root@nas-a' });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const failure = (code: string) => expect.objectContaining({ code });

describe('status', () => {
  it('arrives as it was sent, nulls and all', async () => {
    expect(await as(known.viewer, (client) => client.status())).toEqual(STATUS);
  });

  it('of replication arrives likewise, and a viewer may ask for it', async () => {
    expect(await as(known.viewer, (client) => client.replication())).toEqual(REPLICATION);
    expect(await as(known.operator, (client) => client.runReplication(null))).toBe(8);
    expect(agent.backend.asked).toEqual([
      { runReplication: null, who: expect.stringContaining('/client/operator/') },
    ]);
  });

  it('arrives where nothing is known yet', async () => {
    agent.backend.statusDocument = {
      ...STATUS,
      term: 0,
      leader: null,
      holder: null,
      epoch: null,
      quorum: null,
      commitIndex: 0,
      chain: null,
      nodes: [],
      lease: { remainingMs: null },
      resources: [],
      lastTakeover: null,
    };
    expect(await as(known.a, (client) => client.status())).toEqual(agent.backend.statusDocument);
  });

  it('has the resyncs that run; what is not known of one arrives as null, not as 0', async () => {
    agent.backend.statusDocument = { ...STATUS, resync: RESYNCS };
    expect((await as(known.a, (client) => client.status())).resync).toEqual(RESYNCS);
  });

  it('has the pools that snapshots keep alike; what is not known of one arrives as null', async () => {
    agent.backend.statusDocument = { ...STATUS, replication: POOLS };
    expect((await as(known.a, (client) => client.status())).replication).toEqual(POOLS);
  });

  it('has exactly the fields of the contract, with scheduled, warnings, resync and replication, which --json has only where there is something', () => {
    const keys = (schema: { shape: object }): string[] => Object.keys(schema.shape);
    expect(keys(statusSchema)).toEqual(
      'cluster observer term leader holder epoch quorum paused commitIndex chain nodes lease resources lastTakeover scheduled warnings resync replication'.split(
        ' ',
      ),
    );
    const { nodes, resources, lease } = statusSchema.shape;
    expect(keys(nodes.element)).toEqual(
      'id kind zone role reachable matchIndex inSync standby chain'.split(' '),
    );
    expect(keys(resources.element)).toEqual('name kind probe detail'.split(' '));
    expect(keys(lease)).toEqual(['remainingMs']);
    expect(Object.keys(STATUS.lastTakeover ?? {})).toEqual('epoch reason startedAt steps totalMs'.split(' '));
  });
});

describe('audit entries', () => {
  it('arrive whole, so that the audit is the same as beside the log', async () => {
    const entries = await as(known.viewer, (client) => client.entries());
    expect(entries).toEqual(FAILOVER);
    expect(audit(entries, sha256)).toEqual(audit(FAILOVER, sha256));
  });

  it('come in pages, large ones too', async () => {
    const big = 'x'.repeat(16_000);
    agent.backend.log = chain(
      [0, config()],
      [1, elected(a)],
      ...Array.from({ length: 1500 }, (_, n) => [1, note(n % 5 === 0 ? big : `${n}`)] as const),
    );
    agent.backend.committed = 1502;
    expect(await as(known.viewer, (client) => client.entries())).toHaveLength(1502);
  });

  it('end at the commit index', async () => {
    agent.backend.committed = 5;
    expect(await as(known.viewer, (client) => client.entries())).toEqual(FAILOVER.slice(0, 5));
    agent.backend.log = [];
    agent.backend.committed = 0;
    expect(await as(known.viewer, (client) => client.entries())).toEqual([]);
  });

  it('are refused when one does not have the hash that it states', async () => {
    agent.backend.log = FAILOVER.map((entry) =>
      entry.index === 4 ? { ...entry, body: note('forged') } : entry,
    );
    await expect(as(known.viewer, (client) => client.entries())).rejects.toEqual(failure('entry-invalid'));
  });
});

describe('requests', () => {
  it('reach the agent with who asks, as the certificate proves it', async () => {
    const outcome = await as(known.operator, (client) =>
      client.switchover({
        ...{ to: nodeId('b'), dryRun: false, timeoutMs: 5000 },
        ...{ requestId: 'request-1', expectedEpoch: 8 },
      }),
    );
    expect(outcome).toMatchObject({ from: 'a', to: 'b', epoch: 11, totalMs: 48, dryRun: false });
    await as(known.a, (client) => client.switchover({ to: null, dryRun: true, timeoutMs: 5000 }));
    await as(known.admin, (client) => client.bootstrap([nodeId('a'), nodeId('b')]));
    const order = { to: nodeId('b'), dryRun: false, acceptDataLoss: true, why: 'a burned', timeoutMs: 5000 };
    const forced = await as(known.admin, (client) => client.failover(order));
    expect(forced).toMatchObject({ to: 'b', forcedAt: 20, epoch: 23, totalMs: 310, dryRun: false });
    const dry = await as(known.admin, (client) => client.failover({ ...order, dryRun: true }));
    expect(dry).toMatchObject({ forcedAt: null, epoch: null, totalMs: null, dryRun: true });
    expect(await as(known.a, (client) => client.fencePeer(null))).toBe('outdated');
    expect(agent.backend.asked).toEqual([
      {
        ...{ to: 'b', dryRun: false, who: 'root@nas-a (quorate://nas-prod/client/operator/alice)' },
        ...{ requestId: 'request-1', expectedEpoch: 8 },
      },
      {
        ...{ to: null, dryRun: true, who: 'root@nas-a (quorate://nas-prod/a)' },
        ...{ requestId: expect.stringMatching(UUID), expectedEpoch: null },
      },
      { inSync: ['a', 'b'], who: 'root@nas-a (quorate://nas-prod/client/admin/alice)' },
      ...[false, true].map((dryRun) => ({
        to: 'b',
        dryRun,
        acceptDataLoss: true,
        why: 'a burned',
        who: 'root@nas-a (quorate://nas-prod/client/admin/alice)',
        requestId: expect.stringMatching(UUID),
        expectedEpoch: null,
      })),
      { peer: null, who: 'quorate://nas-prod/a' },
    ]);
  });

  it.each(['refused-unsafe', 'not-leader', 'timed-out-unknown', 'already-bootstrapped'] as const)(
    'fail with the code of the agent: %s',
    async (code) => {
      agent.backend.failure = new QuorateError(code, 'b is not in sync – über');
      const request = as(known.a, (client) =>
        client.switchover({ to: null, dryRun: false, timeoutMs: 5000 }),
      );
      await expect(request).rejects.toEqual(
        expect.objectContaining({ code, message: expect.stringMatching(/^b is not in sync – über/) }),
      );
    },
  );

  it('carry a request id of their own each, and the error of an unknown outcome names it', async () => {
    agent.backend.failure = 'silence';
    const request = as(known.a, (client) => client.pause({ paused: true, why: '', requestId: 'request-7' }));
    request.catch(() => undefined);
    // Long enough for both to arrive on a busy machine.
    const order = { to: null, dryRun: false, timeoutMs: 2000 };
    const move = as(known.a, (client) => client.switchover(order));
    await expect(move).rejects.toMatchObject({
      message: expect.stringMatching(/--request-id [0-9a-f-]{36} /),
    });
    const [first, second] = agent.backend.asked as { requestId?: string; pause?: { requestId: string } }[];
    expect([first, second].map((one) => one?.requestId ?? one?.pause?.requestId)).toContain('request-7');
  });

  it.each([
    {
      facts: {},
      epoch: undefined,
      advice: /word for word with --request-id request-8 it is done at most once$/,
    },
    { facts: {}, epoch: 8, advice: /--request-id request-8 and --expect-epoch 8 it is done at most once$/ },
    {
      facts: { id_not_in_log: 'true' },
      epoch: 8,
      advice: /"quorate status" first; .*--request-id request-8 and --expect-epoch 8 it is refused once/,
    },
    {
      facts: { id_not_in_log: 'true' },
      epoch: undefined,
      advice: /"quorate status" .* with --expect-epoch only$/,
    },
    {
      facts: {},
      epoch: 0,
      advice: /"quorate status" first; .*--expect-epoch 0 it is refused while a node holds$/,
    },
  ])(
    'whose outcome is not known ($facts, $epoch) say how to repeat them, and only what is so',
    async (one) => {
      agent.backend.failure = new QuorateError('timed-out-unknown', 'no end', {
        context: { facts: one.facts },
      });
      const order = { to: null, dryRun: false, timeoutMs: 5000 };
      const ids = { requestId: 'request-8', expectedEpoch: one.epoch };
      const error = await as(known.a, (client) => client.switchover({ ...order, ...ids })).catch(String);
      expect(error).toMatch(one.advice);
      if (one.epoch === 0 || 'id_not_in_log' in one.facts) expect(error).not.toContain('at most once');
    },
  );

  it('fail with the conditions that were not met, for programs', async () => {
    const violations = [
      { type: 'IN_SYNC', subject: 'b', description: 'b is not in the in-sync set – über' },
      { type: 'REACHABLE', subject: 'b', description: 'x'.repeat(10_000) },
    ];
    agent.backend.failure = new QuorateError('refused-unsafe', 'no', {
      context: { violations, facts: { leader: 'b' } },
    });
    const order = { to: null, dryRun: false, timeoutMs: 5000 };
    await expect(as(known.a, (client) => client.switchover(order))).rejects.toMatchObject({
      code: 'refused-unsafe',
      context: {
        violations: [violations[0], { type: 'REACHABLE', description: 'x'.repeat(500) }],
        facts: { leader: 'b', code: 'refused-unsafe' },
      },
    });
    await expect(as(known.viewer, (client) => client.switchover(order))).rejects.toMatchObject({
      context: { facts: { needs: 'operator', role: 'viewer' } },
    });
  });

  it('that change something end unknown when no answer comes, questions end unreachable', async () => {
    agent.backend.failure = 'silence';
    const request = as(known.a, (client) => client.switchover({ to: null, dryRun: false, timeoutMs: 200 }));
    await expect(request).rejects.toEqual(failure('timed-out-unknown'));
    const dry = as(known.a, (client) => client.switchover({ to: null, dryRun: true, timeoutMs: 200 }));
    await expect(dry).rejects.toEqual(failure('agent-unreachable'));
  });

  it('that never reached an agent are unreachable, not unknown', async () => {
    const request = as(
      known.a,
      (client) => client.switchover({ to: null, dryRun: false, timeoutMs: 3000 }),
      '127.0.0.1:9',
    );
    await expect(request).rejects.toEqual(failure('agent-unreachable'));
  });
});

describe('who may ask', () => {
  it('a viewer may look and nothing else, an operator may not bootstrap, nor force', async () => {
    const order = { to: null, dryRun: true, timeoutMs: 5000 };
    await expect(as(known.viewer, (client) => client.switchover(order))).rejects.toEqual(
      failure('not-authorised'),
    );
    await expect(as(known.viewer, (client) => client.fencePeer(null))).rejects.toEqual(
      failure('not-authorised'),
    );
    await expect(as(known.viewer, (client) => client.runReplication(null))).rejects.toEqual(
      failure('not-authorised'),
    );
    await expect(as(known.operator, (client) => client.bootstrap([]))).rejects.toEqual(
      failure('not-authorised'),
    );
    for (const dryRun of [true, false]) {
      const force = { to: nodeId('b'), dryRun, acceptDataLoss: true, why: '', timeoutMs: 5000 };
      await expect(as(known.operator, (client) => client.failover(force))).rejects.toEqual(
        failure('not-authorised'),
      );
    }
    expect(agent.backend.asked).toEqual([]);
  });

  it('E5: the certificate of a node is as good as what the log says of that node at each call', async () => {
    const order = { to: null, dryRun: true, timeoutMs: 5000 };
    const refusal = { code: 'not-authorised', message: expect.stringContaining('b was removed') };
    await as(known.b, async (client) => {
      expect((await client.switchover(order)).dryRun).toBe(true);
      agent.backend.standings.set('b', 'learner');
      expect((await client.status()).cluster).toBe('nas-prod');
      await expect(client.switchover(order)).rejects.toEqual(failure('not-authorised'));
      // On a connection that has been open since before.
      agent.backend.standings.set('b', 'removed');
      await expect(client.status()).rejects.toMatchObject(refusal);
      await expect(client.fencePeer(null)).rejects.toMatchObject(refusal);
    });
    agent.backend.standings.delete('b');
    await expect(as(known.b, (client) => client.status())).rejects.toMatchObject({
      code: 'not-authorised',
      context: { facts: { node: 'b', standing: 'stranger' } },
    });
    agent.backend.standings.set('b', 'voter');
  });

  it('E5: what a node watches ends when it is removed, and what a client watches goes on', async () => {
    /** Resolves true at the status of term 6, false where it ends before that. */
    const watch = async (tls: TlsMaterial, onFirst: () => void) => {
      const client = new AdminClient({ address: agent.address, tls, who: 'x' });
      let isFirst = true;
      try {
        for await (const { term } of client.watchStatus(AbortSignal.timeout(15_000))) {
          if (isFirst) onFirst();
          isFirst = false;
          if (term === 6) return true;
        }
        return false;
      } finally {
        client.close();
      }
    };
    let isViewing = () => {};
    const views = new Promise<void>((resolve) => {
      isViewing = resolve;
    });
    const viewer = watch(known.viewer, () => isViewing());
    await views;
    const node = watch(known.b, () => {
      agent.backend.standings.set('b', 'removed');
      agent.backend.change({ term: 5 });
    });
    await expect(node).rejects.toMatchObject({ code: 'not-authorised' });
    agent.backend.change({ term: 6 });
    expect(await viewer).toBe(true);
    agent.backend.standings.set('b', 'voter');
  }, 30_000);

  it("another cluster's certificate does not get through TLS, on either side", async () => {
    await expect(as(known.stranger, (client) => client.status())).rejects.toEqual(
      failure('agent-unreachable'),
    );
    await expect(as(known.otherCluster, (client) => client.status())).rejects.toEqual(
      failure('agent-unreachable'),
    );
  });

  it("a client's certificate cannot play the agent", async () => {
    const impostor = new AdminServer({
      listen: '127.0.0.1:0',
      cluster: 'nas-prod',
      tls: known.admin,
      backend: new FakeBackend(),
      isWell: () => true,
    });
    const address = `127.0.0.1:${await impostor.start()}`;
    await expect(as(known.admin, (client) => client.status(), address)).rejects.toEqual(
      failure('agent-unreachable'),
    );
    await impostor.close();
  });

  it('the same CA with the name of another cluster is refused', async () => {
    const server = new AdminServer({
      listen: '127.0.0.1:0',
      cluster: 'nas-2',
      tls: known.a,
      backend: new FakeBackend(),
      isWell: () => true,
    });
    const address = `127.0.0.1:${await server.start()}`;
    await expect(as(known.a, (client) => client.status(), address)).rejects.toEqual(
      failure('not-authorised'),
    );
    await server.close();
  });
});

it('names the address that is in use', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const listen = `127.0.0.1:${(taken.address() as { port: number }).port}`;
  const server = new AdminServer({
    listen,
    cluster: 'nas-prod',
    tls: known.a,
    backend: new FakeBackend(),
    isWell: () => true,
  });
  const caught = await server.start().catch((error: unknown) => error);
  expect(caught).toMatchObject({ code: 'port-in-use', message: `admin.listen ${listen} is in use` });
  await server.close();
  await new Promise((resolve) => taken.close(resolve));
  const elsewhere = new AdminServer({
    listen: '192.0.2.1:7401',
    cluster: 'x',
    tls: known.a,
    backend: new FakeBackend(),
    isWell: () => true,
  });
  await expect(elsewhere.start()).rejects.toEqual(failure('address-not-available'));
  await elsewhere.close();
});

describe('a renewed certificate', () => {
  it('is what new connections see; a call and a connection from before go on', async () => {
    const mine = await startFakeAgent(known);
    const { serialNumber } = new X509Certificate(known.a.cert);
    const shown = (): Promise<string | undefined> =>
      new Promise((resolve, reject) => {
        const [host = '', port = ''] = mine.address.split(':');
        const { ca, cert, key } = known.viewer;
        const socket = connectTls(
          {
            host,
            port: Number(port),
            ca,
            cert,
            key,
            ALPNProtocols: ['h2'],
            checkServerIdentity: () => undefined,
          },
          () => {
            resolve(socket.getPeerX509Certificate()?.serialNumber);
            socket.destroy();
          },
        );
        socket.on('error', reject);
      });
    const early = new AdminClient({ address: mine.address, tls: known.viewer, who: 'x' });
    expect((await early.status()).cluster).toBe('nas-prod');
    expect(await shown()).toBe(serialNumber);
    const next = known.renewed;
    mine.server.replaceTls(next);
    expect(await shown()).toBe(new X509Certificate(next.cert).serialNumber);
    expect((await early.status()).cluster).toBe('nas-prod');
    early.close();
    const late = new AdminClient({ address: mine.address, tls: known.viewer, who: 'x' });
    expect((await late.status()).cluster).toBe('nas-prod');
    late.close();
    const stranger = new AdminClient({ address: mine.address, tls: known.stranger, who: 'x' });
    await expect(stranger.status()).rejects.toMatchObject({ code: 'agent-unreachable' });
    stranger.close();
    await mine.close();
  });
});
