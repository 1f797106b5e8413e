/** D2: a node whose log is empty is new, or has lost its disk. */
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { DiskLossCheck } from '../../src/agent/disk-loss.ts';
import type { Entry, Message } from '../../src/core/index.ts';
import { durationMs, GENESIS, logIndex, nodeId, term } from '../../src/core/index.ts';
import type { QuorateError } from '../../src/errors.ts';
import type { DiskMark, DiskMarks, RecoveredLog } from '../../src/log/index.ts';
import { a, b, chain, config, elected, note } from '../state/story.ts';
import { newDisk, type OpaqueMessage } from '../support/core-under-test.ts';
import { Table } from '../support/story.ts';

const n = nodeId('n');
const with_ = (vote: boolean) =>
  config({ members: [...config().members, { id: n, witness: false, learner: !vote }] });

/** What stands in the directory, and outlives every check on it; a write takes until the next turn. */
class Directory implements DiskMarks {
  readonly path = '/data/disk-mark';
  mark: DiskMark | null = null;
  isBroken = false;
  read = async () => this.mark;
  write = async (mark: DiskMark | null) => {
    await Promise.resolve();
    if (this.isBroken) throw new Error('EIO');
    this.mark = mark;
  };
  remove = () => this.write(null);
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

interface Tried {
  readonly check: DiskLossCheck;
  readonly fatal: QuorateError[];
}

async function open(directory: Directory, recovered: Partial<RecoveredLog> = {}): Promise<Tried> {
  const fatal: QuorateError[] = [];
  const check = await DiskLossCheck.open(
    {
      status: 'empty',
      hardState: { term: term(0), votedFor: null, commitIndex: logIndex(0), damaged: null },
      entries: [],
      damage: null,
      problems: [],
      ...recovered,
    },
    {
      ...{ self: n, dataDir: '/data', marks: directory, log: pino({ level: 'silent' }) },
      onFatal: (error) => fatal.push(error as QuorateError),
    },
  );
  return { check, fatal };
}

/** A log as the check looks at it. */
const at = (entries: readonly Entry[], ownTerm = 0) =>
  ({
    hard: { term: term(ownTerm) },
    log: { lastTerm: entries.at(-1)?.term ?? 0, lastIndex: entries.length },
  }) as never;
const EMPTY = at([]);

function append(
  ofTerm: number,
  log: readonly Entry[],
  from: number,
  commit: number,
  to = log.length,
): Message {
  const before = log[from - 2];
  return {
    ...{ kind: 'append', from: a, to: n, term: term(ofTerm), entries: log.slice(from - 1, to) },
    ...{ previousIndex: logIndex(from - 1), previousTerm: before?.term ?? term(0) },
    ...{
      previousHash: before?.hash ?? GENESIS,
      commit: logIndex(commit),
      renounced: false,
      promiseMs: durationMs(0),
    },
  } as Message;
}
const vote = (kind: 'vote' | 'pre-vote') => ({ kind, from: b, to: n, term: term(9) }) as Message;

/** n was added as a learner and promoted in term 1; then b was elected. */
const PROMOTED = chain(
  [0, config()],
  [1, elected(a)],
  [1, with_(false)],
  [1, note('x')],
  [1, with_(true)],
  [2, elected(b)],
);

describe('a lost disk', () => {
  test('of a member from the beginning is found by the first append, whatever it says is committed', async () => {
    const directory = new Directory();
    const { check, fatal } = await open(directory);
    const log = chain([0, with_(true)], [1, elected(a)]);
    expect(check.mayTake(append(1, log, 1, 0), EMPTY)).toBe(false);
    expect(fatal).toEqual([]);
    await turn();
    expect(directory.mark).toEqual({ kind: 'lost', from: a, index: 1 });
    expect(fatal).toMatchObject([{ code: 'disk-lost', exitCode: 12 }]);
    for (const kind of ['vote', 'pre-vote'] as const) expect(check.mayTake(vote(kind), EMPTY)).toBe(false);
    expect(check.mayTake(append(1, log, 1, 2), EMPTY)).toBe(false);
    await turn();
    expect(fatal).toHaveLength(1);
  });

  test('is refused at every later start, before anybody is heard', async () => {
    const directory = new Directory();
    directory.mark = { kind: 'lost', from: a, index: logIndex(1) };
    for (const entries of [[], PROMOTED])
      await expect(open(directory, { status: 'clean', entries })).rejects.toMatchObject({
        code: 'disk-lost',
        message: expect.stringContaining('/data/disk-mark says so'),
      });
  });

  test('is suspected again after a heartbeat, which left a hard state and no entries', async () => {
    const directory = new Directory();
    const hardState = { term: term(4), votedFor: null, commitIndex: logIndex(0), damaged: null };
    const { check, fatal } = await open(directory, { status: 'clean', hardState });
    expect(check.mayTake(append(4, PROMOTED, 1, 6), at([], 4))).toBe(false);
    await turn();
    expect(fatal).toMatchObject([{ code: 'disk-lost' }]);
  });

  test('ends the node also where that cannot be written down', async () => {
    const directory = new Directory();
    directory.isBroken = true;
    const { check, fatal } = await open(directory);
    expect(check.mayTake(append(1, chain([0, with_(true)]), 1, 1), EMPTY)).toBe(false);
    await turn();
    expect(fatal).toMatchObject([{ code: 'disk-lost' }]);
  });

  test('of a node that was promoted later is found behind entries that came before, over a restart', async () => {
    const directory = new Directory();
    const first = await open(directory);
    // The leader believes that it lacks nothing, and is told otherwise.
    expect(first.check.mayTake(append(2, PROMOTED, 6, 5), EMPTY)).toBe(false);
    await turn();
    expect(first.check.mayTake(append(2, PROMOTED, 1, 5, 3), EMPTY)).toBe(true);
    const entries = PROMOTED.slice(0, 3);
    const second = await open(directory, { status: 'clean', entries });
    for (const kind of ['vote', 'pre-vote'] as const)
      expect(second.check.mayTake(vote(kind), at(entries, 2))).toBe(false);
    expect(second.check.mayTake(append(2, PROMOTED, 4, 5), at(entries, 2))).toBe(false);
    await turn();
    expect(second.fatal).toMatchObject([{ code: 'disk-lost' }]);
    expect(directory.mark?.kind).toBe('lost');
  });

  test('is found although its promotion is not committed for the leader that comes first', async () => {
    const directory = new Directory();
    const { check, fatal } = await open(directory);
    expect(check.mayTake(append(2, PROMOTED, 1, 3, 3), EMPTY)).toBe(false);
    await turn();
    expect(check.mayTake(append(2, PROMOTED, 1, 3, 3), EMPTY)).toBe(true);
    // It has all that is committed, not yet what the leader began with: its vote may be that of a disk that is gone.
    expect(check.mayTake(vote('vote'), at(PROMOTED.slice(0, 3), 2))).toBe(false);
    expect(check.mayTake(append(2, PROMOTED, 4, 3), at(PROMOTED.slice(0, 3), 2))).toBe(false);
    await turn();
    expect(fatal).toMatchObject([{ code: 'disk-lost' }]);
  });

  test('is found where the leader that promoted it sends the log again, in the same term', async () => {
    const { check, fatal } = await open(new Directory());
    expect(check.mayTake(append(1, PROMOTED, 1, 5, 2), EMPTY)).toBe(false);
    await turn();
    expect(check.mayTake(append(1, PROMOTED, 1, 5, 2), EMPTY)).toBe(true);
    expect(check.mayTake(append(1, PROMOTED, 3, 5, 5), at(PROMOTED.slice(0, 2), 1))).toBe(false);
    await turn();
    expect(fatal).toMatchObject([{ code: 'disk-lost' }]);
  });
});

describe('a new node', () => {
  const learned = PROMOTED.slice(0, 4);

  test('takes nothing before what it heard first is durable', async () => {
    const directory = new Directory();
    const { check, fatal } = await open(directory);
    const heartbeat = { kind: 'heartbeat', from: a, to: n, term: term(1) } as Message;
    expect(check.mayTake(heartbeat, EMPTY)).toBe(true);
    expect(directory.mark).toBeNull();
    expect(check.mayTake(append(1, learned, 1, 3), EMPTY)).toBe(false);
    expect(check.mayTake(append(1, learned, 1, 4), EMPTY)).toBe(false);
    expect(check.mayTake(heartbeat, EMPTY)).toBe(true);
    await turn();
    expect(directory.mark).toEqual({ kind: 'heard', first: { from: a, term: 1, end: 4, commit: 3 } });
    expect(check.mayTake(append(1, learned, 1, 4), EMPTY)).toBe(true);
    expect(fatal).toEqual([]);
  });

  test('ends as with any failed write where that cannot be written', async () => {
    const directory = new Directory();
    directory.isBroken = true;
    const { check, fatal } = await open(directory);
    expect(check.mayTake(append(1, learned, 1, 3), EMPTY)).toBe(false);
    await turn();
    expect(fatal).toMatchObject([{ message: 'EIO' }]);
    expect(check.mayTake(append(1, learned, 1, 3), EMPTY)).toBe(false);
  });

  test('is promoted in the term in which it was heard of, and votes', async () => {
    const directory = new Directory();
    const { check, fatal } = await open(directory);
    check.mayTake(append(1, learned, 1, 3), EMPTY);
    await turn();
    expect(check.mayTake(append(1, PROMOTED, 5, 4, 5), at(learned, 1))).toBe(true);
    expect(check.mayTake(vote('vote'), at(learned, 1))).toBe(true);
    expect(fatal).toEqual([]);
  });

  test('gets the entry of its promotion from a later leader', async () => {
    const directory = new Directory();
    const { check } = await open(directory);
    check.mayTake(append(1, learned, 1, 3), EMPTY);
    await turn();
    const again = await open(directory, { status: 'clean', entries: learned });
    expect(again.check.mayTake(append(2, PROMOTED, 5, 4), at(learned, 1))).toBe(true);
    await turn();
    expect(again.fatal).toEqual([]);
  });

  test('is promoted on a branch that is shorter than what the first leader had', async () => {
    const { check, fatal } = await open(new Directory());
    const long = chain(
      [0, config()],
      [1, elected(a)],
      [1, with_(false)],
      ...Array(9).fill([1, note('lost')]),
    );
    check.mayTake(append(1, long, 1, 3), EMPTY);
    await turn();
    const other = chain([0, config()], [1, elected(a)], [1, with_(false)], [2, elected(b)], [2, with_(true)]);
    expect(check.mayTake(append(2, other, 4, 4), at(long, 1))).toBe(true);
    await turn();
    expect(fatal).toEqual([]);
  });

  test('is known to be one when what it heard first is committed; the mark goes, and stays away', async () => {
    const directory = new Directory();
    const { check } = await open(directory);
    check.mayTake(append(1, learned, 1, 3), EMPTY);
    await turn();
    for (const entry of learned.slice(0, 3)) check.onCommitted(entry);
    await turn();
    expect(directory.mark?.kind).toBe('heard');
    check.onCommitted(learned[3] as Entry);
    await turn();
    expect(directory.mark).toBeNull();
    const again = await open(directory, { status: 'clean', entries: learned });
    expect(again.check.mayTake(append(1, PROMOTED, 5, 4, 5), at(learned, 1))).toBe(true);
  });

  test('that was stopped before the mark was removed removes it at its next start', async () => {
    const directory = new Directory();
    directory.mark = {
      kind: 'heard',
      first: { from: a, term: term(1), end: logIndex(4), commit: logIndex(3) },
    };
    const hardState = { term: term(1), votedFor: null, commitIndex: logIndex(4), damaged: null };
    await open(directory, { status: 'clean', entries: learned, hardState });
    await turn();
    expect(directory.mark).toBeNull();
  });
});

describe('others are not suspected', () => {
  test.each(['clean', 'damaged'] as const)('with entries, %s', async (status) => {
    const { check } = await open(new Directory(), { status, entries: PROMOTED.slice(0, 5) });
    expect(check.mayTake(vote('vote'), EMPTY)).toBe(true);
    expect(check.mayTake(append(2, PROMOTED, 1, 5), EMPTY)).toBe(true);
  });

  test('damaged, with nothing left: its marker says what it had', async () => {
    const { check } = await open(new Directory(), { status: 'damaged' });
    expect(check.mayTake(append(2, PROMOTED, 1, 5), EMPTY)).toBe(true);
  });

  test('at the beginning of a cluster (H7): no mark is ever written', async () => {
    const directory = new Directory();
    const { check, fatal } = await open(directory);
    check.bootstrapped();
    check.bootstrapped();
    const log = chain([0, with_(true)], [2, elected(a)]);
    expect(check.mayTake(append(2, log, 2, 1), at(log.slice(0, 1)))).toBe(true);
    await turn();
    expect({ mark: directory.mark, fatal }).toEqual({ mark: null, fatal: [] });
  });

  test('but no cluster begins on a node that a leader has sent its log to', async () => {
    const { check } = await open(new Directory());
    check.mayTake(append(1, PROMOTED, 1, 4, 4), EMPTY);
    const refused = expect.objectContaining({ code: 'already-bootstrapped' });
    expect(() => check.bootstrapped()).toThrow(refused);
    await turn();
    expect(() => check.bootstrapped()).toThrow(refused);
  });
});

/** Real cores; the check stands before n's, as the agent puts it there. */
describe('in a cluster', () => {
  class Joined {
    readonly table = new Table();
    readonly directory = new Directory();
    fatal: QuorateError[] = [];
    mayPass: (message: Message) => boolean = () => true;
    #check: DiskLossCheck | null = null;
    #committed = 0;

    constructor() {
      this.table.lets = (message) => message.to !== n || this.#takes(message);
    }
    #takes({ body }: OpaqueMessage): boolean {
      const message = body as Message;
      if (this.#check === null || !this.mayPass(message)) return false;
      const { term: ownTerm, lastTerm, lastIndex } = this.table.see('n');
      const view = { hard: { term: ownTerm }, log: { lastTerm, lastIndex } } as never;
      return this.#check.mayTake(message, view);
    }
    async start(): Promise<void> {
      if (this.table.isUp('n')) this.table.crash('n');
      this.table.boot('n');
      const known = this.table.see('n').entries as unknown as Entry[];
      // The table gives every blank disk the first entry; of an agent's, a leader sends it.
      const entries = known.length > 1 ? known : [];
      const { check, fatal } = await open(this.directory, { status: 'clean', entries });
      this.#check = check;
      this.fatal = fatal;
      this.#committed = 0;
    }
    loseDisk(): void {
      this.table.crash('n');
      this.table.disks.set('n', newDisk());
      this.directory.mark = null;
    }
    async pass(ms: number): Promise<void> {
      for (let passed = 0; passed < ms; passed += 20) {
        this.table.pass(20);
        const { commitIndex, entries } = this.table.see('n');
        for (; this.#committed < commitIndex; this.#committed += 1)
          this.#check?.onCommitted(entries[this.#committed] as unknown as Entry);
        await turn();
      }
    }
    propose(what: 'add-learner' | 'promote'): 'accepted' | 'refused' {
      return this.table.propose('a', { kind: what, member: { id: 'n', witness: false } });
    }
    get hasVote(): boolean {
      return this.table.see('n').members.some(({ id, learner }) => id === 'n' && !learner);
    }
  }

  /** n is promoted behind the first 64 entries, which fill an append. */
  async function joined(): Promise<Joined> {
    const play = new Joined();
    const { table } = play;
    table.elect('a');
    for (let number = 0; number < 70; number += 1) table.note('a', `${number}`);
    await play.start();
    expect(play.propose('add-learner')).toBe('accepted');
    await play.pass(2_000);
    expect(play.propose('promote')).toBe('accepted');
    await play.pass(500);
    return play;
  }

  test('a new member gets the log, its vote, and loses its mark', async () => {
    const play = await joined();
    expect({ hasVote: play.hasVote, fatal: play.fatal }).toEqual({ hasVote: true, fatal: [] });
    expect(play.directory.mark).toBeNull();
    expect(play.table.see('n').chain).toBe(play.table.see('a').chain);
    await play.start();
    await play.pass(500);
    expect(play.fatal).toEqual([]);
  });

  test('the same node on a new disk is lost, also after a restart in the middle, and votes for nobody meanwhile', async () => {
    const play = await joined();
    play.loseDisk();
    await play.start();
    // The network gives out before the append with its vote.
    play.mayPass = (message) => message.kind !== 'append' || (message.entries.at(-1)?.index ?? 0) <= 70;
    await play.pass(2_000);
    expect(play.table.see('n').lastIndex).toBeGreaterThanOrEqual(64);
    expect(play.hasVote).toBe(false);
    expect({ mark: play.directory.mark?.kind, fatal: play.fatal }).toEqual({ mark: 'heard', fatal: [] });
    await play.start();
    play.table.crash('a');
    play.table.crash('w');
    play.table.sent = [];
    await play.pass(5_000);
    expect(play.table.sent.filter(({ kind }) => kind === 'pre-vote').length).toBeGreaterThan(0);
    expect(play.table.sent.filter(({ from }) => from === 'n')).toEqual([]);
    play.table.boot('a');
    play.table.boot('w');
    play.mayPass = () => true;
    await play.pass(5_000);
    expect(play.fatal).toMatchObject([{ code: 'disk-lost' }]);
    expect(play.hasVote).toBe(false);
    await expect(play.start()).rejects.toMatchObject({ code: 'disk-lost' });
  });
});
