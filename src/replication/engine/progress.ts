/**
 * What `zfs send -v -P` says on stderr while it sends: the size once, then every second how far it is; of a run for each snapshot from the
 * beginning, so that they are added up.
 */
import type { Instant } from '../../core/index.ts';

export interface Progress {
  readonly bytes: number;
  /** As ZFS has estimated it; null until it has said so. */
  readonly totalBytes: number | null;
  /** Smoothed; null until two seconds are known. */
  readonly bytesPerSecond: number | null;
}

const SIZE = /^size\t(\d{1,16})$/;
const AT = /^\d\d:\d\d:\d\d\t(\d{1,16})\t(.*)$/;
const HEAD = /^(full|incremental)\t/;
/** Of what is not understood: the last of it says why it has failed. */
const MAX_COMPLAINT = 2000;
/** How much the newest second counts. */
const NEWEST_SHARE = 0.3;

export class ProgressReader {
  #progress: Progress = { bytes: 0, totalBytes: null, bytesPerSecond: null };
  #at: Instant | null = null;
  #complaint = '';
  #snapshot = '';
  /** Of those that came before it in the run. */
  #bytesBefore = 0;

  get progress(): Progress {
    return this.#progress;
  }

  /** What it has said that is no progress. */
  get complaint(): string {
    return this.#complaint;
  }

  /** True where it was about progress. */
  onLine(line: string, now: Instant): boolean {
    const size = SIZE.exec(line)?.[1];
    if (size !== undefined) {
      this.#progress = { ...this.#progress, totalBytes: Number(size) };
      return true;
    }
    const [, bytes, snapshot = ''] = AT.exec(line) ?? [];
    if (bytes !== undefined) {
      if (snapshot !== this.#snapshot) this.#bytesBefore = this.#progress.bytes;
      this.#snapshot = snapshot;
      this.#advance(this.#bytesBefore + Number(bytes), now);
      return true;
    }
    // What is sent, and since ZFS 2.2 the heading of the columns.
    if (HEAD.test(line) || line.startsWith('TIME')) return false;
    this.#complaint = `${this.#complaint}${line.replaceAll(/[^\x20-\x7e]/g, '?')}\n`.slice(-MAX_COMPLAINT);
    return false;
  }

  #advance(bytes: number, now: Instant): void {
    const { bytes: before, bytesPerSecond: rate } = this.#progress;
    const seconds = this.#at === null ? 0 : (now - this.#at) / 1000;
    const latest = seconds > 0 ? Math.max(0, bytes - before) / seconds : null;
    const smoothed = latest === null ? rate : rate === null ? latest : rate + NEWEST_SHARE * (latest - rate);
    this.#at = now;
    this.#progress = { ...this.#progress, bytes, bytesPerSecond: smoothed };
  }
}
