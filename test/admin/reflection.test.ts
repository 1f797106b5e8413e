/**
 * A client that knows nothing of ours: it learns services and messages from the server (grpc.reflection.v1, as grpcurl does), and
 * does with them everything that an operator may.
 */

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import {
  loadFileDescriptorSetFromObject,
  loadSync,
  type MethodDefinition,
  type PackageDefinition,
  type ServiceDefinition,
} from '@grpc/proto-loader';
import { FileDescriptorProto } from 'protobufjs/ext/descriptor/index.js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { QuorateError } from '../../src/errors.ts';
import { identityOf, type TlsMaterial } from '../../src/peer/index.ts';
import { type FakeAgent, type Identities, identities, startFakeAgent } from './fake.ts';

/** The standard's own description of itself: all that a generic client brings along. */
const STANDARD = join(
  dirname(createRequire(import.meta.url).resolve('@grpc/reflection/package.json')),
  'build/proto/grpc/reflection/v1/reflection.proto',
);
const OPTIONS = { longs: Number, enums: String, defaults: false } as const;

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
  agent.backend.isWell = true;
});

type Answer = Record<string, unknown>;

function filesOf(answer: Answer | undefined): object[] {
  const response = answer?.fileDescriptorResponse as { fileDescriptorProto: Uint8Array[] } | undefined;
  return (response?.fileDescriptorProto ?? []).map((bytes) =>
    FileDescriptorProto.toObject(FileDescriptorProto.decode(bytes)),
  );
}

class GenericClient {
  readonly #client: Client;
  #described: PackageDefinition = {};

  constructor({ ca, cert, key }: TlsMaterial) {
    const secure = credentials.createSsl(Buffer.from(ca), Buffer.from(key), Buffer.from(cert), {
      checkServerIdentity: (_host, certificate) =>
        identityOf(certificate.raw) === null ? new Error('nobody') : undefined,
    });
    this.#client = new Client(agent.address, secure, { 'grpc.ssl_target_name_override': 'agent' });
  }

  close(): void {
    this.#client.close();
  }

  /** What the server says about itself, one question and one answer each. */
  async ask(...questions: readonly object[]): Promise<Answer[]> {
    const service = loadSync(STANDARD, OPTIONS)['grpc.reflection.v1.ServerReflection'] as ServiceDefinition;
    const method = service.ServerReflectionInfo as MethodDefinition<object, object>;
    const stream = this.#client.makeBidiStreamRequest(
      ...[method.path, method.requestSerialize, method.responseDeserialize],
    );
    for (const question of questions) stream.write(question);
    stream.end();
    const answers: Answer[] = [];
    for await (const answer of stream) answers.push(answer as Answer);
    return answers;
  }

  async services(): Promise<string[]> {
    const [answer] = await this.ask({ listServices: '' });
    const list = answer?.listServicesResponse as { service: { name: string }[] } | undefined;
    return (list?.service ?? []).map(({ name }) => name).sort();
  }

  async learn(service: string): Promise<ServiceDefinition> {
    const [answer] = await this.ask({ fileContainingSymbol: service });
    const file = filesOf(answer);
    this.#described = loadFileDescriptorSetFromObject({ file }, OPTIONS);
    return this.#described[service] as ServiceDefinition;
  }

  async call(service: string, name: string, request: object): Promise<Answer> {
    const method = (await this.learn(service))[name];
    if (method === undefined) throw new Error(`${service} has no ${name}`);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        ...([method.path, method.requestSerialize, method.responseDeserialize, request] as const),
        { deadline: Date.now() + 10_000 },
        (error, answer) => (error === null ? resolve(answer as Answer) : reject(error)),
      );
    });
  }

  async stream(
    service: string,
    name: string,
    request: object,
    most = Number.POSITIVE_INFINITY,
  ): Promise<Answer[]> {
    const method = (await this.learn(service))[name] as MethodDefinition<object, object>;
    const stream = this.#client.makeServerStreamRequest(
      ...([method.path, method.requestSerialize, method.responseDeserialize, request] as const),
      { deadline: Date.now() + 10_000 },
    );
    const answers: Answer[] = [];
    for await (const answer of stream) {
      answers.push(answer as Answer);
      if (answers.length >= most) break;
    }
    return answers;
  }
}

