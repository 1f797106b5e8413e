import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Entry, type HardState, logIndex, makeEntry, term } from '../../src/core/index.ts';
import {
  applyBatch,
  applyMarker,
  applyPersist,
  emptyStoredLog,
  encodeEntry,
  openStored,
  recover,
  type StoredLog,
  sha256,
} from '../../src/log/index.ts';
import { verifyRecords } from '../../src/log/verify.ts';
import { ScriptedNode } from '../support/log-fixtures.ts';
import { type History, play, someSteps } from '../support/log-history.ts';

function flip(bytes: Uint8Array, position: number): Uint8Array {
  const flipped = Uint8Array.from(bytes);
  const at = position % bytes.length;
  flipped[at] = (flipped[at] ?? 0) ^ (1 << (position % 8) || 1);
  return flipped;
}
const withRecord = (stored: StoredLog, index: number, bytes: Uint8Array | null): StoredLog => {
  const records = new Map(stored.records);
  if (bytes === null) records.delete(index);
  else records.set(index, bytes);
  return { ...stored, records };
};
const corruptRecord = (stored: StoredLog, index: number, position = 40) =>
  withRecord(stored, index, flip(stored.records.get(index) ?? new Uint8Array(1), position));
const corruptLogCopy = (stored: StoredLog): StoredLog => ({
  ...stored,
  hardStateRecord: flip(stored.hardStateRecord ?? new Uint8Array(1), 50),
});
const corruptSlots = (stored: StoredLog, ...numbers: number[]): StoredLog => {
  const [first, second] = stored.slots.map((slot, number) =>
    slot !== null && numbers.includes(number) ? flip(slot, 50) : slot,
  );
  return { ...stored, slots: [first ?? null, second ?? null] };
};

const persisted = (node: ScriptedNode, ...persists: readonly Parameters<typeof applyPersist>[1][]) => {
  const { writer } = openStored(emptyStoredLog());
  let disk = emptyStoredLog();
  for (const persist of persists) {
    const { batch, marker } = writer.plan([persist]);
    disk = applyMarker(applyBatch(disk, batch), marker);
  }
  expect(recover(disk)).toMatchObject({ entries: node.log, hardState: node.hardState, problems: [] });
  return disk;
};
function tenEntries(): { node: ScriptedNode; disk: StoredLog } {
  const node = new ScriptedNode();
  return { node, disk: persisted(node, node.vote(), node.append(6), node.append(4), node.commit(8)) };
}

