/**
 * A node with an empty log may be new, or may have lost its disk. The difference matters: a voter that forgot its votes and
 * entries could help to elect a leader without them (D2).
 *
 * 1. A leader promotes a node only after an append that this node confirmed *to that leader, in its term* (E5). So for a new
 *    node the entry with its vote is newer than the first append that it ever got: of a later term, or of the same term
 *    and behind everything that the leader had then. Any other is the vote of a disk that is gone.
 * 2. That first append is durable in the mark before any entry of it is, and is judged by ever after: a start in the
 *    middle makes nobody new. Until then appends are dropped; the leader sends them again.
 * 3. A log without entries is suspect at every start, whatever hard state it has by a heartbeat, and without a mark.
 * 4. No vote before the log has what that leader began with (its first entry, and what was committed): by then a vote that was
 *    lost has been found. A new node has all that before it gets its vote, so this costs no election a voter.
 * 5. Known to be new: what is committed has gone past that first append, and gave it no vote.
 * 6. Lost is written down before this process ends, and no start gets past it.
 */
import type { Logger } from 'pino';
import { assertNever, type CoreView, type Entry, type Message, type NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import type { DiskMark, DiskMarks, FirstAppend, RecoveredLog } from '../log/index.ts';

type Append = Extract<Message, { kind: 'append' }>;

type State =
  /** Not lost: it never began empty, has been there at the beginning of its cluster, or has had no vote before. */
  | { readonly kind: 'kept' }
  | { readonly kind: 'empty' }
  | { readonly kind: 'noting' }
  | { readonly kind: 'heard'; readonly first: FirstAppend }
  | { readonly kind: 'lost' };

export interface DiskLossOptions {
  readonly self: NodeId;
  readonly dataDir: string;
  readonly marks: DiskMarks;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
  readonly onFatal: (error: unknown) => void;
}

export class DiskLossCheck {
  readonly #options: DiskLossOptions;
  #state: State;

  private constructor(options: DiskLossOptions, state: State) {
    this.#options = options;
    this.#state = state;
  }

  /** @throws (rejects) QuorateError `disk-lost`, `disk-mark-unreadable`, `log-format-unknown`, `storage-failed` */
  static async open(recovered: RecoveredLog, options: DiskLossOptions): Promise<DiskLossCheck> {
    const { self, dataDir, marks } = options;
    const mark = await marks.read();
    if (mark?.kind === 'lost') throw lostDisk(self, dataDir, mark, ` (${marks.path} says so)`);
    const check = new DiskLossCheck(options, stateAtStart(recovered, mark));
    const { entries, hardState } = recovered;
    const lastCommitted = entries[hardState.commitIndex - 1];
    if (lastCommitted !== undefined) check.onCommitted(lastCommitted);
    return check;
  }

  /** False: it is dropped, as if the network had lost it. */
  mayTake(message: Message, view: Pick<CoreView, 'hard' | 'log'>): boolean {
    const state = this.#state;
    switch (state.kind) {
      case 'kept':
        return true;
      case 'empty':
        // An outdated leader's is refused by the core, and says nothing of what there is now.
        if (message.kind !== 'append' || message.term < view.hard.term) return true;
        this.#onFirst(message);
        return false;
      case 'noting':
        return message.kind !== 'append';
      case 'heard':
        if (message.kind === 'vote' || message.kind === 'pre-vote') return mayVote(state.first, view);
        return message.kind !== 'append' || !this.#isLost(message, state.first);
      case 'lost':
        return false;
      default:
        return assertNever(state);
    }
  }

  /** H7: before the first entry of a new cluster is written. @throws QuorateError `already-bootstrapped` */
  bootstrapped(): void {
    const { self } = this.#options;
    if (this.#state.kind !== 'empty' && this.#state.kind !== 'kept')
      throw new QuorateError('already-bootstrapped', `${self} has no log, but a leader has sent it one`);
    this.#state = { kind: 'kept' };
  }

  onCommitted(entry: Pick<Entry, 'term' | 'index'>): void {
    const state = this.#state;
    if (state.kind !== 'heard' || entry.index < state.first.end || entry.term < state.first.term) return;
    const { marks, log } = this.#options;
    this.#state = { kind: 'kept' };
    // A mark that stays is true at the next start, too.
    marks.remove().catch((error: unknown) => {
      log.warn({ event: 'disk-mark-stays', path: marks.path, error: String(error) }, 'the mark stays');
    });
  }

  #onFirst(append: Append): void {
    const first = firstAppend(append);
    if (this.#isLost(append, first)) return;
    const { marks, log, onFatal } = this.#options;
    this.#state = { kind: 'noting' };
    marks.write({ kind: 'heard', first }).then(() => {
      this.#state = { kind: 'heard', first };
      log.info({ event: 'first-append', ...first }, `the log was empty; ${first.from} sends one`);
    }, onFatal);
  }

  #isLost(append: Append, first: FirstAppend): boolean {
    const { self, dataDir, marks, log, onFatal } = this.#options;
    const vote = append.entries.find((entry) => isLostVote(self, entry, first));
    if (vote === undefined) return false;
    this.#state = { kind: 'lost' };
    const mark = { kind: 'lost', from: append.from, index: vote.index } as const;
    const end = () => onFatal(lostDisk(self, dataDir, mark, ''));
    // Unwritten, the next start is as suspicious as this one, and finds the same.
    marks.write(mark).then(end, (error: unknown) => {
      log.error(
        { event: 'disk-mark-unwritten', path: marks.path, error: String(error) },
        'no mark was written',
      );
      end();
    });
    return true;
  }
}

function stateAtStart({ entries, status }: RecoveredLog, mark: DiskMark | null): State {
  if (mark?.kind === 'heard') return mark;
  // A damaged one knows by its marker what it had, and does not vote before it has that again (D2).
  return entries.length === 0 && status !== 'damaged' ? { kind: 'empty' } : { kind: 'kept' };
}

function firstAppend({ from, term, commit, previousIndex, entries }: Append): FirstAppend {
  const last = entries.at(-1)?.index ?? previousIndex;
  return { from, term, commit, end: last > commit ? last : commit };
}

function isLostVote(self: NodeId, { term, index, body }: Entry, first: FirstAppend): boolean {
  if (body.kind !== 'config') return false;
  if (!body.members.some(({ id, learner }) => id === self && !learner)) return false;
  return term < first.term || (term === first.term && index <= first.end);
}

function mayVote(first: FirstAppend, { log }: Pick<CoreView, 'log'>): boolean {
  return log.lastTerm >= first.term && log.lastIndex >= first.commit;
}

function lostDisk(
  self: NodeId,
  dataDir: string,
  { from, index }: Extract<DiskMark, { kind: 'lost' }>,
  source: string,
): QuorateError {
  return new QuorateError(
    'disk-lost',
    `${dataDir} was empty, but ${from} has a log in which ${self} votes (entry ${index})${source}`,
  );
}
