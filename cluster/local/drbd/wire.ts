/**
 * DRBD stand-in: frames between the two daemons.
 * `u32 length of the rest | u8 kind | u32 id | u32 block | payload`, big endian.
 */
import type { Report } from './generation.ts';
import type { DiskState, Role } from './state.ts';

export const FRAME = { message: 1, write: 2, writeAck: 3, resync: 4, resyncAck: 5, ping: 6 } as const;
const HEADER_BYTES = 9;
/** A dirty list of a device of 64 k blocks as JSON is the largest frame. */
const FRAME_LIMIT_BYTES = 1 << 20;

export type PeerMessage =
  | { readonly kind: 'hello'; readonly resource: string; readonly blocks: number; readonly report: Report }
  | { readonly kind: 'state'; readonly role: Role; readonly disk: DiskState }
  | { readonly kind: 'promote-request'; readonly id: number }
  | { readonly kind: 'promote-reply'; readonly id: number; readonly isGranted: boolean }
  | { readonly kind: 'dirty'; readonly blocks: readonly number[] }
  | { readonly kind: 'sync-done'; readonly current: string }
  | { readonly kind: 'sync-confirmed' }
  | { readonly kind: 'goodbye'; readonly outdateYourself: boolean; readonly iAmOutdated: boolean }
  | { readonly kind: 'goodbye-ack' };

export interface Frame {
  readonly kind: number;
  readonly id: number;
  readonly block: number;
  readonly payload: Buffer;
}

export function encodeFrame(kind: number, id: number, block: number, payload?: Uint8Array): Buffer {
  const length = HEADER_BYTES + (payload?.length ?? 0);
  const frame = Buffer.allocUnsafe(4 + length);
  frame.writeUInt32BE(length, 0);
  frame.writeUInt8(kind, 4);
  frame.writeUInt32BE(id, 5);
  frame.writeUInt32BE(block, 9);
  if (payload !== undefined) frame.set(payload, 4 + HEADER_BYTES);
  return frame;
}

export const encodeMessage = (message: PeerMessage): Buffer =>
  encodeFrame(FRAME.message, 0, 0, Buffer.from(JSON.stringify(message)));

/** Only the other stand-in speaks this; a shape that it cannot have sent breaks the connection. */
export function decodeMessage(frame: Frame): PeerMessage {
  const value: unknown = JSON.parse(frame.payload.toString('utf8'));
  if (typeof value !== 'object' || value === null || !('kind' in value))
    throw new Error('not a peer message');
  return value as PeerMessage;
}

/** Splits a byte stream into frames. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): Frame[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    while (this.#rest.length >= 4) {
      const length = this.#rest.readUInt32BE(0);
      if (length < HEADER_BYTES || length > FRAME_LIMIT_BYTES) throw new Error(`frame of ${length} bytes`);
      if (this.#rest.length < 4 + length) break;
      frames.push({
        kind: this.#rest.readUInt8(4),
        id: this.#rest.readUInt32BE(5),
        block: this.#rest.readUInt32BE(9),
        payload: this.#rest.subarray(4 + HEADER_BYTES, 4 + length),
      });
      this.#rest = this.#rest.subarray(4 + length);
    }
    return frames;
  }
}
