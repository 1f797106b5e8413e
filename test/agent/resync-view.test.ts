/** What an agent says of resyncs: the last that its executor has told, for as long as that can be true. */
import { expect, it } from 'vitest';
import { ResyncView } from '../../src/agent/resync-view.ts';
import { instant } from '../../src/core/index.ts';
import { RESYNCS } from '../admin/fake.ts';

it('the last report, until it is old or its executor is gone', () => {
  let nowMs = 1_000;
  const view = new ResyncView({ now: () => instant(nowMs) });
  expect(view.running).toEqual([]);
  view.onExecutorEvent({ kind: 'resync', volumes: RESYNCS });
  nowMs += 60_000;
  expect(view.running).toEqual(RESYNCS);
  nowMs += 1;
  expect(view.running).toEqual([]);
  view.onExecutorEvent({ kind: 'resync', volumes: RESYNCS });
  expect(view.running).toEqual(RESYNCS);
  view.onExecutorEvent({ kind: 'gone' });
  expect(view.running).toEqual([]);
  view.onExecutorEvent({ kind: 'resync', volumes: RESYNCS });
  view.onExecutorEvent({ kind: 'resync', volumes: [] });
  expect(view.running).toEqual([]);
});
