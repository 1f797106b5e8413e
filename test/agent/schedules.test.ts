/** Switchovers at a later time, in a simulated cluster: begun once, in time, for the tenure that was meant, by whoever leads then. */
import { describe, expect, it } from 'vitest';
import { SCHEDULE_GRACE_MS } from '../../src/agent/schedule-orders.ts';
import { nodeId } from '../../src/core/index.ts';
import { ScheduleBench as Bench, IN_MS } from '../support/schedule-bench.ts';

describe('a scheduled switchover', () => {
  it('is begun at its time and not before, once, and whoever holds then says that it is done', async () => {
    const bench = await Bench.begin();
    const [from, to] = [bench.holder, bench.other];
    const began = bench.cluster.world.now;
    const { schedule } = await bench.schedule({ to });
    expect(schedule).toMatchObject({ to, state: 'waiting', outcome: null, who: 'root' });
    await bench.pass(500);
    expect(await bench.shown(to)).toMatchObject({ id: schedule?.id, state: 'waiting' });
    await bench.pass(IN_MS - 1_000);
    expect([bench.holder, bench.bodies('switchover-begun').length]).toEqual([from, 0]);
    expect(await bench.end()).toMatchObject({ of: schedule?.id, outcome: 'done', who: null });
    expect(bench.cluster.world.now - began).toBeLessThan(IN_MS + 5_000);
    await bench.isWhole();
    expect([bench.holder, bench.bodies('switchover-begun').length]).toEqual([to, 1]);
    await bench.pass(3_000);
    expect([bench.bodies('tenure-granted').length, await bench.shown(to), bench.violations]).toEqual([
      2,
      null,
      [],
    ]);
  });

  it('survives a restart of the leader, which keeps the tenure', async () => {
    const bench = await Bench.begin();
    const [from, to] = [bench.holder, bench.other];
    await bench.schedule();
    bench.cluster.node(from).restart(null);
    await bench.until(() => bench.bodies('tenure-adopted').length === 1);
    expect(await bench.end()).toMatchObject({ outcome: 'done' });
    await bench.isWhole();
    expect(bench.holder).toBe(to);
  });

  it('is off where another tenure has begun meanwhile: the operator meant that one', async () => {
    const bench = await Bench.begin();
    const [from, to] = [bench.holder, bench.other];
    await bench.schedule({ to });
    bench.cluster.node(from).killAgent();
    const end = await bench.end();
    expect(end).toMatchObject({ outcome: 'cancelled', who: null, why: expect.stringContaining('is over') });
    await bench.isWhole();
    const { holder } = bench;
    await bench.pass(IN_MS + 5_000);
    expect([bench.holder, bench.bodies('switchover-begun')]).toEqual([holder, []]);
  });

  it('that was begun is not begun again by the next leader, and its end is told', async () => {
    const bench = await Bench.begin();
    const [from, to] = [bench.holder, bench.other];
    await bench.schedule({ to });
    await bench.until(() => bench.bodies('switchover-begun').length === 1);
    bench.cluster.node(from).killAgent();
    expect(await bench.end()).toMatchObject({ outcome: expect.stringMatching(/^(done|refused)$/) });
    await bench.isWhole();
    await bench.pass(5_000);
    expect([bench.bodies('switchover-begun').length, bench.violations]).toEqual([1, []]);
  });

  it('is off when the cluster is paused, and stays off when that ends (H7)', async () => {
    const bench = await Bench.begin();
    const { holder } = bench;
    await bench.schedule();
    await bench.ask(holder, (backend) => backend.pause(bench.order()));
    await bench.ask(holder, (backend) => backend.resume(bench.order()));
    expect(await bench.end()).toMatchObject({ outcome: 'cancelled', why: expect.stringContaining('paused') });
    await bench.pass(IN_MS + 5_000);
    expect([bench.holder, bench.bodies('switchover-begun')]).toEqual([holder, []]);
    await bench.ask(holder, (backend) => backend.pause(bench.order()));
    await expect(bench.schedule()).rejects.toMatchObject({ code: 'cluster-paused' });
  });

  it('is cancelled by an operator, once; what has begun is not', async () => {
    const bench = await Bench.begin();
    const { holder } = bench;
    const { schedule } = await bench.schedule();
    await expect(bench.schedule()).rejects.toMatchObject({ code: 'refused-unsafe' });
    const order = { ...bench.order(), id: null };
    const cancelled = await bench.ask(holder, (backend) => backend.cancelSwitchover(order));
    expect(cancelled.schedule).toMatchObject({ id: schedule?.id, outcome: 'cancelled' });
    const again = await bench.ask(holder, (backend) => backend.cancelSwitchover(order));
    expect(again).toMatchObject({ alreadyDone: true, schedule: { id: schedule?.id } });
    await expect(
      bench.ask(holder, (backend) => backend.cancelSwitchover({ ...bench.order(), id: null })),
    ).rejects.toMatchObject({ code: 'refused-unsafe' });
    await bench.pass(IN_MS + 5_000);
    expect([bench.holder, bench.bodies('switchover-ended').length]).toEqual([holder, 1]);
    // An operator's own word needs no notice.
    expect(await bench.shown(holder)).toBeNull();

    await bench.schedule({ inMs: 2_000 });
    await bench.until(() => bench.bodies('switchover-begun').length === 1);
    await expect(
      bench.ask(holder, (backend) => backend.cancelSwitchover({ ...bench.order(), id: null })),
    ).rejects.toMatchObject({ code: expect.stringMatching(/^(refused-unsafe|not-leader)$/) });
    await bench.until(() => bench.bodies('switchover-ended').length === 2);
    expect(bench.bodies('switchover-ended')[1]).toMatchObject({ outcome: 'done' });
  });

  it('is refused at its time by what refuses any switchover, and the status says so', async () => {
    const bench = await Bench.begin();
    const { holder, other } = bench;
    await bench.ask(holder, (backend) => backend.standby({ ...bench.order(), node: nodeId(other) }));
    // It may be active again by then: that it is not now, is said and refuses nothing.
    const { checks } = await bench.schedule({ to: other });
    expect(checks.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['active']);
    expect(await bench.end()).toMatchObject({ outcome: 'refused', why: expect.stringContaining('standby') });
    expect([bench.holder, bench.bodies('switchover-begun')]).toEqual([holder, []]);
    await bench.pass(500);
    expect(await bench.shown(other)).toMatchObject({ state: 'ended', outcome: 'refused' });
  });

  it('expires where nobody could begin it in time', async () => {
    const bench = await Bench.begin();
    const { holder } = bench;
    const { cluster } = bench;
    await bench.schedule();
    // By the clocks of all, the time has passed between two looks.
    for (const id of ['a', 'b']) cluster.node(id).host.jumpWall(IN_MS + SCHEDULE_GRACE_MS + 1_000);
    expect(await bench.end()).toMatchObject({ outcome: 'expired' });
    expect([bench.holder, bench.bodies('switchover-begun')]).toEqual([holder, []]);
  });

  it('expires where the clock of its leader was set back: it would run late', async () => {
    const bench = await Bench.begin();
    const { holder, cluster } = bench;
    await bench.schedule();
    await bench.pass(2_000);
    cluster.node(holder).host.jumpWall(-SCHEDULE_GRACE_MS - 1_000);
    expect(await bench.end()).toMatchObject({ outcome: 'expired', why: expect.stringContaining('was set') });
    expect([bench.holder, bench.bodies('switchover-begun')]).toEqual([holder, []]);
  });

  it('is known by its request id, and a dry run writes nothing', async () => {
    const bench = await Bench.begin();
    const dry = await bench.schedule({ dryRun: true });
    expect(dry).toMatchObject({ dryRun: true, schedule: { id: null, state: 'waiting' } });
    expect(bench.bodies('switchover-scheduled')).toEqual([]);
    const first = await bench.schedule({ requestId: 'request-x1' });
    const again = await bench.schedule({ requestId: 'request-x1' });
    expect([again.alreadyDone, again.schedule]).toEqual([true, first.schedule]);
    expect(bench.bodies('switchover-scheduled').length).toBe(1);
    await expect(bench.schedule({ to: bench.holder })).rejects.toMatchObject({ code: 'refused-unsafe' });
    for (const inMs of [0, 31 * 86_400_000])
      await expect(bench.schedule({ inMs })).rejects.toMatchObject({ code: 'usage' });
  });
});
