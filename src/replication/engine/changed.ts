/**
 * Which copies somebody has written to, as far as is known here (decide.ts, 4): a receiver that replays intent logs first has ZFS say so
 * when a stream comes; of any other receiver `written` has to do.
 */
import type { ReceiverChannel } from '../channel.ts';
import type { Dataset, Guid } from '../pool.ts';

/** ZFS's words, as the receiver passes them on (OpenZFS 2.1 to 2.3, libzfs_sendrecv.c), or says them itself (receiver/replay.ts). */
const REFUSAL = /destination .+ has been modified/;

interface Refused {
  readonly newest: Guid | null;
  readonly written: number;
  /** The receiver was asked to set it aside since. What is there still has no tail by now, as one whose key has been loaded: a stream is tried. */
  readonly isAsked: boolean;
}

export class ChangedCopies {
  readonly #channel: Pick<ReceiverChannel, 'features'>;
  readonly #refused = new Map<Guid, Refused>();

  constructor(channel: Pick<ReceiverChannel, 'features'>) {
    this.#channel = channel;
  }

  /** What a stream for it ended with. Returns whether that says something new of the copy. */
  heard(why: string, copy: Dataset | null): boolean {
    if (copy === null || !REFUSAL.test(why)) return false;
    const [newest, written, before] = [newestOf(copy), copy.written ?? 0, this.#refused.get(copy.guid)];
    this.#refused.set(copy.guid, { newest, written, isAsked: false });
    return before?.newest !== newest || before.written !== written;
  }

  /** These were ordered to be set aside, and that is done. */
  asked(copies: readonly Dataset[]): void {
    for (const { guid } of copies) {
      const refused = this.#refused.get(guid);
      if (refused !== undefined) this.#refused.set(guid, { ...refused, isAsked: true });
    }
  }

  readonly isChanged = (copy: Dataset): boolean => {
    const { guid, written } = copy;
    if (written === null) return true;
    if (written !== 0 && !this.#channel.features.has('replays')) return true;
    // Also without a byte that ZFS counts: a log that cannot be replayed may have some (receiver/replay.ts).
    const refused = this.#refused.get(guid);
    if (refused === undefined || refused.isAsked) return false;
    // Received since, or rolled back by a person: then ZFS says it anew.
    return refused.newest === newestOf(copy) && written >= refused.written;
  };
}

const newestOf = ({ snapshots }: Dataset): Guid | null => snapshots.at(-1)?.guid ?? null;
