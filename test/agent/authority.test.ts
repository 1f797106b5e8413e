/** What an agent says of tenures to the receiver of its host. */
import { expect, it } from 'vitest';
import { authorityOf } from '../../src/agent/authority.ts';
import { type CoreView, epoch, instant, nodeId, term } from '../../src/core/index.ts';

const A = nodeId('a');
const B = nodeId('b');
type Tenure = NonNullable<CoreView['state']['tenure']>;

const view = (hold: CoreView['hold'], tenure: Pick<Tenure, 'node' | 'released'> | null) =>
  ({
    self: A,
    hold,
    state: { tenure: tenure === null ? null : { ...tenure, epoch: epoch(7) } },
  }) as Parameters<typeof authorityOf>[0];

const releasing = { kind: 'releasing', epoch: null, term: term(1), announcedUntil: instant(0) } as const;

it.each([
  ['nobody has held', view({ kind: 'none' }, null), { mayHold: false, tenure: null }],
  [
    'another node holds',
    view({ kind: 'none' }, { node: B, released: false }),
    { mayHold: false, tenure: { epoch: 7, node: 'b', isReleased: false } },
  ],
  [
    'L3: it is not sure whether it still holds',
    view(releasing, { node: B, released: false }),
    { mayHold: true, tenure: { epoch: 7, node: 'b', isReleased: false } },
  ],
  [
    'it is being granted',
    view({ kind: 'granting', epoch: epoch(9), term: term(1) }, { node: B, released: true }),
    { mayHold: true, tenure: { epoch: 7, node: 'b', isReleased: true } },
  ],
  [
    'the log says that it holds',
    view({ kind: 'none' }, { node: A, released: false }),
    { mayHold: true, tenure: { epoch: 7, node: 'a', isReleased: false } },
  ],
  [
    'it has released',
    view({ kind: 'none' }, { node: A, released: true }),
    { mayHold: false, tenure: { epoch: 7, node: 'a', isReleased: true } },
  ],
])('%s', (_what, seen, known) => {
  expect(authorityOf(seen)).toEqual(known);
});
