import { expect, test } from 'vitest';
import { pair, VirtualCluster } from '../../support/virtual-cluster.ts';

test.each([1, 2])(
  'D4: two nodes whose executors cannot hold pass the leadership on ever more slowly, and the log stays small (seed %i)',
  (seed) => {
    const cluster = new VirtualCluster(pair({ seed, cannotHold: ['a', 'b'] }));
    cluster.run(60_000);
    expect(cluster.holders).toEqual([]);
    const entries = cluster.node('w').observe().lastIndex;
    expect(entries).toBeGreaterThan(2); // both have tried
    expect(entries).toBeLessThan(40);
  },
);

test('H6: one of them cannot hold: the other does, and the log says so once', () => {
  const cluster = new VirtualCluster(pair({ seed: 3, cannotHold: ['a'] }));
  expect(cluster.settle()).toBe('b');
  cluster.run(10_000);
  expect(cluster.holders).toEqual(['b']);
});

const setAside = (cluster: VirtualCluster, leader: string, node: string) =>
  expect(
    cluster.act(leader, (alive, now) => alive.propose({ kind: 'standby', node, standby: true }, now)),
  ).toBe('accepted');

test.each([1, 2])('D4: both in sync and on standby: one leads, and the other lets it (seed %i)', (seed) => {
  const cluster = new VirtualCluster(pair({ seed }));
  const holder = cluster.settle();
  const other = holder === 'a' ? 'b' : 'a';
  setAside(cluster, holder, other);
  cluster.crash(holder);
  cluster.until('the other one stands aside', () => cluster.leader === other);
  cluster.run(1_000);
  setAside(cluster, other, holder);
  cluster.boot(holder);
  const before = cluster.node('w').observe().term;
  cluster.run(12_000);
  expect(cluster.holders).toEqual([]);
  expect(cluster.node('w').observe().term - before).toBeLessThan(20);
});

test.each([1, 2])(
  'D4: one on standby, and the executor of the other cannot hold: ever more slowly, too (seed %i)',
  (seed) => {
    const cluster = new VirtualCluster(pair({ seed, cannotHold: ['a'] }));
    expect(cluster.settle()).toBe('b');
    setAside(cluster, 'b', 'b');
    cluster.run(100);
    cluster.crash('b');
    cluster.run(2_000);
    cluster.boot('b');
    const before = cluster.node('w').observe().term;
    cluster.run(5_000);
    expect(cluster.holders).toEqual([]);
    expect(cluster.node('w').observe().term - before).toBeLessThan(20);
  },
);
