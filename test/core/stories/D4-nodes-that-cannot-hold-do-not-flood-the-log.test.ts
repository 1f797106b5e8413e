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
