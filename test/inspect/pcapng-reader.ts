/** A small reader of pcapng, written from its specification and not from our writer. Refuses what is not well-formed. */

export interface Packet {
  readonly atUs: bigint;
  readonly captured: Buffer;
  readonly originalBytes: number;
  readonly comment: string | null;
  readonly isInbound: boolean;
}

export interface ReadCapture {
  comment: string | null;
  application: string | null;
  readonly interfaces: { link: number; snapBytes: number; name: string | null }[];
  readonly names: Record<string, string>;
  readonly packets: Packet[];
  readonly statistics: { received: number; dropped: number }[];
}

export function readPcapng(bytes: Buffer): ReadCapture {
  const read: ReadCapture = {
    comment: null,
    application: null,
    interfaces: [],
    names: {},
    packets: [],
    statistics: [],
  };
  for (let at = 0; at < bytes.length; ) {
    const type = bytes.readUInt32LE(at);
    const length = bytes.readUInt32LE(at + 4);
    if (length % 4 !== 0 || length < 12 || bytes.readUInt32LE(at + length - 4) !== length)
      throw new Error(`the block at ${at} has not the length that it says`);
    readBlock(type, bytes.subarray(at + 8, at + length - 4), read);
    at += length;
  }
  return read;
}

function readBlock(type: number, body: Buffer, read: ReadCapture): void {
  switch (type) {
    case 0x0a0d0d0a: {
      if (body.readUInt32LE(0) !== 0x1a2b3c4d || body.readUInt16LE(4) !== 1) throw new Error('not version 1');
      const options = recordsOf(body.subarray(16), 0);
      read.comment = textOf(options.get(1));
      read.application = textOf(options.get(4));
      return;
    }
    case 1: {
      const options = recordsOf(body.subarray(8), 0);
      const resolution = options.get(9)?.[0];
      if (resolution !== 6) throw new Error('not in microseconds');
      const name = textOf(options.get(2));
      read.interfaces.push({ link: body.readUInt16LE(0), snapBytes: body.readUInt32LE(4), name });
      return;
    }
    case 4: {
      const record = recordsOf(body, 0).get(1);
      if (record?.at(-1) !== 0) throw new Error('a name without its end');
      read.names[record.subarray(0, 4).join('.')] = record.subarray(4, -1).toString();
      return;
    }
    case 5: {
      const options = recordsOf(body.subarray(12), 0);
      const [received, dropped] = [4, 5].map((code) => Number(options.get(code)?.readBigUInt64LE() ?? -1));
      read.statistics.push({ received: received ?? -1, dropped: dropped ?? -1 });
      return;
    }
    case 6: {
      if (read.interfaces[body.readUInt32LE(0)] === undefined) throw new Error('a packet of no interface');
      const capturedBytes = body.readUInt32LE(12);
      const originalBytes = body.readUInt32LE(16);
      if (capturedBytes > originalBytes) throw new Error('more than there was');
      const options = recordsOf(body.subarray(20 + capturedBytes + (-capturedBytes & 3)), 0);
      read.packets.push({
        atUs: (BigInt(body.readUInt32LE(4)) << 32n) | BigInt(body.readUInt32LE(8)),
        captured: body.subarray(20, 20 + capturedBytes),
        originalBytes,
        comment: textOf(options.get(1)),
        isInbound: ((options.get(2)?.readUInt32LE() ?? 0) & 3) === 1,
      });
      return;
    }
    default:
      throw new Error(`a block of type ${type}`);
  }
}

/** Options, or names: until the one that says the end. */
function recordsOf(bytes: Buffer, endCode: number): Map<number, Buffer> {
  const records = new Map<number, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const code = bytes.readUInt16LE(at);
    const length = bytes.readUInt16LE(at + 2);
    if (code === endCode) {
      if (length !== 0 || at + 4 !== bytes.length) throw new Error('something behind the end');
      return records;
    }
    records.set(code, bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length + (-length & 3);
  }
  if (bytes.length > 0) throw new Error('options without an end');
  return records;
}

const textOf = (value: Buffer | undefined): string | null => value?.toString() ?? null;
