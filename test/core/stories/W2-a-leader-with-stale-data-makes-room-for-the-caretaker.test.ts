import { expect, test } from 'vitest';
import { pair, VirtualCluster } from '../../support/virtual-cluster.ts';

test.each([3, 4, 5, 6])(
  'W2, H3: the node with the data reaches only the witness, and the stale one leads: it steps down and the caretaker chooses the right one (seed %i)',
  (seed) => {
    const cluster = new VirtualCluster(pair({ seed }));
    const holder = cluster.settle();
    const stale = holder === 'a' ? 'b' : 'a';
    cluster.isolate(stale);
    cluster.run(300);
    const outdated = { kind: 'peer-outdated', peer: stale } as const;
    expect(cluster.act(holder, (node, now) => node.propose(outdated, now))).toBe('accepted');
    cluster.run(500);
    cluster.heal();
    cluster.run(500);
    cluster.cut(holder, stale);
    cluster.crash(holder, 'keep', 'releases');
    cluster.until('the stale node leads', () => cluster.leader === stale);
    cluster.boot(holder);
    const { promiseMs } = cluster.see('w');
    cluster.until('the node with the data holds', () => cluster.holders[0] === holder, 24 * promiseMs);
  },
);
