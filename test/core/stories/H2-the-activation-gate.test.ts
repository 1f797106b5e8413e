import { describe, expect, test } from 'vitest';
import type { Effect, Input, Message } from '../../../src/core/index.ts';
import {
  Core,
  deriveTiming,
  epoch,
  GENESIS,
  instant,
  logIndex,
  makeEntry,
  nodeId,
  term,
} from '../../../src/core/index.ts';
import { sha256 } from '../../../src/log/index.ts';
import { aGrant, bodyOf, chain, DATA3, forge, Table } from '../../support/story.ts';

const grants = (table: Table) => table.kinds('a').filter((kind) => kind === 'tenure-granted').length;

describe('H2: the gate stays shut', () => {
  test('until the first entry of the own term has committed', () => {
    const table = new Table({ members: DATA3 });
    table.lets = (message) => message.kind !== 'append-ack';
    expect(table.elect('a')).toMatchObject({ role: 'leader', mayHold: false, commitIndex: 1 });
    table.pass(300);
    expect(table.see('a').leaseUntilMs).toBeGreaterThan(table.now); // confirmed, and still not
    expect([table.see('a').mayHold, grants(table)]).toEqual([false, 0]);
    table.lets = () => true;
    table.deliver(...table.takeHeld());
    expect([table.see('a').mayHold, grants(table)]).toEqual([true, 1]);
  });

  test('until a round of heartbeats of the own term is acknowledged by a quorum', () => {
    const table = new Table({ members: DATA3 });
    table.lets = (message) => message.kind !== 'heartbeat-ack';
    table.elect('a');
    expect(table.see('a').commitIndex).toBe(2); // committed, and still not
    expect([table.see('a').mayHold, grants(table)]).toEqual([false, 0]);
    table.lets = () => true;
    table.deliver(...table.takeHeld());
    expect([table.see('a').mayHold, grants(table)]).toEqual([true, 1]);
  });

  test('until the tenure-granted entry itself has committed', () => {
    const table = new Table({ members: DATA3 });
    table.lets = (message) => !(message.kind === 'append-ack' && Number(bodyOf(message).match) > 2);
    table.elect('a');
    table.pass(300);
    expect([table.see('a').mayHold, table.see('a').epoch, grants(table)]).toEqual([false, null, 1]);
    table.lets = () => true;
    table.deliver(...table.takeHeld());
    expect(table.see('a')).toMatchObject({
      mayHold: true,
      epoch: 3,
      entries: { 2: { kind: 'tenure-granted', index: 3 } },
    });
  });

  test('for a node that is not in the in-sync set', () => {
    const table = new Table();
    table.elect('a');
    table.propose('a', { kind: 'peer-outdated', peer: 'b' });
    table.pass(100);
    table.crash('a');
    expect(table.elect('b')).toMatchObject({ role: 'leader', inSync: ['a'], mayHold: false });
    table.pass(3_000);
    expect(table.kinds('b').filter((kind) => kind === 'tenure-granted')).toHaveLength(1);
    expect(table.holders).toEqual([]);
  });

  test('while the lease is over when the grant commits', () => {
    const table = new Table({ members: DATA3 });
    table.lets = (message) => !(message.kind === 'append-ack' && Number(bodyOf(message).match) > 2);
    table.elect('a');
    table.lets = () => false;
    const late = table.takeHeld();
    table.wait(400);
    table.deliver(...late);
    expect(table.see('a')).toMatchObject({ role: 'follower', mayHold: false, releasing: false });
  });

  test("for the whole announced restart of another node, from the own election (L7), stretched by the clocks' error", () => {
    const table = new Table({ members: DATA3 }, ['a', 'b']);
    table.lets = () => false;
    const restart = { kind: 'restart-begun', epoch: epoch(2), node: nodeId('c'), durationMs: 5_000 } as never;
    for (const to of ['a', 'b']) {
      const hash = table.see(to).chain;
      const entries = chain({ index: 1, hash }, { term: 1, body: aGrant('c') }, { term: 1, body: restart });
      table.deliver(
        forge({
          kind: 'append',
          from: 'c',
          to,
          term: 1,
          previousIndex: 1,
          previousHash: hash,
          entries,
          commit: 3,
        }),
      );
    }
    table.takeHeld();
    table.lets = () => true;
    table.elect('a');
    const electedAt = table.now;
    const k = 1.005 / 0.995;
    table.pass(5_000 * k - 1);
    expect(table.see('a')).toMatchObject({ role: 'leader', mayHold: false });
    table.pass(2);
    expect(table.see('a').mayHold).toBe(true);
    expect(table.now - electedAt).toBeGreaterThan(5_000);
  });
});

