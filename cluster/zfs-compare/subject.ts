/** What the model is compared with: real ZFS in a guest, or the stand-in for its commands. */
import type { Listing } from './listing.ts';
import type { PoolNames, Side, Work } from './step.ts';

/** One command. What it says may be of both its outputs. */
export interface Ran {
  readonly code: number;
  readonly said: string;
}

export interface Answer {
  /** Of a write too. */
  readonly ran: Ran | null;
  /** Of a stream: its sender; its receiver, which is not started where the sender has failed. */
  readonly sent: Ran | null;
  readonly received: Ran | null;
}

export interface Subject {
  readonly pools: PoolNames;
  /** Two new pools, with nothing in them. */
  begin(): Promise<void>;
  /** Does the work; then looks at the pool of that side, which is the only one that it changes. */
  perform(side: Side, work: Work): Promise<{ readonly answer: Answer; readonly listing: Listing }>;
  look(side: Side): Promise<Listing>;
  /** What is in the file of each of these snapshots of file systems; of one without the file nothing. */
  contents(side: Side, snapshots: readonly string[]): Promise<ReadonlyMap<string, string>>;
}