describe('D2: on open', () => {
  test('nothing at all is empty', () => {
    expect(recover(emptyStoredLog())).toMatchObject({ status: 'empty', entries: [], damage: null });
    expect(recover({ ...emptyStoredLog(), slots: [new Uint8Array(4096), new Uint8Array(4096)] }).status).toBe(
      'empty',
    );
  });

  test('a vote without any entry is remembered', () => {
    const node = new ScriptedNode();
    const disk = persisted(node, node.vote('b'));
    expect(recover(disk)).toMatchObject({
      status: 'clean',
      entries: [],
      hardState: { term: 1, votedFor: 'b' },
    });
  });

  test.each([1, 5, 10])('a corrupt entry %i is damage up to the marker', (index) => {
    const { node, disk } = tenEntries();
    const recovered = recover(corruptRecord(disk, index));
    expect(recovered).toMatchObject({
      status: 'damaged',
      entries: node.log.slice(0, index - 1),
      damage: { markerIndex: 10, markerTerm: 1 },
      hardState: { term: 1, votedFor: 'b', damaged: { markerIndex: 10, markerTerm: 1 } },
    });
    expect(recovered.problems.join()).toContain(`entry ${index} is corrupt`);
  });

  test('a missing entry is damage', () => {
    const { node, disk } = tenEntries();
    const recovered = recover(withRecord(disk, 4, null));
    expect(recovered).toMatchObject({ status: 'damaged', entries: node.log.slice(0, 3) });
    expect(recovered.problems).toEqual(['entry 4 is missing; the log should go on to entry 10']);
  });

  test('an intact entry of another place is damage', () => {
    const { disk } = tenEntries();
    expect(recover(withRecord(disk, 4, disk.records.get(5) ?? null)).status).toBe('damaged');
  });

  test('a tail behind the marker is damage, also where only a hard state was lost', () => {
    const node = new ScriptedNode();
    const old = persisted(node, node.vote(), node.append(2));
    const { writer } = openStored(old);
    const lost = writer.plan([node.vote('w')]);
    const recovered = recover(applyMarker(old, lost.marker));
    expect(recovered).toMatchObject({
      status: 'damaged',
      hardState: { term: 2, votedFor: 'w' },
      damage: { markerIndex: 2, markerTerm: 1 },
    });
  });

  test('entries behind the recorded tail are kept if intact, and ignored from the first bad one on', () => {
    const { node, disk } = tenEntries();
    const more = new ScriptedNode(node.log, node.hardState);
    const { batch } = openStored(disk).writer.plan([more.append(3)]);
    const ahead = { ...disk, records: applyBatch(disk, batch).records };
    expect(recover(ahead)).toMatchObject({ status: 'clean', entries: more.log, problems: [] });
    expect(recover(corruptRecord(ahead, 12))).toMatchObject({
      status: 'clean',
      entries: more.log.slice(0, 11),
    });
    expect(recover(corruptRecord(ahead, 11))).toMatchObject({ status: 'clean', entries: node.log });
    expect(recover(withRecord(ahead, 11, null))).toMatchObject({ status: 'clean', entries: node.log });
  });

  test('an entry behind the tail of a later term than the hard state was never acknowledged: ignored', () => {
    const { node, disk } = tenEntries();
    const later = new ScriptedNode(node.log, node.hardState);
    const { batch } = openStored(disk).writer.plan([later.vote('w'), later.append()]);
    // A power cut before the marker, and then level's copy of the hard state is hurt besides.
    const recovered = recover(corruptLogCopy(applyBatch(disk, batch)));
    expect(recovered).toMatchObject({ status: 'clean', entries: node.log, hardState: node.hardState });
  });

  test.each([
    ['a lower term', 11, 0, 'lower term'],
    ['another index', 12, 1, 'in the place of'],
  ])('an entry that links but has %s ends the log', (_, index, termNumber, why) => {
    const { node, disk } = tenEntries();
    const head = node.log.at(-1)?.hash;
    if (head === undefined) throw new Error('no head');
    const odd = makeEntry(sha256, logIndex(index), term(termNumber), head, { kind: 'note', text: 'odd' });
    const recovered = recover(withRecord(disk, 11, encodeEntry(odd)));
    expect(recovered).toMatchObject({ status: 'clean', entries: node.log });
    expect(recovered.problems.join()).toContain(why);
  });

  test('a suffix that was kept counts from the next write on: losing it then is damage', () => {
    const { node, disk } = tenEntries();
    const more = new ScriptedNode(node.log, node.hardState);
    const { batch } = openStored(disk).writer.plan([more.append(3)]);
    const ahead = { ...disk, records: applyBatch(disk, batch).records };
    const { writer } = openStored(ahead);
    const plan = writer.plan([more.vote('w')]);
    const voted = applyMarker(applyBatch(ahead, plan.batch), plan.marker);
    expect(recover(voted)).toMatchObject({ status: 'clean', entries: more.log });
    expect(recover(corruptRecord(voted, 12)).damage).toEqual({ markerIndex: 13, markerTerm: 1 });
  });

  test('D1: a log that lost a conflict in its middle claims no commit for what it still has', () => {
    const node = new ScriptedNode();
    const before = persisted(node, node.vote(), node.append(6));
    const { writer } = openStored(before);
    writer.plan([node.vote(), node.replaceFrom(4, 2)]); // LevelDB drops this one ...
    const after = writer.plan([node.append(), node.commit(6)]); // ... and keeps this one.
    const recovered = recover(applyMarker(applyBatch(before, after.batch), after.marker));
    expect(recovered).toMatchObject({ status: 'damaged', hardState: { commitIndex: 0, term: 2 } });
  });
});

