/** D2: real agents in virtual time on a disk that was replaced by a blank one. */
import { expect, it } from 'vitest';
import { nodeId } from '../../src/core/index.ts';
import { EXIT } from '../../src/errors.ts';
import { SPARE_WITNESS } from '../simulation/cluster.ts';
import { addressOf } from '../simulation/node/node.ts';
import { OrderBench } from '../support/order-bench.ts';

const order = (id: string) => ({ node: nodeId(id), why: 'a test', who: 'root' });

class Bench extends OrderBench {
  async join(id: string): Promise<void> {
    const node = this.cluster.node(id);
    const learner = { peer: addressOf(id), zone: '', witness: true, snapshots: false };
    await this.ask(this.holder, (backend) =>
      backend.addMember({ ...order(id), ...learner, requestId: 'add-a-learner' }),
    );
    node.mayStart = true;
    node.startAgent();
    await this.ask(this.holder, (backend) =>
      backend.promoteMember({ ...order(id), requestId: 'promote-it' }),
    );
  }
  /** Its host is off for a moment, and comes back with an empty directory. */
  replaceDisk(id: string): void {
    const { host, disk } = this.cluster.node(id);
    // The simulator would say at once what this node has to find out by itself: that it forgot what it had promised.
    const { consensus } = this.cluster;
    consensus.nodes = consensus.nodes.filter((node) => node.id !== id);
    host.powerOff();
    disk.replace();
    host.powerOn();
  }
  lostStarts(id: string): number {
    return this.cluster.node(id).exits.get(EXIT.hardState) ?? 0;
  }
}

it('a member that was promoted later is refused on a blank disk, at the first start and at every later one', async () => {
  const bench = await Bench.begin();
  await bench.join(SPARE_WITNESS);
  const { disk } = bench.cluster.node(SPARE_WITNESS);
  await bench.until(() => disk.mark === null && disk.log.records.size > 3);
  expect(bench.lostStarts(SPARE_WITNESS)).toBe(0);

  bench.replaceDisk(SPARE_WITNESS);
  await bench.until(() => bench.lostStarts(SPARE_WITNESS) === 1);
  expect(disk.mark).toMatchObject({ kind: 'lost' });
  const { log } = disk;
  for (const start of [2, 3]) {
    bench.cluster.node(SPARE_WITNESS).startAgent();
    await bench.until(() => bench.lostStarts(SPARE_WITNESS) === start);
  }
  expect(disk.log).toBe(log);
}, 60_000);

it('a member from the beginning is refused on a blank disk whenever its first start is killed', async () => {
  const bench = await Bench.begin();
  const { world } = bench.cluster;
  const node = bench.cluster.node('w');
  expect(node.disk.mark).toBeNull();
  // So that a kill comes between the hard state, what a first append says, and that the disk is lost.
  node.disk.writeMs = [10, 30];
  for (const ms of [5, 15, 30, 45, 60, 90, 200]) {
    bench.replaceDisk('w');
    const before = bench.lostStarts('w');
    await bench.until(() => node.view !== null || bench.lostStarts('w') > before);
    const killedAt = world.now + ms;
    await bench.until(() => world.now >= killedAt);
    if (!node.killAgent()) node.startAgent();
    const lost = bench.lostStarts('w') + 1;
    await bench.until(() => bench.lostStarts('w') === lost);
    expect(node.disk.mark).toMatchObject({ kind: 'lost', index: 1 });
    expect(node.disk.log.records.size).toBe(0);
  }
}, 60_000);
