/** Orders about members and timing to real agents, in a simulated cluster. */
import { describe, expect, it } from 'vitest';
import type { SettingsOrder } from '../../src/admin/index.ts';
import type { Backend } from '../../src/agent/backend.ts';
import { durationMs, nodeId } from '../../src/core/index.ts';
import { SPARE_WITNESS } from '../simulation/cluster.ts';
import { addressOf } from '../simulation/node/node.ts';
import { OrderBench } from '../support/order-bench.ts';

class Bench extends OrderBench {
  #requests = 0;

  get members(): string {
    return (
      this.cluster.leader?.view?.state.members
        .map(({ id, learner }) => (learner ? `(${id})` : id))
        .join(' ') ?? ''
    );
  }
  askHolder<Answer>(act: (backend: Backend) => Answer | Promise<Answer>): Promise<Answer> {
    return this.ask(this.holder, act);
  }
  #nextId(): string {
    this.#requests += 1;
    return `request-${this.#requests}`;
  }
  order(node: string, requestId = this.#nextId()) {
    return { node: nodeId(node), why: 'a test', who: 'root', requestId };
  }
  add(node: string, more = {}, requestId?: string) {
    const peer = addressOf(node);
    const order = {
      ...this.order(node, requestId),
      peer,
      zone: '',
      witness: false,
      snapshots: false,
      ...more,
    };
    return this.askHolder((backend) => backend.addMember(order));
  }
  promote(node: string) {
    return this.askHolder((backend) => backend.promoteMember(this.order(node)));
  }
  remove(node: string) {
    return this.askHolder((backend) => backend.removeMember(this.order(node)));
  }
  set(values: Partial<SettingsOrder['values']>, waitMs = 0) {
    const none = { heartbeatMs: null, leaseMs: null, releaseMs: null, watchdogMs: null, promiseMs: null };
    const order = { who: 'root', why: '', requestId: this.#nextId(), waitMs };
    return this.askHolder((backend) => backend.setSettings({ ...order, values: { ...none, ...values } }));
  }
}

const violation = (type: string) => ({
  code: 'refused-unsafe',
  context: { violations: expect.arrayContaining([expect.objectContaining({ type })]) },
});

describe('members', () => {
  it('the witness is replaced by one with an empty disk, and nobody else notices', async () => {
    const bench = await Bench.begin();
    const { cluster, holder } = bench;
    const { epoch } = cluster.leader?.view?.state.tenure ?? {};
    await bench.add(SPARE_WITNESS, { witness: true, zone: 'z4' });
    // It starts after it was added: nothing in its log can say that it has lost a vote (D2).
    const spare = cluster.node(SPARE_WITNESS);
    spare.mayStart = true;
    spare.startAgent();
    const promoted = await bench.promote(SPARE_WITNESS);
    expect(promoted.members.find(({ id }) => id === SPARE_WITNESS)).toMatchObject({
      ...{ kind: 'witness', hasVote: true, zone: 'z4', hasLog: true, answers: true },
    });
    await bench.remove('w');
    expect(bench.members).toBe(`a b ${SPARE_WITNESS}`);
    await bench.until(() => cluster.node(SPARE_WITNESS).view?.state.removed.join() === 'w');
    cluster.node(bench.other).killAgent();
    await bench.until(() => cluster.whatIsMissing() === null);
    expect([bench.holder, cluster.leader?.view?.state.tenure?.epoch]).toEqual([holder, epoch]);
    // E5: nor does its certificate count any more, for whoever has applied that.
    for (const id of [bench.holder, SPARE_WITNESS]) {
      const standings = await bench.ask(id, (backend) =>
        ['w', SPARE_WITNESS].map((of) => backend.standing(nodeId(of))),
      );
      expect(standings).toEqual(['removed', id === SPARE_WITNESS ? 'self' : 'voter']);
    }
    // Its id is used up, and it may not come back.
    await expect(bench.add('w', { witness: true, peer: 'elsewhere:1' })).rejects.toMatchObject(
      violation('UNUSED_ID'),
    );
  });

  it('refusals say which condition failed, for programs', async () => {
    const bench = await Bench.begin();
    const { holder, other } = bench;
    await expect(bench.remove(holder)).rejects.toMatchObject(violation('NOT_THE_HOLDER'));
    await expect(bench.remove(other)).rejects.toMatchObject(violation('DISCONNECTED'));
    await expect(bench.remove('x')).rejects.toMatchObject(violation('MEMBER'));
    await expect(bench.promote(other)).rejects.toMatchObject(violation('LEARNER'));
    await expect(bench.add(other)).rejects.toMatchObject(violation('STRANGER'));
    await expect(bench.add('x', { peer: addressOf(other) })).rejects.toMatchObject(violation('OWN_ADDRESS'));
    bench.cluster.node('w').mayStart = false;
    bench.cluster.node('w').killAgent();
    await bench.add('x', { witness: true });
    // It has no agent: the promotion waits, and gives up.
    await expect(bench.promote('x')).rejects.toMatchObject(violation('CAUGHT_UP'));
    bench.cluster.node('w').mayStart = true;
  }, 60_000);

  it('a fence request that names a removed node takes out the node that is mirrored now (H3)', async () => {
    const bench = await Bench.begin();
    const { other } = bench;
    await bench.add(SPARE_WITNESS, { witness: true });
    await bench.remove(SPARE_WITNESS);
    const before = bench.cluster.leader?.view?.commitIndex ?? 0;
    expect(await bench.askHolder((backend) => backend.fencePeer(nodeId(SPARE_WITNESS), null))).toBe(
      'outdated',
    );
    const written = bench.cluster.consensus.committed.filter(({ index }) => index > before);
    expect(written.map(({ body }) => body)).toContainEqual(
      expect.objectContaining({ kind: 'peer-outdated', peer: other }),
    );
    // A stranger's name is nobody's.
    await expect(bench.askHolder((backend) => backend.fencePeer(nodeId('x'), null))).rejects.toMatchObject({
      code: 'refused-unsafe',
    });
  }, 60_000);

  it('a repeated request is done once, also where the node has got its vote since', async () => {
    const bench = await Bench.begin();
    const first = await bench.add(SPARE_WITNESS, { witness: true }, 'request-add');
    const again = await bench.add(SPARE_WITNESS, { witness: true }, 'request-add');
    expect(again).toMatchObject({ index: first.index, alreadyDone: true });
    expect(bench.members).toBe(`a b w (${SPARE_WITNESS})`);
  });
});

