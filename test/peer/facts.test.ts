/** What nodes say about themselves to each other: the codec, and the call over real gRPC. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { nodeId } from '../../src/core/index.ts';
import { WireError } from '../../src/peer/codec.ts';
import {
  decodeFacts,
  decodePools,
  encodeFacts,
  encodeFactsRequest,
  readFactsRequest,
} from '../../src/peer/facts.ts';
import { askFacts, askPools, type NodeFacts } from '../../src/peer/index.ts';
import { LIMITS } from '../../src/peer/limits.ts';
import { peerSchema } from '../../src/peer/schema.ts';
import type { WireFacts } from '../../src/peer/wire.ts';
import { testTls } from '../support/pki.ts';
import { A, B, CLUSTER, closeAll, startNode } from './harness.ts';

const FACTS: NodeFacts = {
  node: B,
  version: '0.1.0',
  nodeVersion: '20.19.0',
  config: { members: 'f'.repeat(64), timing: '0'.repeat(64) },
  wallMs: 1_795_694_887_316.5,
  fitness: { ok: false, why: 'b has no promise to a (L2)' },
  hostId: 'bab10c',
};
const expected = { cluster: CLUSTER, node: B };
const forged = (change: Partial<WireFacts>): Buffer =>
  peerSchema().facts.encode({
    ...{ ...FACTS, config: { ...FACTS.config }, cluster: CLUSTER, hostId: '' },
    ...change,
  });

describe('the bytes', () => {
  it('are the same after the wire', () => {
    expect(decodeFacts(encodeFacts(FACTS, CLUSTER), expected)).toEqual(FACTS);
    expect(() =>
      readFactsRequest(encodeFactsRequest(A, CLUSTER), { cluster: CLUSTER, from: A }),
    ).not.toThrow();
  });

  it('of version 1 are still read', () => {
    const file = new URL('./facts.golden.json', import.meta.url);
    const { request, facts } = JSON.parse(readFileSync(file, 'utf8')) as { request: string; facts: string };
    expect(decodeFacts(Buffer.from(facts, 'hex'), expected)).toEqual({
      ...FACTS,
      fitness: null,
      hostId: null,
    });
    expect(() => readFactsRequest(Buffer.from(request, 'hex'), { cluster: CLUSTER, from: A })).not.toThrow();
  });

  it.each([
    ['another cluster', { cluster: 'beta' }, 'wrong-cluster'],
    ['another node', { node: 'c' }, 'wrong-sender'],
    ['a long version', { version: 'x'.repeat(LIMITS.factsCharacters + 1) }, 'malformed'],
    ['a version that moves the cursor', { version: '\u001b[2J' }, 'malformed'],
    ['a long hash', { config: { members: 'f'.repeat(LIMITS.factsCharacters + 1) } }, 'malformed'],
    [
      'too many parts',
      {
        config: Object.fromEntries(Array.from({ length: LIMITS.factsParts + 1 }, (_, at) => [`p${at}`, 'f'])),
      },
      'malformed',
    ],
    ['no time', { wallMs: Number.NaN }, 'malformed'],
    ['a reason that moves the cursor', { fitness: { ok: true, why: '\u001b[2J' } }, 'malformed'],
    [
      'a reason without an end',
      { fitness: { ok: true, why: 'x'.repeat(LIMITS.fitnessCharacters + 1) } },
      'malformed',
    ],
    ['a host id that is none', { hostId: '0xa' }, 'malformed'],
    ['a time before all times', { wallMs: -1 }, 'malformed'],
  ])('%s is refused', (_what, change, problem) => {
    expect(() => decodeFacts(forged(change), expected)).toThrow(expect.objectContaining({ problem }));
  });

  it('of any kind give facts or a WireError, nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeFacts(Buffer.from(bytes), expected);
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
    );
  });
});

describe('what the pools hold', () => {
  it('travels with the facts where it is asked for, and is nothing of theirs', () => {
    const request = encodeFactsRequest(A, CLUSTER, true);
    expect(readFactsRequest(request, { cluster: CLUSTER, from: A })).toEqual({ pools: true });
    expect(readFactsRequest(encodeFactsRequest(A, CLUSTER), { cluster: CLUSTER, from: A })).toEqual({
      pools: false,
    });
    const bytes = encodeFacts(FACTS, CLUSTER, 'H4sIAA==');
    expect(decodePools(bytes, expected)).toBe('H4sIAA==');
    expect(decodeFacts(bytes, expected)).toEqual(FACTS);
    expect(decodePools(encodeFacts(FACTS, CLUSTER), expected)).toBeNull();
  });

  it.each([
    ['letters of a terminal', { pools: '\u001b[2J' }, 'malformed'],
    ['more than a message takes', { pools: 'A'.repeat(LIMITS.poolsCharacters + 4) }, 'malformed'],
    ['another node', { pools: 'AAAA', node: 'c' }, 'wrong-sender'],
  ])('%s is refused', (_what, change, problem) => {
    expect(() => decodePools(forged(change), expected)).toThrow(expect.objectContaining({ problem }));
  });
});

describe('a peer', () => {
  afterEach(closeAll);
  const ask = async (address: string, change: Partial<Parameters<typeof askFacts>[1]> = {}) =>
    askFacts(address, {
      tls: await testTls(CLUSTER, 'a'),
      cluster: CLUSTER,
      from: A,
      to: B,
      times: 3,
      deadlineMs: 10_000,
      ...change,
    });
  const peerWith = async (facts?: () => NodeFacts) => {
    const node = await startNode(B, facts === undefined ? {} : { facts });
    node.transport.setPeers(new Map([[A, '127.0.0.1:1']]));
    return node;
  };

  it('answers as often as it is asked, each answer with its time', async () => {
    let count = 0;
    const node = await peerWith(() => {
      count += 1;
      return FACTS;
    });
    const answers = await ask(node.address);
    expect(answers.map(({ facts }) => facts)).toEqual([FACTS, FACTS, FACTS]);
    for (const { roundTripMs, askedAtMs } of answers) {
      expect(roundTripMs).toBeGreaterThan(0);
      expect(Math.abs(askedAtMs - Date.now())).toBeLessThan(60_000);
    }
    // The first one makes the connection, and is not counted.
    expect(count).toBe(4);
  });

  it('says what its pools hold, up to the limit, or why not', async () => {
    const whole = 'A'.repeat(LIMITS.poolsCharacters);
    let answer = async (): Promise<string> => whole;
    const node = await startNode(B, { facts: () => FACTS, pools: () => answer() });
    node.transport.setPeers(new Map([[A, '127.0.0.1:1']]));
    const tls = await testTls(CLUSTER, 'a');
    const question = () =>
      askPools(node.address, { tls, cluster: CLUSTER, from: A, to: B, deadlineMs: 10_000 });
    expect(await question()).toBe(whole);
    answer = () => Promise.reject(new Error('its executor is gone'));
    await expect(question()).rejects.toMatchObject({
      code: 'peer-refused',
      message: expect.stringContaining('its executor is gone'),
    });
  });

  it('that says nothing about itself refuses', async () => {
    const node = await peerWith();
    await expect(ask(node.address)).rejects.toMatchObject({ code: 'peer-refused' });
  });

  it('refuses who is no member, and who is not who it says', async () => {
    const node = await peerWith(() => FACTS);
    await expect(
      ask(node.address, { tls: await testTls(CLUSTER, 'c'), from: nodeId('c') }),
    ).rejects.toMatchObject({
      code: 'peer-refused',
      message: expect.stringContaining('is not a member'),
    });
    await expect(ask(node.address, { from: nodeId('c') })).rejects.toMatchObject({
      code: 'peer-refused',
      message: expect.stringContaining('with the certificate of a'),
    });
  });

  it('that says it is somebody else is not believed', async () => {
    const node = await peerWith(() => ({ ...FACTS, node: nodeId('c') }));
    await expect(ask(node.address)).rejects.toMatchObject({ code: 'peer-refused' });
  });

  it('that is not there is unreachable, at the deadline at the latest', async () => {
    await expect(ask('127.0.0.1:1', { deadlineMs: 300 })).rejects.toMatchObject({ code: 'peer-unreachable' });
  });

  it('can be given up', async () => {
    await expect(ask('127.0.0.1:1', { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'peer-unreachable',
    });
  });
});
