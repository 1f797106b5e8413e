/** Operators' orders to real agents, in a simulated cluster: done once, by id; refused with the reason for programs. */
import { describe, expect, it } from 'vitest';
import { nodeId } from '../../src/core/index.ts';
import { OrderBench } from '../support/order-bench.ts';

class Bench extends OrderBench {
  get epoch(): number {
    return this.cluster.leader?.view?.state.tenure?.epoch ?? 0;
  }
  /** Entries of the newest log. */
  count(kind: string): number {
    return this.cluster.consensus.committed.filter(({ body }) => body.kind === kind).length;
  }
}

const order = (requestId: string, expectedEpoch: number | null = null) => ({
  ...{ who: 'root', why: '', requestId, expectedEpoch },
});
const moveOrder = (requestId: string, expectedEpoch: number | null = null) => ({
  ...{ ...order(requestId, expectedEpoch), to: null, dryRun: false },
});

describe('a request id', () => {
  it('repeated to the next leader moves nothing again, and says how it ended', async () => {
    const bench = await Bench.begin();
    const [from, to] = [bench.holder, bench.other];
    const first = await bench.ask(from, (backend) => backend.switchover(moveOrder('request-1')));
    expect(first).toMatchObject({ from, to, alreadyDone: false });
    await bench.until(() => bench.cluster.whatIsMissing() === null);
    const again = await bench.ask(to, (backend) => backend.switchover(moveOrder('request-1')));
    expect(again).toMatchObject({ from, to, alreadyDone: true, epoch: first.epoch, steps: first.steps });
    expect([bench.holder, bench.count('operator'), bench.count('tenure-granted')]).toEqual([to, 1, 2]);
  });

  it('given twice at the same time is one switchover, and two answers', async () => {
    const bench = await Bench.begin();
    const from = bench.holder;
    const both = await bench.ask(from, (backend) =>
      Promise.all([1, 2].map(() => backend.switchover(moveOrder('request-2')))),
    );
    expect(both[0]).toEqual(both[1]);
    expect(bench.count('operator')).toBe(1);
  });

  it('survives the death of the leader that was asked, whatever became of the request', async () => {
    const bench = await Bench.begin();
    const from = bench.holder;
    bench.cluster
      .node(from)
      .ask((backend) => void backend.switchover(moveOrder('request-3')).catch(() => undefined));
    await bench.until(() => bench.count('operator') === 1);
    bench.cluster.node(from).killAgent();
    await bench.until(() => bench.cluster.whatIsMissing() === null);
    const leader = bench.cluster.leader?.id ?? '';
    const outcome = await bench.ask(leader, (backend) =>
      backend.switchover(moveOrder('request-3')).then(
        (done) => done.to as string,
        (error: { code: string }) => error.code,
      ),
    );
    expect([bench.holder, 'switchover-failed']).toContain(outcome);
    expect(bench.count('operator')).toBe(1);
  });

  it('of another request is refused, and so is what cannot be one', async () => {
    const bench = await Bench.begin();
    const { holder, other } = bench;
    const asked = (requestId: string) => ({ ...order(requestId), node: nodeId(other) });
    await bench.ask(holder, (backend) => backend.standby(asked('request-4')));
    await expect(bench.ask(holder, (backend) => backend.activate(asked('request-4')))).rejects.toMatchObject({
      code: 'request-id-reused',
    });
    await expect(bench.ask(holder, (backend) => backend.activate(asked('short')))).rejects.toMatchObject({
      code: 'usage',
    });
    const again = await bench.ask(holder, (backend) => backend.standby(asked('request-4')));
    expect(again).toMatchObject({ standby: true, alreadyDone: true, moved: null });
    expect(bench.count('standby')).toBe(1);
  });
});

it('a switchover without an id is an entry that agents can read which know of none', async () => {
  const bench = await Bench.begin();
  await bench.ask(bench.holder, (backend) => backend.switchover(moveOrder('')));
  const { body } = bench.cluster.consensus.committed.find((entry) => entry.body.kind === 'operator') ?? {};
  expect(Object.keys(body ?? {}).sort()).toEqual(['action', 'at', 'kind', 'who']);
});

it('what is so already is remembered by its id: its late repeat undoes nothing', async () => {
  const bench = await Bench.begin();
  const { holder, other } = bench;
  const resumed = await bench.ask(holder, (backend) => backend.resume(order('request-10')));
  expect(resumed).toMatchObject({ changed: false, alreadyDone: false });
  await bench.ask(holder, (backend) => backend.pause(order('request-11')));
  const again = await bench.ask(holder, (backend) => backend.resume(order('request-10')));
  expect([again.alreadyDone, bench.cluster.leader?.view?.state.pause]).toEqual([
    true,
    expect.objectContaining({ who: 'root' }),
  ]);
  await bench.ask(holder, (backend) => backend.resume(order('')));
  const active = { ...order('request-12'), node: nodeId(other) };
  expect((await bench.ask(holder, (backend) => backend.activate(active))).changed).toBe(false);
  await bench.ask(holder, (backend) => backend.standby({ ...order('request-13'), node: nodeId(other) }));
  await bench.ask(holder, (backend) => backend.activate(active));
  expect(bench.cluster.leader?.view?.state.standby).toEqual([other]);
  // Without an id nobody can ask again.
  const before = bench.count('pause');
  await bench.ask(holder, (backend) => backend.resume(order('')));
  expect(bench.count('pause')).toBe(before);
});

