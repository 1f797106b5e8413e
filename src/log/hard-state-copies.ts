/**
 * Chooses among the three copies of the hard state: level's record and the two slots of the marker file (D2).
 *
 * 1. Of intact copies the highest sequence is the truth, unless 3.
 * 2. A batch is durable before its marker is written, so level's record is never older than a slot unless level lost
 *    something: then the node is damaged, whatever its tail looks like.
 * 3. A forgotten vote is the one loss that nothing can repair. So where level's record does not prove which slot is
 *    the newest, and a slot is corrupt, the corrupt one may have been the newest: the node refuses to start.
 */
import { QuorateError } from '../errors.ts';
import { decodeHardState, type HardStateRecord } from './hard-state-codec.ts';
import { CorruptRecordError } from './record.ts';
import type { SlotNumber, StoredLog } from './stored-log.ts';

type Copy =
  | { readonly kind: 'intact'; readonly record: HardStateRecord }
  | { readonly kind: 'absent' }
  | { readonly kind: 'corrupt'; readonly why: string };

export interface ChosenHardState {
  readonly record: HardStateRecord;
  /** Level misses a batch that the marker names (D2). */
  readonly levelLostABatch: boolean;
  /** The slot that the next marker goes to: never the newest intact one. */
  readonly nextSlot: SlotNumber;
  readonly problems: readonly string[];
}

function readCopy(bytes: Uint8Array | null): Copy {
  if (bytes === null) return { kind: 'absent' };
  try {
    return { kind: 'intact', record: decodeHardState(bytes) };
  } catch (error) {
    if (error instanceof CorruptRecordError) return { kind: 'corrupt', why: error.message };
    throw error;
  }
}

/** A preallocated slot that was never written is all zero. */
function readSlot(bytes: Uint8Array | null): Copy {
  return bytes?.every((byte) => byte === 0) ? { kind: 'absent' } : readCopy(bytes);
}

const sequenceOf = (copy: Copy): number => (copy.kind === 'intact' ? copy.record.sequence : 0);

function problemsOf(level: Copy, slots: readonly Copy[]): string[] {
  const problems: string[] = [];
  if (level.kind === 'corrupt')
    problems.push(`the log's copy of the hard state is unreadable (${level.why}); the marker's is used`);
  for (const [number, slot] of slots.entries()) {
    if (slot.kind === 'corrupt')
      problems.push(
        `slot ${number} of the marker is unreadable (${slot.why}): a power cut while it was written, or corruption`,
      );
  }
  const newestSlot = Math.max(...slots.map(sequenceOf));
  if (level.kind === 'intact' && newestSlot === 0 && level.record.sequence > 1)
    problems.push("the marker is missing; the log's copy of the hard state is used");
  return problems;
}

/** @throws QuorateError `hard-state-unreadable`. Null: there is no hard state because there is nothing at all. */
export function chooseHardState(stored: StoredLog): ChosenHardState | null {
  const level = readCopy(stored.hardStateRecord);
  const [first, second] = [readSlot(stored.slots[0]), readSlot(stored.slots[1])];
  const slots = [first, second];
  const copies = [level, first, second];
  if (stored.records.size === 0 && copies.every((copy) => copy.kind === 'absent')) return null;

  const problems = problemsOf(level, slots);
  const refuse = (why: string) =>
    new QuorateError('hard-state-unreadable', `the hard state cannot be trusted: ${why}`, {
      context: { problems },
    });
  const newestSlot = sequenceOf(first) > sequenceOf(second) ? first : second;
  const newest = sequenceOf(level) >= sequenceOf(newestSlot) ? level : newestSlot;
  if (newest.kind !== 'intact') throw refuse('neither the log nor the marker has a readable copy');
  if (newest !== level && slots.some((slot) => slot.kind === 'corrupt'))
    throw refuse('the log does not have the newest copy, and a slot of the marker is unreadable');

  const levelLostABatch = newest !== level && level.kind !== 'corrupt';
  if (levelLostABatch)
    problems.push(
      `the marker has write ${newest.record.sequence}, the log ${
        level.kind === 'intact' ? `only write ${level.record.sequence}` : 'none'
      }: the log lost what it had synced`,
    );
  return {
    record: newest.record,
    levelLostABatch,
    nextSlot: newestSlot === first && first.kind === 'intact' ? 1 : 0,
    problems,
  };
}
