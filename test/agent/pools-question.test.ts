/** What the executor says of the pools in pieces is one answer; without one there is a reason, never an empty answer. */
import { expect, it } from 'vitest';
import { PoolsQuestion } from '../../src/agent/pools-question.ts';

function setting() {
  const asked: number[] = [];
  const timers: (() => void)[] = [];
  const executor = { connected: true, readPools: (id: number) => void asked.push(id) };
  const clock = {
    after: (_ms: number, call: () => void) => {
      timers.push(call);
      return { cancel: () => undefined };
    },
  };
  return { asked, timers, executor, question: new PoolsQuestion(executor, clock) };
}
const piece = (id: number, text: string, isLast: boolean) =>
  ({ kind: 'pools-read', id, text, isLast }) as const;

it('pieces are put together, for everybody who asks meanwhile', async () => {
  const { asked, question } = setting();
  const answers = [question.ask(), question.ask()];
  question.onHeard(piece(1, 'AA', false));
  question.onHeard(piece(0, 'XX', true));
  question.onHeard(piece(1, 'BB', true));
  expect(await Promise.all(answers)).toEqual(['AABB', 'AABB']);
  const next = question.ask();
  question.onHeard(piece(1, 'old', true));
  question.onHeard(piece(2, 'CC', true));
  expect(await next).toBe('CC');
  expect(asked).toEqual([1, 2]);
});

it('no answer is an error: the executor is gone, is silent, cannot, or does not end', async () => {
  const code = 'executor-unreachable';
  const { timers, executor, question } = setting();
  const silent = question.ask();
  question.onHeard(piece(1, 'AA', false));
  timers[0]?.();
  await expect(silent).rejects.toMatchObject({ code, message: expect.stringContaining('within 62000 ms') });
  const unable = question.ask();
  question.onHeard({ kind: 'pools-unread', id: 2, why: 'out of memory' });
  await expect(unable).rejects.toMatchObject({ code, message: expect.stringContaining('out of memory') });
  const endless = question.ask();
  for (let count = 0; count < 40; count++) question.onHeard(piece(3, 'A'.repeat(32 * 1024), false));
  await expect(endless).rejects.toMatchObject({ code, message: expect.stringContaining('too much') });
  executor.connected = false;
  await expect(question.ask()).rejects.toMatchObject({ code, message: 'its executor is gone' });
});
