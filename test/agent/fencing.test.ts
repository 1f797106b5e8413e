/** R5: who is fenced when, and what the log says of it. */
import pino from 'pino';
import { describe, expect, it } from 'vitest';
import type { Driver } from '../../src/agent/driver.ts';
import { Fencing } from '../../src/agent/fencing.ts';
import type { Clock } from '../../src/clock.ts';
import { type EntryBody, epoch, instant, type NodeId, nodeId, type Proposal } from '../../src/core/index.ts';
import type { FenceOrder } from '../../src/executor/client-contract.ts';

type Outcome = 'stopped' | 'terminated' | 'unconfirmed';
const GRANTED_TO_A: EntryBody = { kind: 'tenure-granted', node: nodeId('a'), at: null };
const GRANTED_TO_B: EntryBody = { kind: 'tenure-granted', node: nodeId('b'), at: null };

class Bench {
  readonly orders: FenceOrder[] = [];
  readonly recorded: Proposal[] = [];
  hold: { kind: string; epoch?: number } = { kind: 'held', epoch: 2 };
  leaseUntil: number | null = 1400;
  bodies: EntryBody[] = [GRANTED_TO_A, GRANTED_TO_B];
  isCommitting = true;
  answers: Outcome[] = ['stopped'];
  /** Of an earlier agent's order, with the same number. */
  answerer: NodeId | null = null;
  isReleased = false;
  readonly fencing: Fencing;

  constructor(
    ec2Stop: 'off' | 'after' | 'before',
    instances: Readonly<Record<string, string>> = { a: 'i-1', b: 'i-2' },
  ) {
    const bench = this;
    const clock: Clock = {
      now: () => instant(1000),
      wallMs: () => 0,
      after: () => ({ cancel: () => undefined }),
      sleep: async () => undefined,
    };
    const view = {
      self: nodeId('b'),
      timing: { leaseMs: 400 },
      mayHold: true,
      get hold() {
        return bench.hold;
      },
      get leaseUntil() {
        return bench.leaseUntil;
      },
      state: {
        get tenure() {
          return { node: 'a', epoch: 1, released: bench.isReleased, fenced: false };
        },
      },
      log: {
        get all() {
          return bench.bodies.map((body, position) => ({ index: position + 1, body }));
        },
      },
    };
    // The parts of a driver that it uses.
    const driver = {
      view,
      commit: async (proposal: Proposal) => {
        if (!bench.isCommitting) throw new Error('leadership was lost');
        bench.recorded.push(proposal);
        return 3;
      },
    } as unknown as Driver;
    const executor = {
      fence: (order: FenceOrder): void => {
        bench.orders.push(order);
        const outcome = bench.answers.shift() ?? 'unconfirmed';
        queueMicrotask(() =>
          bench.fencing.onFenceEnded({
            kind: 'fence-ended',
            id: order.id,
            node: bench.answerer ?? order.node,
            outcome,
            detail: outcome,
            ms: 1,
          }),
        );
      },
    };
    const config = { ec2Stop, instances, isolationGroup: null };
    this.fencing = new Fencing(config, driver, executor, clock, pino({ level: 'silent' }));
  }
}

