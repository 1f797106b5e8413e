/**
 * An operator's orders while a voter of an older version answers, which cannot read a request id in the log: they are carried out, the
 * answer says that the id is not in the log, and a repeat moves nothing twice.
 */
import { describe, expect, it } from 'vitest';
import { nodeId } from '../../src/core/index.ts';
import { OrderBench } from '../support/order-bench.ts';

class Bench extends OrderBench {
  count(kind: string): number {
    return this.cluster.consensus.committed.filter(({ body }) => body.kind === kind).length;
  }
  body(kind: string): object {
    return this.cluster.consensus.committed.find((entry) => entry.body.kind === kind)?.body ?? {};
  }
  isWhole(): Promise<void> {
    return this.until(() => this.cluster.whatIsMissing() === null);
  }
  /** As an agent of before there were formats, or as one of this version. */
  makeOlder(id: string, isOlder = true): void {
    const node = this.cluster.node(id);
    node.saysFormat = isOlder ? null : (this.cluster.node(this.holder).saysFormat ?? 3);
  }
  get epoch(): number {
    const { tenure } = this.cluster.leader?.view?.state ?? {};
    return tenure === undefined || tenure === null || tenure.released ? 0 : tenure.epoch;
  }
  async move(of: string, requestId: string, to: string | null, expectedEpoch: number | null = this.epoch) {
    const order = { who: 'root', requestId, expectedEpoch, dryRun: false };
    return this.ask(of, (backend) => backend.switchover({ ...order, to: to === null ? null : nodeId(to) }));
  }
}

describe('a switchover in mid-upgrade', () => {
  it('is an entry that the older voter can read, and says that its id is not in the log', async () => {
    const bench = await Bench.begin();
    const [from, to] = [bench.holder, bench.other];
    bench.makeOlder('w');
    const moved = await bench.move(from, 'request-m1', to);
    expect(moved).toMatchObject({ from, to, alreadyDone: false, idNotInLog: true });
    expect(Object.keys(bench.body('operator')).sort()).toEqual(['action', 'at', 'kind', 'who']);
    // The next leader does not know the id, and finds that node holding.
    await bench.isWhole();
    await expect(bench.move(to, 'request-m1', to)).rejects.toMatchObject({
      code: 'refused-unsafe',
      context: { violations: expect.arrayContaining([expect.objectContaining({ type: 'OTHER_NODE' })]) },
    });
    expect([bench.holder, bench.count('operator'), bench.count('tenure-granted')]).toEqual([to, 1, 2]);
  });

  it('repeated with the epoch that was meant moves nothing, whoever has moved it back since', async () => {
    const bench = await Bench.begin();
    const [from, to] = [bench.holder, bench.other];
    bench.makeOlder('w');
    const { epoch } = bench;
    await bench.move(from, 'request-m2', to, epoch);
    await bench.isWhole();
    await bench.move(to, 'request-m3', from);
    await bench.isWhole();
    // This process has given the order, and knows how it ended; a new one does not.
    expect(await bench.move(from, 'request-m2', to, epoch)).toMatchObject({
      ...{ to, alreadyDone: true, idNotInLog: true },
    });
    bench.cluster.node(from).killAgent();
    await bench.isWhole();
    await expect(bench.move(bench.holder, 'request-m2', to, epoch)).rejects.toMatchObject({
      code: 'epoch-changed',
    });
    expect(bench.count('operator')).toBe(2);
  });

  it('that does not name its node is refused with what to do: a repeat would move it back', async () => {
    const bench = await Bench.begin();
    const { holder, other } = bench;
    bench.makeOlder('w');
    await expect(bench.move(holder, 'request-m4', null)).rejects.toMatchObject({
      code: 'refused-unsafe',
      message: expect.stringMatching(/w cannot read the request id.*--to/s),
      context: { violations: [{ type: 'FORMAT', subject: holder }] },
    });
    expect(bench.count('operator')).toBe(0);
    // Without an id nobody repeats it.
    expect(await bench.move(holder, '', null)).toMatchObject({ to: other, idNotInLog: false });
  });

  it('with an id that does not say which epoch it ends is refused: a repeat could not be told from a new order', async () => {
    const bench = await Bench.begin();
    const { holder, other } = bench;
    bench.makeOlder('w');
    const remedy = new RegExp(
      `w cannot read the request id.*--expect-epoch \\(now it would be ${bench.epoch}\\)`,
    );
    await expect(bench.move(holder, 'request-m8', other, null)).rejects.toMatchObject({
      code: 'refused-unsafe',
      message: expect.stringMatching(remedy),
      context: { violations: [{ type: 'EPOCH_NEEDED', subject: holder }] },
    });
    await expect(bench.move(holder, 'request-m8', null, null)).rejects.toMatchObject({
      context: { violations: [{ type: 'FORMAT' }, { type: 'EPOCH_NEEDED' }] },
    });
    expect(bench.count('operator')).toBe(0);
    expect(await bench.move(holder, '', other, null)).toMatchObject({ to: other, idNotInLog: false });
  });

  it('repeated without its node after the upgrade was finished moves nothing back: its epoch has ended', async () => {
    const bench = await Bench.begin();
    const [from, to] = [bench.holder, bench.other];
    bench.makeOlder('w');
    const { epoch } = bench;
    await bench.move(from, 'request-m9', to, epoch);
    await bench.isWhole();
    bench.makeOlder('w', false);
    await expect(bench.move(to, 'request-m9', null, epoch)).rejects.toMatchObject({ code: 'epoch-changed' });
    expect([bench.holder, bench.count('operator')]).toEqual([to, 1]);
  });

  it('whose outcome is not known says that its id is not in the log, and how it ended once that shows', async () => {
    const bench = await Bench.begin();
    const [from, to] = [bench.holder, bench.other];
    bench.makeOlder('w');
    const { hangs, fails } = bench.cluster.node(from).options.programs.trouble;
    const undoneAt = bench.cluster.world.now + 75_000;
    hangs.set('svc stop', undoneAt);
    fails.set('svc stop', Number.POSITIVE_INFINITY);
    await expect(bench.move(from, 'request-m10', to)).rejects.toMatchObject({
      code: 'timed-out-unknown',
      message: expect.stringContaining('the log has no id of this request'),
      context: { facts: { id_not_in_log: 'true' } },
    });
    // The log cannot say that it has failed, an older voter could not read that either.
    await bench.until(() => bench.cluster.world.now > undoneAt + 5_000);
    await expect(bench.move(from, 'request-m10', to)).rejects.toMatchObject({
      code: 'switchover-failed',
      message: expect.stringContaining('it was asked before'),
    });
    expect([bench.holder, bench.count('operator'), bench.count('operator-result')]).toEqual([from, 1, 0]);
  });

  it('that has failed says so to a repeat, and is not tried again', async () => {
    const bench = await Bench.begin();
    const [from, to] = [bench.holder, bench.other];
    bench.makeOlder('w');
    const { fails } = bench.cluster.node(from).options.programs.trouble;
    fails.set('svc stop', Number.POSITIVE_INFINITY);
    await expect(bench.move(from, 'request-m5', to)).rejects.toMatchObject({ code: 'switchover-failed' });
    fails.clear();
    await expect(bench.move(from, 'request-m5', to)).rejects.toMatchObject({
      code: 'switchover-failed',
      message: expect.stringContaining('it was asked before'),
    });
    expect([bench.holder, bench.count('operator')]).toEqual([from, 1]);
  });

  it('given twice at the same time is one', async () => {
    const bench = await Bench.begin();
    const [from, to] = [bench.holder, bench.other];
    bench.makeOlder('w');
    const both = await Promise.all([1, 2].map(() => bench.move(from, 'request-m6', to)));
    expect(both[0]).toEqual(both[1]);
    expect(bench.count('operator')).toBe(1);
  });

  it('has its id in the log again once all are upgraded', async () => {
    const bench = await Bench.begin();
    const [from, to] = [bench.holder, bench.other];
    bench.makeOlder('w');
    bench.makeOlder('w', false);
    expect(await bench.move(from, 'request-m7', to)).toMatchObject({ idNotInLog: false });
    expect(bench.body('operator')).toMatchObject({ request: 'request-m7', to });
  });
});