describe('an expected epoch', () => {
  it('that is not the open one is refused, with the one that is', async () => {
    const bench = await Bench.begin();
    const { holder, other, epoch } = bench;
    for (const wrong of [0, epoch + 1])
      await expect(
        bench.ask(holder, (backend) => backend.switchover(moveOrder(`request-${wrong}`, wrong))),
      ).rejects.toMatchObject({
        code: 'epoch-changed',
        context: { facts: { epoch: String(epoch) }, violations: [{ type: 'EPOCH', subject: holder }] },
      });
    expect(bench.count('operator')).toBe(0);
    const done = await bench.ask(holder, (backend) => backend.switchover(moveOrder('request-9', epoch)));
    expect(done.to).toBe(other);
    // Repeated it is not compared again: it was right when it was done.
    await bench.until(() => bench.cluster.whatIsMissing() === null);
    const again = await bench.ask(other, (backend) => backend.switchover(moveOrder('request-9', epoch)));
    expect(again.alreadyDone).toBe(true);
  });
});

describe('a refusal names every condition that was not met', () => {
  it('of a switchover: who is on standby, and that it is paused', async () => {
    const bench = await Bench.begin();
    const { holder, other } = bench;
    await bench.ask(holder, (backend) => backend.standby({ ...order('request-5'), node: nodeId(other) }));
    await bench.ask(holder, (backend) => backend.pause(order('request-6')));
    const move = bench.ask(holder, (backend) => backend.switchover(moveOrder('')));
    await expect(move).rejects.toMatchObject({
      code: 'cluster-paused',
      context: {
        violations: [
          { type: 'ACTIVE', subject: other },
          { type: 'NOT_PAUSED', subject: other },
        ],
      },
    });
    const aside = bench.ask(holder, (backend) => backend.standby({ ...order(''), node: nodeId(holder) }));
    await expect(aside).rejects.toMatchObject({ code: 'cluster-paused' });
    expect([bench.holder, bench.count('standby')]).toEqual([holder, 1]);
  });

  it('of who does not lead: the leader', async () => {
    const bench = await Bench.begin();
    const { holder, other } = bench;
    await expect(bench.ask(other, (backend) => backend.pause(order('')))).rejects.toMatchObject({
      code: 'not-leader',
      context: { facts: { leader: holder } },
    });
  });
});

it('the standby of a holder that cannot hand over is taken back', async () => {
  const bench = await Bench.begin();
  const { holder, other } = bench;
  // Its service cannot be stopped in order, so the release is undone (R1).
  bench.cluster.node(holder).options.programs.trouble.fails.set('svc stop', Number.POSITIVE_INFINITY);
  const aside = bench.ask(holder, (backend) =>
    backend.standby({ ...order('request-7'), node: nodeId(holder) }),
  );
  await expect(aside).rejects.toMatchObject({ code: 'switchover-failed' });
  await bench.until(() => bench.count('standby') === 2);
  expect(bench.cluster.leader?.view?.state.standby).toEqual([]);
  expect([bench.holder, other]).toEqual([holder, other]);
});

it('the standby of a holder whose release hangs is taken back when that is undone, and repeated it moves', async () => {
  const bench = await Bench.begin();
  const { holder, other } = bench;
  const { hangs, fails } = bench.cluster.node(holder).options.programs.trouble;
  hangs.set('svc stop', bench.cluster.world.now + 75_000);
  fails.set('svc stop', Number.POSITIVE_INFINITY);
  const aside = (id: string) => ({ ...order(id), node: nodeId(holder) });
  const first = bench.ask(holder, (backend) => backend.standby(aside('request-14')));
  await expect(first).rejects.toMatchObject({ code: 'timed-out-unknown' });
  // Still releasing: what it will come to is not known, so that "nothing to do" would be wrong.
  const second = bench.ask(holder, (backend) => backend.standby(aside('request-15')));
  await expect(second).rejects.toMatchObject({ code: 'refused-unsafe' });
  expect(bench.count('standby')).toBe(1);
  await bench.until(() => bench.count('standby') === 2);
  expect([bench.holder, bench.cluster.leader?.view?.state.standby]).toEqual([holder, []]);
  hangs.clear();
  fails.clear();
  const moved = await bench.ask(holder, (backend) => backend.standby(aside('request-16')));
  expect(moved.moved).toMatchObject({ from: holder, to: other });
});

it('a switchover whose release hangs ends in the log, too, once that is undone', async () => {
  const bench = await Bench.begin();
  const { holder } = bench;
  const { hangs, fails } = bench.cluster.node(holder).options.programs.trouble;
  hangs.set('svc stop', bench.cluster.world.now + 75_000);
  fails.set('svc stop', Number.POSITIVE_INFINITY);
  const move = () => bench.ask(holder, (backend) => backend.switchover(moveOrder('request-17')));
  await expect(move()).rejects.toMatchObject({ code: 'timed-out-unknown' });
  await bench.until(() => bench.count('operator-result') === 1);
  await expect(move()).rejects.toMatchObject({ code: 'switchover-failed' });
  expect([bench.holder, bench.count('operator')]).toEqual([holder, 1]);
});
