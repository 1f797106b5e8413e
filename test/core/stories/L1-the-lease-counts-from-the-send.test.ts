import { describe, expect, test } from 'vitest';
import { bodyOf, changed, DATA5, forge, Table } from '../../support/story.ts';

const LEASE = 400;

function holder(members?: { id: string; witness?: boolean }[]): Table {
  const table = new Table(members === undefined ? {} : { members });
  expect(table.elect('a').mayHold).toBe(true);
  return table;
}

describe('L1: the lease is anchored where a round was sent', () => {
  test('an ack that took 250 ms extends the lease from its send, not from its receipt', () => {
    const table = holder();
    const before = table.see('a').leaseUntilMs;
    expect(before).toBe(table.now + LEASE);
    table.lets = (message) => message.kind !== 'heartbeat-ack';
    table.pass(100);
    const sentAt = table.now;
    expect(table.see('a').leaseUntilMs).toBe(before);
    table.wait(250);
    table.deliver(...table.takeHeld());
    expect(table.see('a').leaseUntilMs).toBe(sentAt + LEASE);
  });

  test('the end of the lease is exclusive: at q + L there is no authority any more', () => {
    const table = holder();
    table.lets = () => false;
    table.wait(LEASE - 0.001);
    table.node('a').advance(table.now);
    expect(table.see('a').mayHold).toBe(true);
    table.wait(0.001);
    table.node('a').advance(table.now);
    expect(table.see('a')).toMatchObject({ mayHold: false, role: 'follower' });
  });

  test('old, repeated, unknown and future sequence numbers move nothing', () => {
    const table = holder();
    const { term } = table.see('a');
    table.lets = (message) => message.kind !== 'heartbeat-ack';
    table.pass(100);
    const [first] = table.takeHeld((message) => message.from === 'b');
    table.pass(100);
    const [second] = table.takeHeld((message) => message.from === 'b');
    if (first === undefined || second === undefined) throw new Error('b has not answered');
    table.deliver(second);
    const until = table.now + LEASE;
    expect(table.see('a').leaseUntilMs).toBe(until);
    table.wait(50);
    table.deliver(second, first, first);
    for (const seq of [0, -1, 999]) table.deliver(changed(second, { seq }));
    table.deliver(
      forge({ kind: 'heartbeat-ack', from: 'zz', to: 'a', term, seq: Number(bodyOf(second).seq) }),
    );
    expect(table.see('a').leaseUntilMs).toBe(until);
  });

  test('an ack of an earlier leadership of the same node moves nothing', () => {
    const table = holder();
    table.lets = (message) => message.kind !== 'heartbeat-ack';
    table.pass(100);
    const old = table.takeHeld((message) => message.from === 'b');
    table.pass(400);
    table.released('a');
    table.lets = () => true;
    table.takeHeld();
    table.elect('a');
    expect(table.see('a')).toMatchObject({ role: 'leader', mayHold: true });
    table.lets = (message) => message.kind !== 'heartbeat-ack';
    table.pass(100);
    const until = table.see('a').leaseUntilMs;
    table.deliver(...old);
    expect(table.see('a').leaseUntilMs).toBe(until);
  });

  test('q is the k-th newest over the voters: with five, the second newest of the others', () => {
    const table = holder(DATA5);
    table.lets = (message) => message.kind !== 'heartbeat-ack';
    const rounds: number[] = [];
    const acks: Record<string, unknown>[] = [];
    for (const from of ['b', 'c', 'd']) {
      table.pass(100);
      rounds.push(table.now);
      acks.push({ message: table.takeHeld().find((message) => message.from === from) });
    }
    const deliver = (index: number) => {
      const message = acks[index]?.message as Parameters<Table['deliver']>[0] | undefined;
      if (message === undefined) throw new Error('no ack');
      table.deliver(message);
    };
    const [first = 0, second = 0] = rounds;
    deliver(2); // d has the newest round, the others that of the election
    expect(table.see('a').leaseUntilMs).toBe(first - 100 + LEASE);
    deliver(0);
    expect(table.see('a').leaseUntilMs).toBe(first + LEASE);
    deliver(1);
    expect(table.see('a').leaseUntilMs).toBe(second + LEASE);
  });

  test.each([2, 4])('half of %i voters is no quorum', (size) => {
    const table = holder(DATA5.slice(0, size));
    const half = DATA5.slice(0, size / 2).map(({ id }) => id);
    table.lets = (message) => half.includes(message.from) && half.includes(message.to);
    table.pass(399);
    expect(table.see('a').mayHold).toBe(true);
    table.pass(1);
    expect(table.see('a')).toMatchObject({ mayHold: false, role: 'follower' });
  });

  test('a learner that acknowledges counts for nothing', () => {
    const table = holder();
    table.boot('n');
    expect(table.propose('a', { kind: 'add-learner', member: { id: 'n' } })).toBe('accepted');
    table.lets = (message) => message.from === 'a' || message.from === 'n';
    const until = table.see('a').leaseUntilMs;
    table.pass(300);
    expect(table.see('a').leaseUntilMs).toBe(until);
    table.pass(100);
    expect(table.see('a')).toMatchObject({ mayHold: false, role: 'follower' });
  });
});
