/** The demo's observer, which says that nobody saw two holders, must be able to see them. */
import { expect, test } from 'vitest';
import type { LocalCluster } from '../../cluster/local/cluster.ts';
import { Observer } from '../../cluster/local/demo/observer.ts';
import { eventually } from './support/eventually.ts';

/** As much of a LocalCluster as the observer looks at; who can write, and where the address leads, is said by the test. */
class FakeCluster {
  readonly dataNodes = ['a', 'b'];
  writers = new Set<string>();
  leadsTo: string | null = null;
  answers = false;

  plan(id: string): { interface: string } {
    return { interface: `eni-${id}` };
  }
  canWrite(id: string): Promise<boolean> {
    return Promise.resolve(this.writers.has(id));
  }
  controllerCall(): Promise<unknown> {
    const target = this.leadsTo === null ? null : { interfaceId: `eni-${this.leadsTo}` };
    return Promise.resolve({ forwards: [{ target }] });
  }
  client(): Promise<{ ask: () => Promise<string>; close: () => void }> {
    if (!this.answers) return Promise.reject(new Error('refused'));
    return Promise.resolve({ ask: () => Promise.resolve('count 1'), close: () => undefined });
  }
}

async function watched(act: (cluster: FakeCluster, looks: (more: number) => Promise<void>) => Promise<void>) {
  const cluster = new FakeCluster();
  // The gateway of this test: the fake has what the observer uses.
  const observer = new Observer(cluster as unknown as LocalCluster);
  observer.start();
  await act(cluster, async (more) => {
    const enough = observer.looks + more;
    await eventually('it has looked', () => observer.looks >= enough, 5_000);
  });
  await observer.stop();
  return observer.maxHolders;
}

test('nobody holds: 0', async () => {
  expect(await watched((_, looks) => looks(5))).toBe(0);
});

test('two nodes can write at once: 2', async () => {
  const most = await watched(async (cluster, looks) => {
    cluster.writers = new Set(['a', 'b']);
    await looks(5);
  });
  expect(most).toBe(2);
});

test('one can write while the address leads to the other, and answers: 2', async () => {
  const most = await watched(async (cluster, looks) => {
    cluster.writers = new Set(['a']);
    cluster.leadsTo = 'b';
    cluster.answers = true;
    await looks(5);
  });
  expect(most).toBe(2);
});

test('the address leads to the other, but nobody answers there: 1', async () => {
  const most = await watched(async (cluster, looks) => {
    cluster.writers = new Set(['a']);
    cluster.leadsTo = 'b';
    await looks(5);
  });
  expect(most).toBe(1);
});

test('proper moves, there and back: 1', async () => {
  const most = await watched(async (cluster, looks) => {
    for (const holder of ['a', 'b', 'a']) {
      cluster.writers = new Set([holder]);
      cluster.leadsTo = holder;
      cluster.answers = true;
      await looks(20);
      cluster.writers = new Set();
      cluster.leadsTo = null;
      cluster.answers = false;
      await looks(2);
    }
  });
  expect(most).toBe(1);
});