describe('D2: the copies of the hard state', () => {
  test('one corrupt copy does not matter', () => {
    const { node, disk } = tenEntries();
    for (const hurt of [
      corruptLogCopy(disk),
      corruptSlots(disk, 0),
      corruptSlots(disk, 1),
      corruptSlots(disk, 0, 1),
    ]) {
      const recovered = recover(hurt);
      expect(recovered).toMatchObject({ status: 'clean', entries: node.log, hardState: node.hardState });
      expect(recovered.problems.length).toBeGreaterThan(0);
    }
    expect(recover({ ...disk, slots: [null, null] })).toMatchObject({
      status: 'clean',
      hardState: node.hardState,
    });
  });

  test('both corrupt: refuse', () => {
    const { disk } = tenEntries();
    expect(() => recover(corruptLogCopy(corruptSlots(disk, 0, 1)))).toThrow(/hard state cannot be trusted/);
    expect(() => recover({ ...corruptLogCopy(disk), slots: [null, null] })).toThrow(
      /hard state cannot be trusted/,
    );
    expect(() => recover({ ...disk, hardStateRecord: null, slots: [null, null] })).toThrow(
      /hard state cannot/,
    );
  });

  test('an older slot never passes for the newest: a vote would be forgotten', () => {
    const { disk } = tenEntries();
    for (const slot of [0, 1]) {
      expect(() => recover(corruptLogCopy(corruptSlots(disk, slot)))).toThrow(
        /a slot of the marker is unreadable/,
      );
      expect(() => recover({ ...corruptSlots(disk, slot), hardStateRecord: null })).toThrow(/unreadable/);
    }
  });

  test('the write after a corrupt slot goes there, so the intact one stays', () => {
    const { node, disk } = tenEntries();
    for (const slot of [0, 1] as const) {
      const plan = openStored(corruptSlots(disk, slot)).writer.plan([node.commit(9)]);
      expect(plan.marker.slot).toBe(slot);
    }
  });
});

describe('D2: healing', () => {
  test('a restart in the middle of it is still damaged, until a persist says otherwise', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 1, max: 4 }),
        fc.boolean(),
        (bad, chunk, conflict) => {
          const { node: whole, disk } = tenEntries();
          const leader = new ScriptedNode(whole.log, whole.hardState);
          if (conflict) {
            leader.vote('w');
            leader.replaceFrom(9, 4);
          }
          let stored = corruptRecord(disk, bad);
          const marker = { markerIndex: 10, markerTerm: 1 };
          for (let life = 0; life < 30; life++) {
            const { recovered, writer } = openStored(stored);
            expect(recovered).toMatchObject({ status: 'damaged', damage: marker });
            const prefix = commonPrefix(recovered.entries, leader.log);
            if (prefix === leader.log.length) {
              const healed = { ...recovered.hardState, term: leader.hardState.term, damaged: null };
              stored = write(stored, writer, healed, []);
              expect(recover(stored)).toMatchObject({ status: 'clean', entries: leader.log, damage: null });
              return;
            }
            // A power cut between batch and marker, every other time.
            const entries = leader.log.slice(prefix, prefix + chunk);
            stored = write(
              stored,
              writer,
              { ...recovered.hardState, term: leader.hardState.term },
              entries,
              life % 2 === 0,
            );
          }
          throw new Error('never healed');
        },
      ),
    );
  });

  test('a second loss counts by the larger marker', () => {
    const { node, disk } = tenEntries();
    const { recovered, writer } = openStored(corruptRecord(disk, 5));
    const healing = write(corruptRecord(disk, 5), writer, recovered.hardState, node.log.slice(4, 6));
    expect(recover(corruptRecord(healing, 2)).damage).toEqual({ markerIndex: 10, markerTerm: 1 });
    const next = new ScriptedNode(node.log.slice(0, 6), { ...recovered.hardState, term: term(2) });
    const later = openStored(healing).writer.plan([next.replaceFrom(5, 1)]);
    const again = applyMarker(applyBatch(healing, later.batch), later.marker);
    expect(recover(corruptRecord(again, 2)).damage).toEqual({ markerIndex: 5, markerTerm: 2 });
  });
});

function commonPrefix(left: readonly Entry[], right: readonly Entry[]): number {
  const difference = right.findIndex((entry, at) => left[at]?.hash !== entry.hash);
  return difference === -1 ? right.length : difference;
}
function write(
  stored: StoredLog,
  writer: ReturnType<typeof openStored>['writer'],
  hardState: HardState,
  entries: readonly Entry[],
  isCut = false,
): StoredLog {
  const plan = writer.plan([{ id: 1, hardState, entries }]);
  const batched = applyBatch(stored, plan.batch);
  return isCut ? batched : applyMarker(batched, plan.marker);
}

