/** Streams as the stand-in for `zfs` takes them, in files, so that any program can be their sender. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NamedSnapshot, ReceiveOrder } from '../../../src/replication/channel.ts';
import { guid } from '../../../src/replication/pool.ts';

export interface TestStream {
  readonly file: string;
  readonly order: ReceiveOrder;
  readonly payload: Buffer;
}

export function named(dataset: string, name: string, id: number): NamedSnapshot {
  const checked = guid(String(id));
  if (checked === null) throw new Error('a test with a wrong GUID');
  return { dataset, name, guid: checked };
}

export function makeStream(
  directory: string,
  snapshot: NamedSnapshot,
  what: {
    readonly payload?: Buffer;
    readonly bytes?: number;
    readonly type?: 'filesystem' | 'volume';
    readonly from?: string | null;
    readonly offset?: number;
    /** As `zfs send -p` and -R put them in. */
    readonly properties?: Readonly<Record<string, string>>;
  } = {},
): TestStream {
  const { type = 'filesystem', from = null, offset = 0, properties = {} } = what;
  const payload = what.payload ?? randomBytes(what.bytes ?? 300_000);
  const { dataset, name, guid } = snapshot;
  const header = { dataset, name, guid, type, from, offset, size: payload.length, properties };
  const file = join(directory, `stream-${guid}-${offset}`);
  writeFileSync(file, Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), payload.subarray(offset)]));
  const kind = offset > 0 ? 'resume' : from === null ? 'full' : 'incremental';
  const makes = kind === 'full' ? { makes: type } : {};
  return { file, order: { dataset, snapshot, kind, ...makes }, payload };
}