async function as<Result>(
  tls: TlsMaterial,
  work: (client: GenericClient) => Promise<Result>,
): Promise<Result> {
  const client = new GenericClient(tls);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

const ADMIN = 'quorate.v1.Admin';
const HEALTH = 'grpc.health.v1.Health';

describe('a client that learns everything by reflection', () => {
  it('finds the services, a viewer too', async () => {
    expect(await as(known.viewer, (client) => client.services())).toEqual([HEALTH, ADMIN]);
  });

  it('finds every call of the service', async () => {
    const service = await as(known.viewer, (client) => client.learn(ADMIN));
    expect(Object.keys(service).sort()).toEqual(
      'Activate AddMember AlertsTest AllowDrop AuditEntries Bootstrap CancelSwitchover Failover FencePeer Inspect ListMembers Pause PromoteMember RemoveMember Replication Restart Resume RunReplication ScheduleSwitchover SetSettings ShowSettings Standby Status Switchover WatchStatus'.split(
        ' ',
      ),
    );
  });

  it('performs every action of an operator, and looks at what came of it', async () => {
    const orders: readonly [string, object, Answer][] = [
      ['Restart', { dryRun: true, requestId: 'request-0' }, { dryRun: true, node: 'a', epoch: 9 }],
      ['Pause', { why: 'new switch', requestId: 'request-1' }, { paused: true, changed: true, index: 21 }],
      ['Resume', { requestId: 'request-2' }, { changed: true, index: 22 }],
      ['Standby', { node: 'a', requestId: 'request-3', expectedEpoch: 8 }, { node: 'a', standby: true }],
      ['Activate', { node: 'a', requestId: 'request-4' }, { node: 'a' }],
      [
        'Switchover',
        { to: 'b', requestId: 'request-5', expectedEpoch: 8, who: 'script' },
        { to: 'b', epoch: 11 },
      ],
      ['Switchover', { dryRun: true }, { dryRun: true, to: 'b' }],
      [
        'Failover',
        { to: 'b', acceptDataLoss: true, why: 'a burned', requestId: 'request-6' },
        { forcedAt: 20 },
      ],
      ['Bootstrap', { inSync: ['a', 'b'] }, {}],
      ['FencePeer', { peer: 'b' }, { result: 'outdated' }],
      ['RunReplication', { dataset: 'tank/home' }, { round: 8 }],
      ['AllowDrop', { node: 'a', datasets: ['tank/.diverged/8/x=11'], why: 'old' }, { index: 27 }],
      [
        'AddMember',
        { node: 'c', peer: '10.0.4.10:7400', zone: 'us-east-1d', requestId: 'request-7' },
        { node: 'c', index: 24 },
      ],
      ['PromoteMember', { node: 'c', requestId: 'request-8' }, { index: 25 }],
      ['RemoveMember', { node: 'b', why: 'its disk', requestId: 'request-9' }, { alreadyDone: true }],
      [
        'ScheduleSwitchover',
        { to: 'b', inMs: 3_600_000, why: 'new switch', requestId: 'request-11', expectedEpoch: 8 },
        { schedule: { id: 17, to: 'b', state: 'waiting' }, checks: [{ name: 'reachable', ok: false }] },
      ],
      ['CancelSwitchover', { id: 17, requestId: 'request-12' }, { schedule: { outcome: 'cancelled' } }],
      ['SetSettings', { leaseMs: 900, requestId: 'request-10' }, { goal: { leaseMs: 900 }, differs: true }],
    ];
    await as(known.admin, async (client) => {
      for (const [call, request, answer] of orders)
        expect(await client.call(ADMIN, call, request), call).toMatchObject(answer);
      expect(await client.call(ADMIN, 'Status', {})).toMatchObject({
        cluster: 'nas-prod',
        holder: 'a',
        epoch: 8,
      });
      const pages = await client.stream(ADMIN, 'AuditEntries', { from: 1 });
      expect(pages).toMatchObject([{ entries: { length: agent.backend.log.length } }]);
    });
    const who = 'quorate://nas-prod/client/admin/alice';
    expect(agent.backend.asked).toMatchObject([
      { restart: { dryRun: true, withinMs: null, requestId: 'request-0', who } },
      { pause: { why: 'new switch', requestId: 'request-1', who } },
      { resume: { requestId: 'request-2' } },
      { standby: { node: 'a', requestId: 'request-3', expectedEpoch: 8 } },
      { activate: { node: 'a', requestId: 'request-4', expectedEpoch: null } },
      { to: 'b', dryRun: false, requestId: 'request-5', expectedEpoch: 8, who: `script (${who})` },
      { to: null, dryRun: true },
      { to: 'b', acceptDataLoss: true, why: 'a burned', requestId: 'request-6' },
      { inSync: ['a', 'b'] },
      { peer: 'b', who },
      { runReplication: 'tank/home', who },
      { allowDrop: { node: 'a', datasets: ['tank/.diverged/8/x=11'], why: 'old', who } },
      { add: { node: 'c', peer: '10.0.4.10:7400', zone: 'us-east-1d', witness: false, who } },
      { promote: { node: 'c', requestId: 'request-8' } },
      { remove: { node: 'b', why: 'its disk' } },
      {
        schedule: {
          ...{ to: 'b', when: { kind: 'in', ms: 3_600_000 }, why: 'new switch', dryRun: false },
          ...{ requestId: 'request-11', expectedEpoch: 8, who },
        },
      },
      { cancel: { id: 17, requestId: 'request-12' } },
      { settings: { values: { leaseMs: 900, heartbeatMs: null }, waitMs: 0, requestId: 'request-10' } },
    ]);
  });

  it('reads why something was refused, by the error model that the server describes', async () => {
    const violations = [{ type: 'IN_SYNC', subject: 'b', description: 'b is not in the in-sync set (H1)' }];
    agent.backend.failure = new QuorateError('refused-unsafe', 'no', { context: { violations } });
    await as(known.operator, async (client) => {
      const error = await client
        .call(ADMIN, 'Switchover', { to: 'b' })
        .catch((caught: ServiceError) => caught);
      const { code, metadata } = error as ServiceError;
      expect(code).toBe(status.FAILED_PRECONDITION);
      const [bytes] = metadata.get('grpc-status-details-bin');
      const read = async (symbol: string, from: Buffer): Promise<Answer> => {
        const [answer] = await client.ask({ fileContainingSymbol: symbol });
        const file = filesOf(answer);
        const type = loadFileDescriptorSetFromObject({ file }, OPTIONS)[symbol];
        return (type as unknown as { deserialize(of: Buffer): Answer }).deserialize(from);
      };
      const { details } = await read('google.rpc.Status', bytes as Buffer);
      const packed = details as { type_url: string; value: Buffer }[];
      expect(packed.map(({ type_url }) => type_url)).toEqual([
        'type.googleapis.com/google.rpc.ErrorInfo',
        'type.googleapis.com/google.rpc.PreconditionFailure',
      ]);
      const [info, precondition] = packed;
      expect(await read('google.rpc.ErrorInfo', info?.value ?? Buffer.alloc(0))).toMatchObject({
        reason: 'REFUSED_UNSAFE',
        domain: 'quorate',
        // A map is a list of entries to who knows it by its descriptor only.
        metadata: [{ key: 'code', value: 'refused-unsafe' }],
      });
      const failure = await read('google.rpc.PreconditionFailure', precondition?.value ?? Buffer.alloc(0));
      expect(failure).toEqual({ violations });
    });
  });

  it('is ended where one stream asks without end', async () => {
    const questions = Array.from({ length: 300 }, () => ({ fileContainingSymbol: ADMIN }));
    await expect(as(known.viewer, (client) => client.ask(...questions))).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
  });

  it('gets nothing without a certificate of the cluster', async () => {
    await expect(as(known.stranger, (client) => client.services())).rejects.toMatchObject({
      code: status.UNAVAILABLE,
    });
    expect(agent.backend.asked).toEqual([]);
  });
});

it('watches the status', async () => {
  await as(known.viewer, async (client) => {
    const told = client.stream(ADMIN, 'WatchStatus', {}, 2);
    await expect.poll(() => agent.backend.listeners.size, { timeout: 10_000 }).toBe(1);
    agent.backend.change({ term: 9 });
    const [first, second] = await told;
    expect(first).toMatchObject({ status: { cluster: 'nas-prod', holder: 'a', term: 3 } });
    expect(second).toMatchObject({ status: { holder: 'a', term: 9 } });
    agent.backend.change({ term: 3 });
  });
});

it('sends a test alert where the node has somebody to tell, and says where it has not', async () => {
  await as(known.operator, (client) =>
    expect(client.call(ADMIN, 'AlertsTest', {})).rejects.toMatchObject({
      code: status.FAILED_PRECONDITION,
      details: 'the config of this node has no "alerts"',
    }),
  );
  await as(known.viewer, (client) =>
    expect(client.call(ADMIN, 'AlertsTest', {})).rejects.toMatchObject({ code: status.PERMISSION_DENIED }),
  );
});

describe('grpc.health.v1', () => {
  it('says whether agent, log and executor work, as of the question', async () => {
    await as(known.viewer, async (client) => {
      for (const service of ['', ADMIN])
        expect(await client.call(HEALTH, 'Check', { service })).toEqual({ status: 'SERVING' });
      agent.backend.isWell = false;
      expect(await client.call(HEALTH, 'Check', {})).toEqual({ status: 'NOT_SERVING' });
      await expect(client.call(HEALTH, 'Check', { service: 'else' })).rejects.toMatchObject({
        code: status.NOT_FOUND,
      });
    });
  });

  it('tells those who watch', async () => {
    await as(known.viewer, async (client) => {
      const told = client.stream(HEALTH, 'Watch', { service: ADMIN }, 2);
      agent.backend.isWell = true;
      setTimeout(() => {
        agent.backend.isWell = false;
      }, 200);
      expect(await told).toEqual([{ status: 'SERVING' }, { status: 'NOT_SERVING' }]);
    });
  });
});