describe('after the takeover', () => {
  it('the holder before is stopped, with what is left of the own lease', async () => {
    const bench = new Bench('after');
    await bench.fencing.after(epoch(2));
    expect(bench.orders).toEqual([{ id: 1, node: 'a', until: 1400, confirmedAt: 1000 }]);
    expect(bench.recorded).toMatchObject([{ kind: 'fenced', epoch: 1, node: 'a', outcome: 'stopped' }]);
  });

  it.each([
    [
      'it has released (R4)',
      (bench: Bench) => {
        bench.bodies = [
          GRANTED_TO_A,
          {
            kind: 'tenure-released',
            epoch: epoch(1),
            node: nodeId('a'),
            reason: 'agent-died',
            evidence: '',
            successor: null,
            at: null,
          },
          GRANTED_TO_B,
        ];
      },
      3,
    ],
    [
      'it was this node itself',
      (bench: Bench) => {
        bench.bodies = [GRANTED_TO_B, GRANTED_TO_B];
      },
      2,
    ],
    [
      'it was fenced already',
      (bench: Bench) => {
        bench.bodies = [
          GRANTED_TO_A,
          {
            kind: 'fenced',
            epoch: epoch(1),
            node: nodeId('a'),
            outcome: 'stopped',
            detail: '',
            ms: 1,
            at: null,
          },
          GRANTED_TO_B,
        ];
      },
      3,
    ],
    [
      'there was none',
      (bench: Bench) => {
        bench.bodies = [GRANTED_TO_B];
      },
      1,
    ],
  ])('nobody is, where %s', async (_, change, own) => {
    const bench = new Bench('after');
    change(bench);
    bench.hold = { kind: 'held', epoch: own };
    await bench.fencing.after(epoch(own));
    expect(bench.orders).toEqual([]);
  });

  it('nobody is where it is off, or no instance is known', async () => {
    for (const bench of [new Bench('off'), new Bench('after', {})]) {
      await bench.fencing.after(epoch(2));
      expect(bench.orders).toEqual([]);
    }
  });

  it('only as long as this node holds', async () => {
    const bench = new Bench('after');
    bench.hold = { kind: 'none' };
    await bench.fencing.after(epoch(2));
    expect(bench.orders).toEqual([]);
  });

  it('what is not confirmed is tried again, and recorded once (D4)', async () => {
    const bench = new Bench('after');
    bench.answers = [];
    await bench.fencing.after(epoch(2));
    expect(bench.orders).toHaveLength(5);
    expect(bench.recorded).toMatchObject([{ kind: 'fenced', outcome: 'unconfirmed' }]);
  });
});

describe('before the takeover', () => {
  const preparing = (bench: Bench): Bench => Object.assign(bench, { hold: { kind: 'preparing' } });

  it('waits until it is confirmed and in the log', async () => {
    const bench = preparing(new Bench('before'));
    bench.answers = ['unconfirmed', 'unconfirmed', 'terminated'];
    expect(await bench.fencing.before()).toBe(true);
    expect(bench.recorded).toMatchObject([{ outcome: 'unconfirmed' }, { outcome: 'terminated' }]);
  });

  it('is no proof where the log could not be written', async () => {
    const bench = Object.assign(preparing(new Bench('before')), { isCommitting: false });
    expect(await bench.fencing.before()).toBe(false);
  });

  it('ends when the leader is no longer one', async () => {
    const bench = new Bench('before');
    bench.hold = { kind: 'none' };
    expect(await bench.fencing.before()).toBe(false);
    expect(bench.orders).toEqual([]);
  });

  it('leaves alone who has proven its release', async () => {
    const bench = Object.assign(preparing(new Bench('before')), { isReleased: true });
    expect(await bench.fencing.before()).toBe(false);
    expect(bench.orders).toEqual([]);
  });

  it('does not wait on when the proof comes meanwhile (R4)', async () => {
    const bench = preparing(new Bench('before'));
    // The cloud says nothing.
    bench.answerer = nodeId('c');
    const waiting = bench.fencing.before();
    bench.isReleased = true;
    bench.fencing.onCommitted();
    expect(await waiting).toBe(false);
    expect(bench.orders).toHaveLength(1);
  });

  it('an answer about another node, to an agent before this one, is none', async () => {
    const bench = preparing(new Bench('before'));
    bench.answerer = nodeId('c');
    const waiting = bench.fencing.before();
    await new Promise((resolve) => setImmediate(resolve));
    bench.fencing.end();
    expect(await waiting).toBe(false);
    expect(bench.recorded).not.toContainEqual(expect.objectContaining({ outcome: 'stopped' }));
  });

  it('is not what `after` does', async () => {
    expect(await preparing(new Bench('after')).fencing.before()).toBe(false);
  });

  it('an executor that is gone has confirmed nothing', async () => {
    const bench = preparing(new Bench('before'));
    bench.answers = [];
    const waiting = bench.fencing.before();
    bench.fencing.end();
    expect(await waiting).toBe(false);
  });
});