describe('a failover in mid-upgrade', () => {
  it('is carried out with an older witness, once, and what it gives up is told again', async () => {
    const bench = await Bench.begin();
    const [from, to] = [bench.holder, bench.other];
    const { cluster } = bench;
    bench.makeOlder('w');
    for (const id of [from, 'w']) {
      cluster.network.cut(to, id, 6_000);
      cluster.network.cut(id, to, 6_000);
    }
    await bench.until(() => cluster.leader?.view?.state.inSync.includes(nodeId(to)) === false);
    cluster.node(from).mayStart = false;
    cluster.node(from).host.powerOff();
    await bench.until(() => cluster.leader?.id === to && cluster.leader.view?.commitIndex !== 0);
    const order = { to: nodeId(to), why: 'its peer is gone', acceptDataLoss: true, dryRun: false };
    const force = (requestId: string, expectedEpoch: number | null = bench.epoch) =>
      bench.ask(to, (backend) => backend.failover({ ...order, who: 'root', requestId, expectedEpoch }));
    await bench.until(
      () => (cluster.leader?.view?.now ?? 0) > (cluster.leader?.view?.leadership?.electedAt ?? 0) + 5_000,
    );
    await expect(force('request-f1', null)).rejects.toMatchObject({
      context: { violations: [{ type: 'EPOCH_NEEDED' }] },
    });
    const forced = await force('request-f1');
    expect(forced).toMatchObject({ to, alreadyDone: false, idNotInLog: true });
    expect(bench.body('forced')).not.toHaveProperty('request');
    const again = await force('request-f1');
    expect(again).toMatchObject({
      ...{ alreadyDone: true, idNotInLog: true, epoch: forced.epoch, mayLose: forced.mayLose },
    });
    // A process that does not know the id finds the node in sync: there is nothing to force.
    await expect(force('request-f2')).rejects.toMatchObject({ code: 'refused-unsafe' });
    expect([bench.count('forced'), bench.holder]).toEqual([1, to]);
  });
});

it('what only a newer version can read stays refused: there is no other way to say it', async () => {
  const bench = await Bench.begin();
  const { holder, other } = bench;
  bench.makeOlder('w');
  const said = { who: 'root', why: '', requestId: 'request-p1', expectedEpoch: null };
  const refused = { context: { violations: [{ type: 'FORMAT' }] } };
  const aside = { ...said, node: nodeId(other) };
  await expect(bench.ask(holder, (backend) => backend.pause(said))).rejects.toMatchObject(refused);
  await expect(bench.ask(holder, (backend) => backend.standby(aside))).rejects.toMatchObject(refused);
});
