/**
 * The demo's store on its block device: numbered records, packed into slots, block after block, without a gap.
 * Slot: `u32 checksum | u32 number | u8 length | payload`. Record N is in slot N−1; number 0 is an empty slot.
 * The device's last block belongs to the observer.
 */
export const SLOT_BYTES = 128;
export const PAYLOAD_LIMIT_BYTES = SLOT_BYTES - 9;
const BLOCK_BYTES = 4096;
export const SLOTS_PER_BLOCK = BLOCK_BYTES / SLOT_BYTES;

export interface StoreRecord {
  readonly number: number;
  readonly payload: string;
}

export const capacity = (blocks: number): number => (blocks - 1) * SLOTS_PER_BLOCK;
export const blockOf = (number: number): number => Math.floor((number - 1) / SLOTS_PER_BLOCK);
const offsetOf = (number: number): number => ((number - 1) % SLOTS_PER_BLOCK) * SLOT_BYTES;

/** FNV-1a; the store must load nothing but itself. */
function checksum(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

export function putRecord(block: Buffer, { number, payload }: StoreRecord): void {
  const slot = block.subarray(offsetOf(number), offsetOf(number) + SLOT_BYTES);
  const bytes = Buffer.from(payload);
  if (bytes.length > PAYLOAD_LIMIT_BYTES) throw new RangeError(`payload over ${PAYLOAD_LIMIT_BYTES} bytes`);
  slot.fill(0);
  slot.writeUInt32BE(number, 4);
  slot.writeUInt8(bytes.length, 8);
  slot.set(bytes, 9);
  slot.writeUInt32BE(checksum(slot.subarray(4)), 0);
}

/** null: the slot is empty. Throws when it holds something else than record `number`. */
export function getRecord(block: Buffer, number: number): StoreRecord | null {
  const slot = block.subarray(offsetOf(number), offsetOf(number) + SLOT_BYTES);
  const found = slot.readUInt32BE(4);
  if (found === 0) return null;
  if (found !== number || slot.readUInt32BE(0) !== checksum(slot.subarray(4))) {
    throw new Error(`record ${number} is damaged`);
  }
  return { number, payload: slot.toString('utf8', 9, 9 + slot.readUInt8(8)) };
}
