/** A stream that nobody reads is waited for until it goes on, or ends in whatever way. */
import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { drained } from '../../src/admin/drained.ts';

it.each(['drain', 'cancelled', 'error', 'close'])('is over on %s, and leaves no listener', async (name) => {
  const call = new EventEmitter();
  // As the library's own: without one, `error` is thrown.
  call.on('error', () => undefined);
  const end = drained(call);
  call.emit(name, new Error('removed'));
  expect(await end).toBe(name === 'drain');
  expect(call.eventNames()).toEqual(['error']);
  expect(call.listenerCount('error')).toBe(1);
});
