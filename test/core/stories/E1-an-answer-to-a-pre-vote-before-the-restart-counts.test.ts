import { expect, test } from 'vitest';
import { DATA3, Table } from '../../support/story.ts';

test('E1: a grant of a pre-vote round from before a restart does not count in the round of the same number after it', () => {
  const table = new Table({ members: DATA3 });
  table.lets = (message) => message.kind === 'pre-vote';
  table.wait(table.see('a').promiseMs);
  table.campaign('a');
  const late = table.takeHeld((message) => message.kind === 'pre-vote-ack' && message.to === 'a');
  expect(late.length).toBeGreaterThan(0);
  table.lets = () => false;
  table.crash('a');
  table.boot('a');
  table.wait(table.see('a').promiseMs);
  table.campaign('a');
  expect(table.see('a').role).toBe('pre-candidate');
  table.deliver(...late);
  expect(table.see('a').role).toBe('pre-candidate');
});
