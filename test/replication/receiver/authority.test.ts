/** Whose orders are taken (H2). */
import { expect, it } from 'vitest';
import { host, receiver, registrations, send, signal, startReceiver } from '../support/receiving.ts';
import { makeStream, named } from '../support/streams.ts';

startReceiver();

it.each([
  ['this node holds', { mayHold: true, tenure: null }, 7, /b holds, or may hold, itself/],
  [
    'an older epoch',
    { mayHold: false, tenure: { epoch: 9, node: 'a', isReleased: false } },
    7,
    /epoch 7, and b knows of epoch 9/,
  ],
  [
    'an epoch of somebody else',
    { mayHold: false, tenure: { epoch: 7, node: 'b', isReleased: true } },
    7,
    /is of b, not of a/,
  ],
  [
    'a released epoch',
    { mayHold: false, tenure: { epoch: 7, node: 'a', isReleased: true } },
    7,
    /a has released epoch 7/,
  ],
  ['an agent that does not answer', null, 7, /not known, so nothing is changed/],
  ['an epoch that is none', { mayHold: false, tenure: null }, 0, /the order is not valid/],
])('H2: %s: nothing is changed', async (_what, known, epoch, why) => {
  host.known = known;
  const { order } = makeStream(host.directory, named('tank/home', 's1', 51));
  await expect(receiver.receive(epoch, order, 'pipe', signal)).rejects.toThrow(why);
  await expect(receiver.perform(epoch, { kind: 'abandon', dataset: 'tank/home' }, signal)).rejects.toThrow(
    why,
  );
  expect(host.calls()).toEqual([]);
  if (epoch > 0) expect(registrations()).toEqual([]);
});

it('a newer epoch than its log has is taken: the log may be behind', async () => {
  expect(await send(makeStream(host.directory, named('tank/home', 's1', 52)), 8)).toEqual({
    kind: 'received',
  });
});
