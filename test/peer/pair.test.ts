/** The question of `quorate replication pair` between two agents: over real gRPC, and forged. */
import { afterEach, expect, it } from 'vitest';
import { nodeId } from '../../src/core/index.ts';
import { askPair } from '../../src/peer/index.ts';
import { encodePairRequest, readPairAnswer, readPairRequest } from '../../src/peer/pair.ts';
import { peerSchema } from '../../src/peer/schema.ts';
import { testTls } from '../support/pki.ts';
import { A, B, CLUSTER, closeAll, startNode } from './harness.ts';

afterEach(closeAll);

const REQUEST = { publicKey: 'ssh-ed25519 AAAA', hostKeys: ['ssh-ed25519 BBBB'], isDryRun: true };
const ANSWER = { publicKey: 'ssh-ed25519 CCCC', hostKeys: ['ssh-ed25519 DDDD'], changes: ['writes a line'] };

const ask = async (address: string, from = A) =>
  askPair(address, REQUEST, {
    tls: await testTls(CLUSTER, from),
    ...{ cluster: CLUSTER, from, to: B, deadlineMs: 10_000 },
  });

it('carries keys there and back, with who asks', async () => {
  const asked: unknown[] = [];
  const node = await startNode(B, {
    pair: (from, request) => {
      asked.push([from, request]);
      return Promise.resolve(ANSWER);
    },
  });
  node.transport.setPeers(new Map([[A, '127.0.0.1:1']]));
  expect(await ask(node.address)).toEqual(ANSWER);
  expect(asked).toEqual([[A, REQUEST]]);
  // Somebody with a certificate of the cluster, and no member.
  await expect(ask(node.address, nodeId('z'))).rejects.toMatchObject({ code: 'peer-refused' });
  expect(asked).toHaveLength(1);
});

it('an answer may take longer than a dial may', async () => {
  const node = await startNode(B, {
    pair: () => new Promise((resolve) => setTimeout(resolve, 3000, ANSWER)),
  });
  node.transport.setPeers(new Map([[A, '127.0.0.1:1']]));
  expect(await ask(node.address)).toEqual(ANSWER);
});

it('carries a refusal, and is refused where nobody listens for it', async () => {
  const node = await startNode(B, { pair: () => Promise.reject(new Error('not with you')) });
  node.transport.setPeers(new Map([[A, '127.0.0.1:1']]));
  await expect(ask(node.address)).rejects.toThrow(/b .* refused: not with you/);
  await closeAll();
  const older = await startNode(B);
  older.transport.setPeers(new Map([[A, '127.0.0.1:1']]));
  await expect(ask(older.address)).rejects.toThrow(/does not pair/);
});

it.each([
  ['another cluster', { cluster: 'beta' }, 'wrong-cluster'],
  ['another sender', { from: 'c' }, 'wrong-sender'],
  ['a line break in a key', { publicKey: 'ssh-ed25519 AAAA\nssh-rsa BBBB' }, 'malformed'],
  ['a key without an end', { hostKeys: ['x'.repeat(9000)] }, 'malformed'],
  ['keys without an end', { hostKeys: Array.from({ length: 40 }, () => 'x') }, 'malformed'],
])('%s is refused', (_what, change, problem) => {
  const { isDryRun: dryRun, ...rest } = REQUEST;
  const bytes = peerSchema().pairRequest.encode({ cluster: CLUSTER, from: 'a', dryRun, ...rest, ...change });
  expect(() => readPairRequest(bytes, { cluster: CLUSTER, from: A })).toThrow(
    expect.objectContaining({ problem }),
  );
  expect(readPairRequest(encodePairRequest(REQUEST, A, CLUSTER), { cluster: CLUSTER, from: A })).toEqual(
    REQUEST,
  );
});

it('an answer of another node is none', () => {
  const { changes, ...keys } = ANSWER;
  const bytes = peerSchema().pairAnswer.encode({ cluster: CLUSTER, node: 'c', ...keys, changes });
  expect(() => readPairAnswer(bytes, { cluster: CLUSTER, node: B })).toThrow(/not of b/);
});
