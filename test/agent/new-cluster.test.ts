/** H7, D2: who takes the first entry of a new cluster. */
import { describe, expect, it } from 'vitest';
import { firstEntry } from '../../src/agent/bootstrap.ts';
import { NewCluster } from '../../src/agent/new-cluster.ts';
import type { Config } from '../../src/config/index.ts';
import { deriveTiming, type Input, type NodeId, nodeId, term } from '../../src/core/index.ts';
import { QuorateError } from '../../src/errors.ts';

const [a, b] = [nodeId('a'), nodeId('b')];
const timing = deriveTiming({
  ...{ heartbeatMs: 100, leaseMs: 500, guardMs: 25, watchdogTimeoutMs: null, clockErrorRate: 0.005 },
  releaseMs: 1000,
});
const config = {
  ...{ node: a, cluster: 'test', file: 'a.yaml' },
  members: [a, b].map((id) => ({ id, witness: false, peer: `${id}:1`, zone: null })),
} as unknown as Config;
const ENTRY = firstEntry(config, timing, [a]);

/** A node without a log that knows of this term. */
function newCluster(ofTerm: number, onFirst: () => void = () => {}) {
  const inputs: Input[] = [];
  const asked: string[] = [];
  const cluster = new NewCluster({
    ...{ config, timing, onFirst },
    driver: {
      view: { log: { hashAt: () => null, lastIndex: 0 }, hard: { term: term(ofTerm) } },
      input: (input: Input) => void inputs.push(input),
    } as never,
    transport: { isUp: () => true, sendBootstrap: async (address) => void asked.push(address) },
    others: new Map<NodeId, string>([[b, 'b:1']]),
    probes: () => ({ disk: 'up-to-date', peers: {} }) as never,
    until: async () => true,
  });
  return { cluster, inputs, asked };
}
const refused = { code: 'already-bootstrapped', message: expect.stringContaining('has no log, but') };

describe('the first entry of a new cluster', () => {
  it('is taken and given where nobody has begun', async () => {
    const { cluster, inputs, asked } = newCluster(0);
    await cluster.accept(ENTRY);
    await cluster.bootstrap([a]);
    expect(inputs.map(({ kind }) => kind)).toEqual(['bootstrap', 'bootstrap', 'begin']);
    expect(asked).toEqual(['b:1']);
  });

  it('is refused by a node without a log that has heard of a term: it is new there, or has lost its disk', async () => {
    const { cluster, inputs, asked } = newCluster(3);
    await expect(cluster.accept(ENTRY)).rejects.toMatchObject(refused);
    await expect(cluster.bootstrap([a])).rejects.toMatchObject(refused);
    expect([inputs, asked]).toEqual([[], []]);
  });

  it('is refused where a leader has sent its log first', async () => {
    const { cluster, inputs, asked } = newCluster(0, () => {
      throw new QuorateError('already-bootstrapped', 'a has no log, but a leader has sent it one');
    });
    await expect(cluster.accept(ENTRY)).rejects.toMatchObject(refused);
    await expect(cluster.bootstrap([a])).rejects.toMatchObject(refused);
    expect([inputs, asked]).toEqual([[], []]);
  });
});
