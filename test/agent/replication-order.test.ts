/** A round of replication that an operator has asked for: who, and what, is in the log. */
import { expect, it } from 'vitest';
import { Backend, type BackendOptions } from '../../src/agent/backend.ts';
import { QuorateError } from '../../src/errors.ts';
import { VirtualClock } from '../resources/support/virtual-clock.ts';

function backend(run: (dataset: string | null) => number) {
  const proposals: unknown[] = [];
  const view = { log: { slice: () => [] }, commitIndex: 0 };
  const driver = { view, propose: (proposal: unknown) => proposals.push(proposal) };
  const parts = { driver, clock: new VirtualClock(), replication: { run } };
  return { proposals, backend: new Backend(parts as unknown as BackendOptions) };
}

it('is logged with who, what and which round it is', () => {
  const { proposals, backend: asked } = backend(() => 12);
  expect(asked.runReplication('tank/home', 'alice')).toEqual({ round: 12 });
  asked.runReplication(null, 'bob');
  expect(proposals).toMatchObject([
    { kind: 'operator', who: 'alice', action: 'replication run of tank/home: round 12' },
    { kind: 'operator', who: 'bob', action: 'replication run: round 12' },
  ]);
});

it('one that is refused has changed nothing, and is not', () => {
  const { proposals, backend: asked } = backend(() => {
    throw new QuorateError('replication-not-sending', 'b does not send');
  });
  expect(() => asked.runReplication(null, 'alice')).toThrow('does not send');
  expect(proposals).toEqual([]);
});
