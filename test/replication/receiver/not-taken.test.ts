/** What a stream has changed of what is this node's own. */
import { expect, it } from 'vitest';
import { changedBy, receiveArguments } from '../../../src/replication/receiver/not-taken.ts';

const of = (...all: readonly (readonly [name: string, source: string, value: string])[]) =>
  new Map(all.map(([name, source, value]) => [name, { source, value }] as const));

it.each([
  [
    'one that comes',
    of(['setuid', 'inherited from tank', 'off']),
    of(['setuid', 'received', 'on']),
    ['setuid'],
  ],
  [
    'one that comes with another value',
    of(['exec', 'received', 'on']),
    of(['exec', 'received', 'off']),
    ['exec'],
  ],
  ['one that stays', of(['exec', 'received', 'off']), of(['exec', 'received', 'off']), []],
  ['one that goes', of(['setuid', 'received', 'off']), of(['setuid', 'default', 'on']), ['setuid (away)']],
  ['one that a person sets', of(['setuid', 'received', 'off']), of(['setuid', 'local', 'off']), []],
  ['one that was a person’s', of(['setuid', 'local', 'off']), of(['setuid', 'local', 'off']), []],
  ['of what was not here', of(), of(['setuid', 'received', 'on'], ['exec', 'default', 'on']), ['setuid']],
])('%s', (_what, before, after, changed) => {
  const { brought, gone } = changedBy(before, after);
  expect([...brought, ...gone.map((name) => `${name} (away)`)]).toEqual(changed);
});

it('what is received really is left alone', () => {
  const words = receiveArguments(
    'tank/a',
    'volume',
    of(['snapdev', 'received', 'hidden'], ['volmode', 'default', '-']),
  );
  const reset = words.filter((_, at) => words[at - 1] === '-x');
  expect(reset).toEqual(['volmode', 'quorate:set-aside', 'quorate:replicate', 'quorate:left-out']);
});
