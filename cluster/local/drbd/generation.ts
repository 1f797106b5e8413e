/**
 * DRBD stand-in: which side has the newer data, from the data generation identifiers of both. Pure.
 *
 * As in DRBD: `current` names the data's generation; `bitmapBase` is the generation that the other side had when
 * this one began to write alone, so the bitmap tells what changed since; `history` holds what came before.
 * A new current is made whenever a Primary goes on without its peer. Invariants of the comparison:
 * 1. both sides reach mirrored verdicts from the same two reports;
 * 2. a Primary never becomes the target of a resync: its clients use that data;
 * 3. two sides that both wrote alone are split-brained, and nothing is overwritten without an operator.
 */
import type { DiskState, Role } from './state.ts';

export interface Generations {
  readonly current: string;
  readonly bitmapBase: string | null;
  readonly history: readonly string[];
}

export interface Report {
  readonly node: string;
  readonly generations: Generations;
  readonly role: Role;
  readonly disk: DiskState;
  readonly hasCrashedAsPrimary: boolean;
  readonly dirtyBlocks: number;
  readonly discardMyData: boolean;
}

export type Verdict =
  | { readonly kind: 'in-sync' }
  | { readonly kind: 'source'; readonly full: boolean }
  | { readonly kind: 'target'; readonly full: boolean }
  | { readonly kind: 'split-brain' }
  | { readonly kind: 'unrelated' }
  | { readonly kind: 'retry'; readonly why: string };

const source = (full: boolean): Verdict => ({ kind: 'source', full });
const target = (full: boolean): Verdict => ({ kind: 'target', full });

function compareEqual(self: Report, peer: Report): Verdict {
  const nothingMarked = self.dirtyBlocks === 0 && peer.dirtyBlocks === 0;
  if (self.disk === 'Inconsistent' && peer.disk !== 'Inconsistent') return target(nothingMarked);
  if (peer.disk === 'Inconsistent' && self.disk !== 'Inconsistent') return source(nothingMarked);
  const isSyncNeeded = !nothingMarked || self.hasCrashedAsPrimary || peer.hasCrashedAsPrimary;
  if (!isSyncNeeded) return { kind: 'in-sync' };
  if (self.role === 'Primary') return source(false);
  if (peer.role === 'Primary') return target(false);
  // A crashed Primary's blocks in flight were acknowledged to nobody: either version will do. The kernel takes the
  // crashed side's, which makes the survivor Inconsistent just when it is needed; here the survivor's data win.
  if (self.hasCrashedAsPrimary !== peer.hasCrashedAsPrimary) {
    return self.hasCrashedAsPrimary ? target(false) : source(false);
  }
  if (self.dirtyBlocks > 0 !== peer.dirtyBlocks > 0)
    return self.dirtyBlocks > 0 ? source(false) : target(false);
  return self.node < peer.node ? source(false) : target(false);
}

function isRelated(self: Generations, peer: Generations): boolean {
  const known = new Set([self.current, self.bitmapBase, ...self.history]);
  return [peer.current, peer.bitmapBase, ...peer.history].some((id) => id !== null && known.has(id));
}

function compare(self: Report, peer: Report): Verdict {
  const own = self.generations;
  const other = peer.generations;
  if (own.current === other.current) return compareEqual(self, peer);
  if (own.current === other.bitmapBase) return target(false);
  if (other.current === own.bitmapBase) return source(false);
  if (other.history.includes(own.current)) return target(true);
  if (own.history.includes(other.current)) return source(true);
  if (!isRelated(own, other)) return { kind: 'unrelated' };
  if (self.discardMyData !== peer.discardMyData) {
    return self.discardMyData
      ? target(own.bitmapBase !== other.bitmapBase)
      : source(own.bitmapBase !== other.bitmapBase);
  }
  return { kind: 'split-brain' };
}

export function decide(self: Report, peer: Report): Verdict {
  if (self.role === 'Primary' && peer.role === 'Primary') {
    const verdict = compare(self, peer);
    // Like rr-conflict retry-connect: one of the two will be released, then a retry succeeds.
    return verdict.kind === 'split-brain' || verdict.kind === 'unrelated'
      ? verdict
      : { kind: 'retry', why: 'both sides are Primary' };
  }
  const verdict = compare(self, peer);
  if (verdict.kind === 'target' && self.role === 'Primary') {
    return { kind: 'retry', why: 'I shall become SyncTarget, but I am primary' };
  }
  if (verdict.kind === 'source' && peer.role === 'Primary') {
    return { kind: 'retry', why: 'the peer shall become SyncTarget, but it is primary' };
  }
  const isDiskMissing = [self.disk, peer.disk].some((disk) => disk === 'Diskless' || disk === 'Failed');
  if (isDiskMissing) return { kind: 'retry', why: 'a node has no disk' };
  const from = verdict.kind === 'source' ? self.disk : verdict.kind === 'target' ? peer.disk : 'UpToDate';
  if (from === 'Inconsistent') return { kind: 'retry', why: "the newer side's disk is Inconsistent" };
  return verdict;
}
