import { expect, test } from 'vitest';
import { Table, touches } from '../../support/story.ts';

/**
 * The process of the holder was stopped; the acks of its last rounds waited in its socket buffers. The newest of those
 * rounds went out 300 ms after the confirmed one, so by itself its ack would be good for 700 ms.
 */
function stoppedHolder(stoppedForMs: number): Table {
  const table = new Table();
  expect(table.elect('a')).toMatchObject({ mayHold: true, leaseUntilMs: table.now + 400 });
  table.lets = (message) => message.kind !== 'heartbeat-ack';
  table.pass(300);
  expect(table.held).toHaveLength(6);
  table.asleep.add('a');
  table.wait(stoppedForMs);
  table.asleep.delete('a');
  return table;
}

test('T2: acks that waited until the lease was over are looked at only after it is over', () => {
  const table = stoppedHolder(100);
  const { term } = table.see('a');
  table.deliver(...table.takeHeld());
  expect(table.see('a')).toMatchObject({
    role: 'follower',
    term,
    mayHold: false,
    releasing: true,
    leaseUntilMs: null,
  });
});

test('T2: the same acks, one millisecond before the end of the lease, still count from their send', () => {
  const table = stoppedHolder(99);
  table.deliver(...table.takeHeld((message) => message.kind === 'heartbeat-ack'));
  expect(table.see('a')).toMatchObject({ role: 'leader', mayHold: true, leaseUntilMs: table.now - 99 + 400 });
});

test('T1, T2: a tick that comes late finds every deadline; nothing is counted', () => {
  const table = new Table();
  table.elect('a');
  table.lets = (message) => !touches(message, 'a');
  table.wait(5_000); // one tick where fifty were due
  table.node('a').advance(table.now);
  expect(table.see('a')).toMatchObject({ role: 'follower', mayHold: false, releasing: true });
});

test('T1: a node whose time runs backwards is broken and says so', () => {
  const table = new Table();
  expect(() => table.node('a').advance(table.now - 1)).toThrow('time ran backwards');
});