describe('settings', () => {
  it('grow while all voters are there, at once, and the executors work with them', async () => {
    const bench = await Bench.begin();
    const outcome = await bench.set({ leaseMs: 700 }, 5_000);
    expect(outcome).toMatchObject({
      changed: true,
      goal: null,
      waitingFor: [],
      timing: { leaseMs: 700 },
      differs: true,
    });
    for (const id of ['a', 'b']) {
      await bench.until(() => bench.cluster.node(id).view?.timing.leaseMs === 700);
      await bench.until(() => bench.cluster.node(id).view?.appliedTiming?.includes('"leaseMs":700') === true);
    }
  });

  it('say what they wait for, and shrink in the end', async () => {
    const bench = await Bench.begin();
    bench.cluster.node('w').mayStart = false;
    bench.cluster.node('w').killAgent();
    const begun = await bench.set({ leaseMs: 700 }, 1_000);
    expect(begun).toMatchObject({ goal: { leaseMs: 700 }, timing: { leaseMs: 400 } });
    expect(begun.waitingFor).toEqual(['w has not written down the longer promise (L8)']);
    bench.cluster.node('w').mayStart = true;
    bench.cluster.node('w').startAgent();
    await bench.until(() => bench.cluster.leader?.view?.timing.leaseMs === 700);
    const shrunk = await bench.set({ leaseMs: durationMs(400) }, 30_000);
    expect(shrunk).toMatchObject({ goal: null, timing: { leaseMs: 400 }, differs: false });
    expect(bench.cluster.leader?.view?.timing.promiseMs).toBe(shrunk.file.promiseMs);
  });

  it('are refused where L5 cannot be met, and by who does not lead', async () => {
    const bench = await Bench.begin();
    await expect(bench.set({ leaseMs: 200 })).rejects.toMatchObject({ code: 'usage', message: /L ≥ 3H/ });
    const order = { who: '', why: '', requestId: '', waitMs: 0 };
    const values = { heartbeatMs: null, leaseMs: 900, releaseMs: null, watchdogMs: null, promiseMs: null };
    await expect(
      bench.ask(bench.other, (backend) => backend.setSettings({ ...order, values })),
    ).rejects.toMatchObject({ code: 'not-leader' });
  });
});
