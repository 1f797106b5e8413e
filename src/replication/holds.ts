/**
 * How many user references are set or taken at a time, and which there are.
 *
 * 1. `zfs hold TAG a b c` and `zfs release TAG a b c` are a call of the kernel for each name, and each call waits for a transaction group
 *    of its own; of a hold also where the tag is there already, which only that group finds out. On a busy pool of hard disks that is
 *    seconds for each name. So a command has few names: one that is killed at its limit has done some, and others follow it.
 * 2. What is held already is asked for first (`zfs holds`, which waits for no group): else whoever begins anew pays for all of it again.
 * 3. Whoever waits for all of them waits no longer than `allMs`, and goes on with what there is by then.
 */
export const HOLDS = {
  /** (1) Of one command. */
  atOnce: 8,
  /** (3) From then on no further command begins. */
  allMs: 20_000,
  /** (2) Of one question. */
  asked: 100,
} as const;

/** On the newest that both sides have and what is on its way, on either side: roles change. */
export const HOLD_TAG = 'quorate';

export function* batchesOf<One>(all: readonly One[], most: number): Generator<readonly One[]> {
  for (let at = 0; at < all.length; at += most) yield all.slice(at, at + most);
}

/** What `zfs holds -H` says is held by this tag. A line that is not as documented says nothing: then it is held once more, which costs time. */
export function heldIn(text: string, tag: string): ReadonlySet<string> {
  const rows = text.split('\n').map((line) => line.split('\t'));
  return new Set(rows.flatMap(([name = '', by, ...rest]) => (by === tag && rest.length === 1 ? [name] : [])));
}
