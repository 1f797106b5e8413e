/** What the agent answers about replication: only of the tenure that is, and only what its executor has told. */
import { expect, it } from 'vitest';
import { ReplicationView } from '../../src/agent/replication-view.ts';
import type { Config } from '../../src/config/index.ts';
import { nodeId } from '../../src/core/index.ts';
import { Board } from '../../src/replication/index.ts';

const configOf = (send: object | null): Config =>
  ({
    file: 'q.yaml',
    cluster: 'nas-prod',
    node: nodeId('a'),
    members: ['a', 'b'].map((id) => ({ id: nodeId(id), witness: false })),
    replication: { pools: ['tank'], include: [], exclude: [], send },
  }) as unknown as Config;

function bench(send: object | null = {}) {
  const asked: (string | null)[] = [];
  const executor = { connected: true, replicate: (dataset: string | null) => void asked.push(dataset) };
  const view = new ReplicationView(configOf(send), executor);
  const board = new Board();
  const tell = (): void => {
    for (const report of board.take()) view.onExecutorEvent({ kind: 'replication', report });
  };
  return { asked, view, board, tell };
}

it('does not send before it was told so, and not any more when the tenure or the executor is gone', () => {
  for (const end of ['released', 'gone', 'stopped'] as const) {
    const { view, board, tell, asked } = bench();
    expect(view.document(null)).toMatchObject({ isSending: false, to: null, holder: null });
    expect(() => view.run(null)).toThrow(/does not send/);
    board.setRound({ number: 3, startedAt: 5 });
    board.set('tank/home', { state: 'current', periodMs: 60_000 });
    tell();
    expect(view.document(nodeId('a'))).toMatchObject({
      isSending: true,
      to: 'b',
      round: { number: 3 },
      datasets: [{ dataset: 'tank/home' }],
      omitted: 0,
    });
    expect(view.run('tank/home')).toBe(4);
    expect(() => view.run('tank/hom')).toThrow(/no dataset/);
    expect(asked).toEqual(['tank/home']);
    if (end === 'released')
      view.onExecutorEvent({ kind: 'released', epoch: null, evidence: '', ms: 1, mode: 'abrupt' });
    else if (end === 'gone') view.onExecutorEvent({ kind: 'gone' });
    else for (const report of new Board().take()) view.onExecutorEvent({ kind: 'replication', report });
    expect(view.document(null)).toMatchObject({ isSending: false, datasets: [], round: { number: 0 } });
  }
});

it('leaves out what is well before what is not', () => {
  const { view, board, tell } = bench();
  board.setRound({ number: 1 });
  for (let count = 0; count < 2500; count++) board.set(`tank/${count}`, { state: 'current' });
  board.set('tank/zzz', { state: 'conflict' });
  tell();
  const document = view.document(null);
  expect(document.datasets).toHaveLength(2000);
  expect(document.datasets[0]?.dataset).toBe('tank/zzz');
  expect(document.omitted).toBe(501);
});

it('says that nothing is sent where the config does not want it', () => {
  expect(() => bench(null).view.document(null)).toThrow(/no "replication" with "send"/);
});

it('L7: after an adoption, not all is known before a whole round was told', () => {
  const { view, board } = bench();
  board.set('tank/home', { state: 'current' });
  board.set('tank/mail', { state: 'conflict' });
  for (const _ of board.take());
  const hear = (number: number): boolean => {
    board.setRound({ number });
    board.set('tank/home', { state: 'current' });
    for (const report of board.take()) view.onExecutorEvent({ kind: 'replication', report });
    return view.facts.isWhole;
  };
  expect([7, 7, 8, 9, 9].map(hear)).toEqual([false, false, false, true, true]);
  view.onExecutorEvent({ kind: 'gone' });
  expect(view.facts).toMatchObject({ isWhole: false, isSending: false });
  expect(hear(10)).toBe(false);
  // One that begins tells everything.
  for (const report of new Board().take()) view.onExecutorEvent({ kind: 'replication', report });
  expect(view.facts.isWhole).toBe(true);
});