/** A core without the adapter's obliging executor: the story answers `prepare` itself. */
class Bare {
  now = 1_000;
  readonly core: Core;
  constructor() {
    const timing = deriveTiming({
      heartbeatMs: 100,
      leaseMs: 400,
      releaseMs: 120,
      guardMs: 10,
      watchdogTimeoutMs: null,
      clockErrorRate: 0.005,
    });
    const members = DATA3.map(({ id }) => ({ id: nodeId(id), witness: false, learner: false }));
    const body = {
      kind: 'config',
      members,
      removed: [],
      timing,
      inSync: members.map(({ id }) => id),
      cluster: 'test',
    } as const;
    const entries = [makeEntry(sha256, logIndex(1), term(0), GENESIS, body)];
    const hardState = { term: term(0), votedFor: null, commitIndex: logIndex(1), damaged: null };
    const recovered = { hardState, entries };
    this.core = new Core(
      { self: nodeId('a'), digest: sha256, seed: 1, timing, recovered, bootedAt: instant(0) },
      instant(this.now),
    );
  }
  #preparation = 0;
  /** The executor answers the last `prepare`. */
  prepared(ok: boolean): Effect[] {
    return this.step({ kind: 'prepared', id: this.#preparation, ok });
  }
  step(input: Input): Effect[] {
    const effects = this.core.step(input, instant(this.now));
    for (const effect of effects)
      if (effect.kind === 'persist') effects.push(...this.step({ kind: 'persisted', id: effect.persist.id }));
    for (const effect of effects) if (effect.kind === 'prepare') this.#preparation = effect.id;
    return effects;
  }
  hear(kind: Message['kind'], fields: Record<string, unknown> = {}): Effect[] {
    return this.step({
      kind: 'message',
      message: forge({ kind, from: 'b', to: 'a', term: this.core.view.hard.term, ...fields }).body as Message,
    });
  }
  /** Elected, its first entry committed, one round confirmed: it asks the executor to prepare. */
  lead(): Effect[] {
    this.step({ kind: 'campaign' });
    this.hear('pre-vote-ack', { round: this.core.view.round });
    this.hear('vote-ack');
    return [...this.hear('heartbeat-ack', { seq: 1 }), ...this.hear('append-ack', { match: 2 })];
  }
}

describe('H2: the watchdog is armed, and then the lease is checked again', () => {
  test('nothing is granted before the executor has armed', () => {
    const bare = new Bare();
    expect(bare.lead().filter(({ kind }) => kind === 'prepare')).toHaveLength(1);
    expect(bare.core.view.log.lastIndex).toBe(2);
    bare.step({ kind: 'prepared', id: 1, ok: true });
    expect(bare.core.view.log.at(logIndex(3))?.body.kind).toBe('tenure-granted');
    expect(bare.core.view.mayHold).toBe(false);
    const effects = bare.hear('append-ack', { match: 3 });
    expect(effects.find(({ kind }) => kind === 'hold')).toMatchObject({ epoch: 3, term: 1, until: 1_400 });
    expect(bare.core.view.mayHold).toBe(true);
  });

  test('an executor that cannot arm makes the leader renounce and hand over', () => {
    const bare = new Bare();
    bare.lead();
    const sent = bare
      .step({ kind: 'prepared', id: 1, ok: false })
      .flatMap((effect) => (effect.kind === 'send' ? [effect.message] : []));
    const beats = sent.filter((message) => message.kind === 'heartbeat');
    expect(beats.map((message) => message.renounced)).toEqual([true, true]);
    expect(sent.at(-1)).toMatchObject({ kind: 'timeout-now', to: 'b' });
    bare.step({ kind: 'prepared', id: 1, ok: true });
    expect(bare.core.view.log.lastIndex).toBe(2);
  });

  test('an executor that is armed only after the lease gets nothing', () => {
    const bare = new Bare();
    bare.lead();
    bare.now += 400;
    bare.step({ kind: 'prepared', id: 1, ok: true });
    expect(bare.core.view.log.lastIndex).toBe(2);
    expect(bare.core.view.roleName).toBe('follower');
  });

  test('H3: a holder whose own disk fails takes itself out, releases and hands over', () => {
    const bare = new Bare();
    bare.lead();
    bare.step({ kind: 'prepared', id: 1, ok: true });
    bare.hear('append-ack', { match: 3 });
    bare.step({ kind: 'propose', proposal: { kind: 'self-outdated' } });
    bare.hear('heartbeat-ack', { seq: 1 });
    const effects = [...bare.hear('append-ack', { match: 4 }), ...bare.step({ kind: 'tick' })];
    expect(bare.core.view.state.inSync).toEqual(['b', 'c']);
    expect(effects.find(({ kind }) => kind === 'release')).toMatchObject({ epoch: 3, mode: 'planned' });
    bare.step({ kind: 'released', evidence: 'verified' });
    const handed = bare.hear('append-ack', { match: 5 });
    expect(
      handed.some(
        (effect) =>
          effect.kind === 'send' && effect.message.kind === 'timeout-now' && effect.message.to === 'b',
      ),
    ).toBe(true);
  });
});