type Fault = (history: History, position: number) => StoredLog;
const pick = <Item>(items: readonly Item[], position: number): Item => {
  const item = items[position % items.length];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
};
const last = (history: History) => pick(history.disks, history.disks.length - 1);
const replay = (history: History, isKept: (write: number) => boolean): StoredLog => {
  let disk = pick(history.disks, 0);
  for (const [number, { batch }] of history.plans.entries())
    if (isKept(number)) disk = applyBatch(disk, batch);
  return { ...disk, slots: last(history).slots };
};
/** Single faults: what one bad byte or one lying device can do to a disk that is otherwise whole. */
const FAULTS: Record<string, Fault> = {
  'a flipped bit in an entry': (history, position) => {
    const disk = last(history);
    return disk.records.size === 0 ? disk : corruptRecord(disk, (position % disk.records.size) + 1, position);
  },
  'an entry gone': (history, position) =>
    withRecord(last(history), (position % Math.max(1, last(history).records.size)) + 1, null),
  'a flipped bit in the log copy of the hard state': (history, position) => ({
    ...last(history),
    hardStateRecord: flip(last(history).hardStateRecord ?? new Uint8Array(1), position),
  }),
  'a flipped bit in a slot': (history, position) => {
    const [first, second] = last(history).slots;
    return position % 2 === 0 && first !== null
      ? { ...last(history), slots: [flip(first, position >> 1), second] }
      : { ...last(history), slots: [first, second && flip(second, position >> 1)] };
  },
  'a slot of zeros': (history, position) => {
    const [first, second] = last(history).slots;
    const zeros = new Uint8Array(4096);
    return { ...last(history), slots: position % 2 === 0 ? [zeros, second] : [first, zeros] };
  },
  'the last batches lost': (history, position) => {
    const kept = position % history.plans.length;
    return replay(history, (number) => number < kept);
  },
  'one batch lost, later ones kept (D1)': (history, position) => {
    const lost = position % history.plans.length;
    return replay(history, (number) => number !== lost);
  },
  'a range of batches lost, later ones kept (D1)': (history, position) => {
    const from = position % history.plans.length;
    const to = from + (position % 3);
    return replay(history, (number) => number < from || number > to);
  },
  'the whole of level lost': (history) => replay(history, () => false),
};

describe('D1: a single fault is never silent', () => {
  const seen = new Set<string>();
  test.each(Object.entries(FAULTS))('%s', (_, fault) => {
    fc.assert(
      fc.property(someSteps(12), fc.nat(100_000), (steps, position) => {
        const history = play(steps, emptyStoredLog());
        const { log, hardState } = pick(history.memories, history.memories.length - 1);
        const disk = fault(history, position);
        const recovered = recover(disk);
        seen.add(recovered.status);
        // A vote is never forgotten.
        expect(recovered.hardState).toMatchObject({ term: hardState.term, votedFor: hardState.votedFor });
        // Whatever is called committed was committed.
        const committed = recovered.hardState.commitIndex;
        expect(recovered.entries.slice(0, committed)).toEqual(log.slice(0, committed));
        expect(committed).toBeLessThanOrEqual(hardState.commitIndex);
        if (recovered.status === 'clean') {
          expect(recovered.entries.slice(0, log.length)).toEqual(log);
        } else {
          const tail = log.at(-1);
          expect(recovered.damage).toEqual({ markerIndex: log.length, markerTerm: tail?.term ?? 0 });
          expect(recovered.problems.length).toBeGreaterThan(0);
        }
        // And `audit --verify` sees every hurt entry.
        const isLogWhole = log.every((entry, at) => recover(disk).entries[at]?.hash === entry.hash);
        if (!isLogWhole) expect([...verifyRecords(disk, sha256), ...recovered.problems]).not.toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  test('both outcomes were met', () => {
    expect(seen).toEqual(new Set(['clean', 'damaged']));
  });
});

test('verify names the hurt entry and does not blame its neighbours', () => {
  const { disk } = tenEntries();
  expect(verifyRecords(disk, sha256)).toEqual([]);
  expect(verifyRecords(corruptRecord(disk, 4), sha256)).toMatchObject([{ index: 4 }]);
  expect(verifyRecords(withRecord(disk, 4, null), sha256)).toEqual([
    { index: 4, problem: 'entry 4 is missing' },
  ]);
  expect(verifyRecords(withRecord(disk, 4, disk.records.get(6) ?? null), sha256)).toMatchObject([
    { index: 4 },
  ]);
});

test('applyPersist is a persist on a disk that was just opened', () => {
  const node = new ScriptedNode();
  let disk = emptyStoredLog();
  for (const persist of [node.vote(), node.append(3), node.replaceFrom(2, 1), node.commit(2)]) {
    disk = applyPersist(disk, persist, 'batch');
    expect(recover(disk)).toMatchObject({ status: 'clean', problems: [] });
    disk = applyPersist(disk, persist, 'marker');
  }
  expect(recover(disk)).toMatchObject({ status: 'clean', entries: node.log, hardState: node.hardState });
  expect(recover(disk).hardState.commitIndex).toBe(logIndex(2));
});
