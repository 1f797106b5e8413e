/** Switchovers at a later time that cannot begin, or end otherwise than they should: tried again with pauses, and ended in the log. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Driver } from '../../src/agent/driver.ts';
import { SCHEDULE_GRACE_MS } from '../../src/agent/schedule-orders.ts';
import { nodeId } from '../../src/core/index.ts';
import { ScheduleBench as Bench } from '../support/schedule-bench.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

/** How often the agents have asked for such an entry, and how often in vain. */
function countProposals(kind: string, answer?: { refused: string; isFormat: true }) {
  const count = { asked: 0, refused: 0 };
  const real = Driver.prototype.propose;
  vi.spyOn(Driver.prototype, 'propose').mockImplementation(function (this: Driver, proposal) {
    const isMeant = proposal.kind.startsWith(kind);
    const result = isMeant && answer !== undefined ? answer : real.call(this, proposal);
    if (isMeant) count.asked += 1;
    if (isMeant && 'refused' in result) count.refused += 1;
    return result;
  });
  return count;
}

describe('a scheduled switchover that is due', () => {
  it('while another move is releasing waits for its end with pauses, and is off with the tenure', async () => {
    const bench = await Bench.begin();
    const [from, to] = [bench.holder, bench.other];
    await bench.schedule({ to, inMs: 2_000 });
    const count = countProposals('switchover-');
    const node = bench.cluster.node(from);
    node.options.programs.trouble.hangs.set('svc stop', bench.cluster.world.now + 30_000);
    node.switchover(nodeId(to));
    expect(await bench.end()).toMatchObject({
      outcome: 'cancelled',
      why: expect.stringContaining('is over'),
    });
    expect(count.refused).toBeLessThan(20);
    await bench.isWhole();
    expect([bench.holder, bench.bodies('switchover-begun'), bench.violations]).toEqual([to, [], []]);
  });

  it('while a voter cannot read its entries is tried again, at least 250 ms apart, and expires', async () => {
    const bench = await Bench.begin();
    const { holder } = bench;
    await bench.schedule({ inMs: 2_000 });
    const began = bench.cluster.world.now;
    const count = countProposals('switchover-', { refused: 'c is of an older version', isFormat: true });
    await bench.pass(2_000 + SCHEDULE_GRACE_MS + 5_000);
    // Each time the beginning and, in vain as well, the end of it; once a second.
    expect(count.refused).toBe(count.asked);
    expect(count.refused).toBeGreaterThan(20);
    expect(count.refused).toBeLessThan(200);
    vi.restoreAllMocks();
    expect(await bench.end()).toMatchObject({ outcome: 'expired' });
    expect(bench.cluster.world.now - began).toBeLessThan(2_000 + SCHEDULE_GRACE_MS + 10_000);
    expect([bench.holder, bench.bodies('switchover-begun')]).toEqual([holder, []]);
  });

  it('during a planned restart (L7) is begun when the tenure is adopted', async () => {
    for (const leadMs of [3, 60, 300]) {
      const bench = await Bench.begin();
      const [from, to] = [bench.holder, bench.other];
      await bench.schedule({ to, inMs: 3_000 });
      const due = bench.cluster.world.now + 3_000;
      await bench.until(() => bench.cluster.world.now >= due - leadMs);
      bench.cluster.node(from).restart(null);
      expect(await bench.end()).toMatchObject({ outcome: 'done' });
      await bench.isWhole();
      expect([bench.holder, bench.bodies('switchover-begun').length, bench.violations]).toEqual([to, 1, []]);
    }
  });
});

describe('a scheduled switchover that has begun', () => {
  it('has ended, and makes room, where its target holds and its takeover never succeeded as a whole', async () => {
    const bench = await Bench.begin();
    const { cluster } = bench;
    const [from, to] = [bench.holder, bench.other];
    await bench.schedule({ to, inMs: 2_000 });
    cluster.node(to).options.programs.trouble.fails.set('svc start', cluster.world.now + 30_000);
    await bench.until(() => bench.bodies('tenure-granted').length === 2);
    cluster.node(from).mayStart = false;
    cluster.node(from).powerOff();
    expect(await bench.end()).toMatchObject({
      outcome: 'done',
      why: expect.stringContaining('not everything'),
    });
    expect(bench.bodies('takeover-done').at(-1)).toMatchObject({ node: to, ok: false });
    cluster.node(from).mayStart = true;
    cluster.heal();
    await bench.isWhole();
    const { schedule } = await bench.schedule({ to: bench.other });
    expect(schedule).toMatchObject({ state: 'waiting' });
    expect([bench.bodies('switchover-ended').length, bench.violations]).toEqual([1, []]);
  });

  it('has ended as refused where its target has let go again', async () => {
    const bench = await Bench.begin();
    const { cluster } = bench;
    const [from, to] = [bench.holder, bench.other];
    await bench.schedule({ to, inMs: 2_000 });
    cluster.node(to).options.programs.trouble.fails.set('svc start', cluster.world.now + 30_000);
    expect(await bench.end()).toMatchObject({ outcome: 'refused' });
    await bench.isWhole();
    expect(bench.holder).toBe(from);
  });
});

describe('cancelling what has just begun', () => {
  it('is refused without an entry, and so is the same request again', async () => {
    const bench = await Bench.begin();
    const [from, to] = [bench.holder, bench.other];
    await bench.schedule({ to, inMs: 2_000 });
    const order = { ...bench.order(), id: null };
    const cancel = (of: string) => bench.ask(of, (backend) => backend.cancelSwitchover(order));
    // Written, and not committed yet.
    const log = () => bench.cluster.node(from).view?.log.all ?? [];
    expect(
      await bench.cluster.world.runUntil(
        () => log().some(({ body }) => body.kind === 'switchover-begun'),
        20_000,
        1,
      ),
    ).toBe(true);
    await expect(cancel(from)).rejects.toMatchObject({ code: 'refused-unsafe' });
    await bench.until(() => bench.bodies('switchover-begun').length === 1);
    expect(await bench.end()).toMatchObject({ outcome: 'done' });
    await bench.isWhole();
    await expect(cancel(bench.holder)).rejects.toMatchObject({ code: 'refused-unsafe' });
    expect([bench.bodies('switchover-ended').length, bench.violations]).toEqual([1, []]);
  });
});
