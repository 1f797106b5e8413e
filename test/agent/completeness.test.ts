import { describe, expect, it } from 'vitest';
import { Completeness } from '../../src/agent/completeness.ts';
import { epoch } from '../../src/core/index.ts';
import type { ExecutorEvent } from '../../src/executor/index.ts';

const taken = (of: number): ExecutorEvent => ({ kind: 'taken', epoch: epoch(of), steps: [], totalMs: 1 });
const takeFailed = (of: number): ExecutorEvent => ({
  kind: 'take-failed',
  epoch: epoch(of),
  step: 'eip',
  why: 'refused',
  mayPass: false,
  steps: [],
  totalMs: 1,
});
const releaseFailed = (of: number): ExecutorEvent => ({
  kind: 'release-failed',
  epoch: epoch(of),
  step: 'store',
  why: 'busy',
});
const probes = (...all: ('held' | 'not-held' | 'unknown')[]): ExecutorEvent => ({
  kind: 'probes',
  resources: all.map((probe, at) => ({ name: `r${at}`, kind: 'service', probe, detail: '' })),
  peers: {},
  disk: 'up-to-date',
  ioSuspended: false,
});

function after(...events: ExecutorEvent[]): Completeness {
  const completeness = new Completeness();
  for (const event of events) completeness.onExecutorEvent(event);
  return completeness;
}

describe('a tenure is complete', () => {
  it('when everything was taken, and only that tenure', () => {
    expect(after().isComplete(epoch(7))).toBe(false);
    expect(after(taken(7)).isComplete(epoch(7))).toBe(true);
    expect(after(taken(7)).isComplete(epoch(9))).toBe(false);
    expect(after(taken(7), taken(9)).isComplete(epoch(7))).toBe(false);
  });

  it('not by probes alone: during a takeover everything may read held for a moment', () => {
    expect(after(probes('held', 'held')).isComplete(epoch(7))).toBe(false);
    expect(after(takeFailed(7), probes('held', 'not-held')).isComplete(epoch(7))).toBe(false);
  });

  it('R1: not any more when a release has given something up, and again when all of it reads held', () => {
    expect(after(taken(7), releaseFailed(7)).isComplete(epoch(7))).toBe(false);
    expect(after(taken(7), releaseFailed(7), probes('held', 'unknown')).isComplete(epoch(7))).toBe(false);
    expect(after(taken(7), releaseFailed(7), probes('held', 'held')).isComplete(epoch(7))).toBe(true);
  });

  it.each([
    ['was kept', []],
    ['could not be undone', [releaseFailed(7)]],
  ])('H6: a takeover that failed and %s, once all of it reads held', (_, then) => {
    const events = [takeFailed(7), ...then, probes('held', 'not-held')];
    expect(after(...events).isComplete(epoch(7))).toBe(false);
    expect(after(...events, probes('held', 'held')).isComplete(epoch(7))).toBe(true);
  });

  it('whatever is said about another tenure', () => {
    expect(after(taken(9), takeFailed(7)).isComplete(epoch(9))).toBe(true);
    const released: ExecutorEvent = {
      kind: 'released',
      epoch: epoch(7),
      evidence: '',
      ms: 1,
      mode: 'abrupt',
    };
    expect(after(taken(9), released).isComplete(epoch(9))).toBe(true);
  });

  it('a probe in a steady tenure takes nothing back: that is for the reconcile loop', () => {
    expect(after(taken(7), probes('held', 'not-held')).isComplete(epoch(7))).toBe(true);
  });
});
