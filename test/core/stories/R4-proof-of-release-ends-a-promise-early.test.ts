import { describe, expect, test } from 'vitest';
import { bodyOf, DATA3, forge, Table, touches } from '../../support/story.ts';

const voteFor = (table: Table, from: string, to: string, term: number) => {
  const held = table.held;
  table.held = [];
  const { lets } = table;
  table.lets = () => false;
  table.deliver(forge({ kind: 'vote', from, to, term }));
  const granted = table.held
    .filter(({ kind }) => kind === 'vote-ack')
    .map((message) => bodyOf(message).granted);
  table.held = held;
  table.lets = lets;
  return granted;
};

describe('R4', () => {
  test("the statement of a dead agent's executor lets a data node campaign within one H, and hold", () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const table = new Table({ seed });
      table.elect('a');
      const statements = table.crash('a', 'lose', 'releases');
      expect(statements.map(({ kind, to }) => [kind, to])).toEqual([
        ['released', 'b'],
        ['released', 'w'],
      ]);
      table.deliver(...statements);
      expect(table.see('b').promiseUntilMs).toBeLessThan(table.now);
      expect(table.until('b holds', () => table.see('b').mayHold)).toBeLessThanOrEqual(
        table.config.heartbeatMs,
      );
    }
  });

  test('without it the promise is waited for', () => {
    const table = new Table();
    table.elect('a');
    table.crash('a', 'lose', 'releases');
    const { promiseMs } = table.see('b');
    expect(table.until('b holds', () => table.see('b').mayHold)).toBeGreaterThanOrEqual(promiseMs);
  });

  test('a node without a tenure has nothing to state', () => {
    const table = new Table();
    table.elect('a');
    expect(table.crash('b', 'lose', 'releases')).toEqual([]);
    expect(table.crash('a', 'lose', 'dies')).toEqual([]);
  });

  test('a node that was still releasing states it too', () => {
    const table = new Table();
    table.elect('a');
    table.lets = () => false;
    table.pass(400);
    expect(table.see('a').releasing).toBe(true);
    expect(table.crash('a', 'lose', 'releases')).toHaveLength(2);
  });

  test('a statement about an older term frees nothing', () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    table.crash('a');
    table.boot('a');
    table.elect('a');
    const { term, mayHold } = table.see('a');
    expect([term, mayHold]).toEqual([2, true]);
    const until = table.see('b').promiseUntilMs;
    for (const kind of ['released', 'renounced'] as const)
      table.deliver(forge({ kind, from: 'a', to: 'b', term: 1 }));
    expect(table.see('b').promiseUntilMs).toBe(until);
    expect(voteFor(table, 'c', 'b', 3)).toEqual([false]);
  });

  test('nor does a statement about somebody else than the promise is to', () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    const until = table.see('b').promiseUntilMs;
    table.deliver(
      forge({ kind: 'released', from: 'c', to: 'b', term: 9 }),
      forge({ kind: 'renounced', from: 'c', to: 'b', term: 9 }),
    );
    expect(table.see('b').promiseUntilMs).toBe(until);
  });

  test('late and repeated statements after the node is back and holds again free nothing', () => {
    const table = new Table();
    table.elect('a');
    const statements = table.crash('a', 'lose', 'releases');
    table.until('b holds', () => table.see('b').mayHold);
    table.boot('a');
    table.pass(1_000);
    table.transfer('b', 'a');
    table.released('b');
    expect(table.see('a').mayHold).toBe(true);
    const until = ['b', 'w'].map((id) => table.see(id).promiseUntilMs);
    table.deliver(...statements, ...statements);
    expect(['b', 'w'].map((id) => table.see(id).promiseUntilMs)).toEqual(until);
    table.pass(1_000);
    expect(table.see('a')).toMatchObject({ mayHold: true, term: 3 });
  });

  test('a tenure-released that a LATER leader writes proves nothing beyond the term of its grant', () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    table.crash('a'); // term 1: its tenure stays open in the log
    table.boot('a');
    table.lets = (message) => !(message.kind === 'append' && message.to === 'b');
    table.elect('a'); // term 2: it writes down that its tenure of term 1 is over, and holds again
    expect(table.see('a')).toMatchObject({ mayHold: true, term: 2 });
    expect(table.kinds('a').filter((kind) => kind === 'tenure-released')).toHaveLength(1);
    table.lets = () => true;
    const until = table.see('b').promiseUntilMs;
    table.deliver(...table.takeHeld());
    expect(table.kinds('b')).toContain('tenure-released');
    expect(table.see('b').promiseUntilMs).toBeGreaterThanOrEqual(until);
    expect(voteFor(table, 'c', 'b', 3)).toEqual([false]);
    table.pass(3_000);
    expect(table.see('a')).toMatchObject({ mayHold: true, term: 2 });
  });

  test('a tenure-released in the own log frees, even before it is committed', () => {
    const table = new Table({ members: DATA3 });
    table.elect('a');
    table.transfer('a', 'b');
    table.lets = (message) => message.kind !== 'append-ack';
    table.released('a');
    expect(table.see('c').promiseUntilMs).toBeLessThan(table.now);
    expect(voteFor(table, 'b', 'c', 2)).toEqual([true]);
  });

  test('a heartbeat that was on its way when the release was written down changes neither the election nor its reason', () => {
    const table = new Table();
    table.elect('a');
    table.transfer('a', 'b');
    table.lets = (message) => message.kind !== 'append-ack';
    table.released('a');
    table.deliver(forge({ kind: 'heartbeat', from: 'a', to: 'b', term: 1 }));
    table.lets = (message) => !touches(message, 'a');
    table.until('b leads', () => table.see('b').role === 'leader', table.config.heartbeatMs);
    const vote = table.sent.findLast(({ kind, from }) => kind === 'vote' && from === 'b');
    expect(vote && bodyOf(vote).reason).toBe('released');
  });

  test('a leader whose lease was lost tells the others when it has released, and they need not wait', () => {
    const table = new Table();
    table.elect('a');
    table.lets = (message) => message.to !== 'a';
    table.pass(400);
    expect(table.see('a').releasing).toBe(true);
    table.released('a');
    expect(table.until('b holds', () => table.see('b').mayHold)).toBeLessThanOrEqual(
      table.config.heartbeatMs,
    );
  });

  test('a witness that is freed does not campaign', () => {
    const table = new Table();
    table.elect('a');
    const statements = table.crash('a', 'lose', 'releases');
    table.crash('b');
    table.sent = [];
    table.deliver(...statements);
    table.pass(10_000);
    expect(table.sent).toEqual([]);
  });

  test('the next leader writes the proven end of the tenure into the log', () => {
    const table = new Table();
    table.elect('a');
    table.deliver(...table.crash('a', 'lose', 'releases'));
    table.until('b holds', () => table.see('b').mayHold);
    const kinds = table.kinds('b');
    expect(kinds.indexOf('tenure-released')).toBeGreaterThan(kinds.indexOf('tenure-granted'));
    expect(kinds.filter((kind) => kind === 'tenure-released')).toHaveLength(1);
  });
});
