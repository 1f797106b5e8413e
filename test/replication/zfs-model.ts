/**
 * ZFS pools as far as replication sees them: datasets, snapshots, bookmarks, holds, and what `zfs receive -s` takes and
 * refuses, in the words of zfs(8). What a pool holds is told as the commands print it, so that the parsers are in the loop.
 */
import { deflateSync } from 'node:zlib';
import type { PoolTexts } from '../../src/replication/list-text.ts';

/** ZFS said no; the message is its own. */
export class ZfsRefusal extends Error {}

export interface ModelSnapshot {
  name: string;
  readonly guid: string;
  readonly txg: number;
  /** What was in the dataset: its whole state as one text. */
  readonly content: string;
  holds: number;
  /** Of those holds that have one. */
  tags?: string[];
  /** Seconds since 1970; goes with the stream. */
  readonly takenAt?: number;
}

export interface ModelPoint {
  readonly name: string;
  readonly guid: string;
  readonly txg: number;
}

/** A stream that has not come to its end. */
export interface BrokenOff extends Stream {
  readonly token: string;
}

export interface ModelDataset {
  name: string;
  readonly guid: string;
  content: string;
  snapshots: ModelSnapshot[];
  bookmarks: ModelPoint[];
  partial: BrokenOff | null;
  isReadonly: boolean;
  isEncrypted: boolean;
  kind: 'filesystem' | 'volume';
  /** What it is a clone of; whose snapshot that is, is found by looking. */
  origin: ModelSnapshot | null;
  /** Who has its key, itself perhaps; null: not encrypted. */
  keyOf: ModelDataset | null;
  /** Set on it itself, user properties too; but `readonly`, which is a field. */
  readonly properties: Map<string, string>;
  /** Those of them that a stream has brought. */
  received?: ReadonlySet<string>;
}

/** One for both pools of a test: a guid is never used twice. */
export class Guids {
  #count = 0n;

  /** 64 bits, beyond what a number holds. */
  next(): string {
    this.#count += 1n;
    return String(2n ** 63n + this.#count * 977n);
  }
}

export interface Stream {
  readonly toName: string;
  readonly snapshot: ModelSnapshot;
  readonly fromGuid: string | null;
  readonly isRaw: boolean;
  /** Of one that goes on: what has arrived already. */
  readonly bytes?: number;
  readonly kind?: ModelDataset['kind'] | undefined;
}

export interface ModelState {
  readonly txg: number;
  readonly datasets: readonly ModelDataset[];
}

export class ModelPool {
  readonly name: string;
  readonly #guids: Pick<Guids, 'next'>;
  readonly datasets = new Map<string, ModelDataset>();
  #txg = 10;
  availableBytes = 1e9;
  /** For the times of snapshots. */
  wallMs: number | null = null;

  constructor(name: string, guids: Pick<Guids, 'next'>, state?: ModelState) {
    this.name = name;
    this.#guids = guids;
    if (state === undefined) this.create(name);
    else {
      this.#txg = state.txg;
      for (const dataset of state.datasets) this.datasets.set(dataset.name, dataset);
    }
  }

  /** As it can be kept, and given back to the constructor. */
  state(): ModelState {
    return { txg: this.#txg, datasets: [...this.datasets.values()] };
  }

  // ---- what people and their programs do

  create(name: string, isEncrypted = false, kind: ModelDataset['kind'] = 'filesystem'): void {
    if (this.datasets.has(name)) throw new ZfsRefusal(`cannot create '${name}': dataset already exists`);
    const parent = name.slice(0, Math.max(0, name.lastIndexOf('/')));
    if (parent !== '' && !this.datasets.has(parent))
      throw new ZfsRefusal(`cannot create '${name}': parent does not exist`);
    if (this.datasets.get(parent)?.kind === 'volume') throw new ZfsRefusal('parent is not a filesystem');
    const dataset: ModelDataset = {
      name,
      guid: this.#guids.next(),
      content: '',
      snapshots: [],
      bookmarks: [],
      partial: null,
      isReadonly: false,
      isEncrypted,
      kind,
      origin: null,
      keyOf: null,
      properties: new Map(),
    };
    dataset.keyOf = isEncrypted ? dataset : null;
    this.datasets.set(name, dataset);
  }

  /** As a child of what is encrypted is made: with its parent's key. */
  createBelowKey(name: string, kind: ModelDataset['kind'] = 'filesystem'): void {
    const key = this.#parentOf(name)?.keyOf ?? null;
    this.create(name, key !== null, kind);
    if (key !== null) this.get(name).keyOf = key;
  }

  #parentOf(name: string): ModelDataset | undefined {
    return this.datasets.get(name.slice(0, Math.max(0, name.lastIndexOf('/'))));
  }

  // ---- clones

  /** `zfs clone`: shares the key of its origin, whoever has that. */
  clone(from: string, of: string, to: string): void {
    const source = this.get(from);
    const origin = find(source, of);
    this.create(to, source.isEncrypted, source.kind);
    const clone = this.get(to);
    Object.assign(clone, { content: origin.content, origin, keyOf: source.keyOf });
  }

  ownerOf(snapshot: ModelSnapshot): ModelDataset {
    const owner = [...this.datasets.values()].find(({ snapshots }) => snapshots.includes(snapshot));
    if (owner === undefined) throw new Error(`@${snapshot.name} belongs to nobody`);
    return owner;
  }

  /** `zfs promote`, with the checks of `dsl_dataset_promote_crypt_check` and the change of the root after it. */
  promote(name: string): void {
    const clone = this.get(name);
    const { origin } = clone;
    if (origin === null) throw new ZfsRefusal(`cannot promote '${name}': not a cloned filesystem`);
    const former = this.ownerOf(origin);
    const moved = former.snapshots.filter(({ txg }) => txg <= origin.txg);
    if (clone.snapshots.some((own) => moved.some((one) => one.name === own.name)))
      throw new ZfsRefusal(`cannot promote '${name}': snapshot name conflicts`);
    if (former.keyOf !== null && former.origin === null && former.keyOf !== former) {
      const [left, right] = [this.#parentOf(former.name), this.#parentOf(name)];
      if (left?.keyOf == null || right?.keyOf !== left.keyOf) throw new ZfsRefusal('permission denied');
    }
    if (former.keyOf === former && former.origin === null)
      for (const one of this.datasets.values()) if (one.keyOf === former) one.keyOf = clone;
    former.snapshots = former.snapshots.filter((one) => !moved.includes(one));
    clone.snapshots.unshift(...moved);
    clone.origin = former.origin;
    former.origin = origin;
  }

  /** `zfs rollback`, without -r: never to an older snapshot than the newest. */
  rollback(name: string, to: string): void {
    const dataset = this.get(name);
    const snapshot = find(dataset, to);
    if (snapshot !== dataset.snapshots.at(-1)) throw new ZfsRefusal('more recent snapshots exist');
    dataset.content = snapshot.content;
  }

  destroyDataset(name: string): void {
    const { snapshots } = this.get(name);
    if (snapshots.length > 0) throw new ZfsRefusal(`cannot destroy '${name}': filesystem has children`);
    if ([...this.datasets.keys()].some((other) => other.startsWith(`${name}/`)))
      throw new ZfsRefusal(`cannot destroy '${name}': filesystem has children`);
    this.datasets.delete(name);
  }

  write(name: string, text: string): void {
    const dataset = this.get(name);
    if (dataset.isReadonly) throw new ZfsRefusal('Read-only file system');
    dataset.content += text;
  }

  snapshot(name: string, as: string): void {
    const dataset = this.get(name);
    if (this.#isUnfinished(dataset)) throw new ZfsRefusal('dataset is inconsistent');
    if (dataset.snapshots.some((one) => one.name === as)) throw new ZfsRefusal('dataset already exists');
    const point = { name: as, guid: this.#guids.next(), txg: this.#tick() };
    const time = this.wallMs === null ? {} : { takenAt: Math.floor(this.wallMs / 1000) };
    dataset.snapshots.push({ ...point, content: dataset.content, holds: 0, ...time });
  }

  bookmark(name: string, of: string, as = of): void {
    const dataset = this.get(name);
    const snapshot = find(dataset, of);
    if (dataset.bookmarks.some((one) => one.name === as)) throw new ZfsRefusal('bookmark exists');
    dataset.bookmarks.push({ name: as, guid: snapshot.guid, txg: snapshot.txg });
  }

  destroyBookmark(name: string, as: string): void {
    const dataset = this.get(name);
    if (!dataset.bookmarks.some((one) => one.name === as))
      throw new ZfsRefusal(`bookmark '${name}#${as}' does not exist.`);
    dataset.bookmarks = dataset.bookmarks.filter((one) => one.name !== as);
  }

  hold(name: string, of: string, tag?: string): void {
    const snapshot = findToHold(this.get(name), of);
    if (tag !== undefined && snapshot.tags?.includes(tag))
      throw new ZfsRefusal(`cannot hold snapshot '${name}@${of}': tag already exists on this dataset`);
    snapshot.holds += 1;
    if (tag !== undefined) snapshot.tags = [...(snapshot.tags ?? []), tag];
  }

  /** Without a tag: of one that was held without. */
  release(name: string, of: string, tag?: string): void {
    const snapshot = findToHold(this.get(name), of);
    const isHeld = tag === undefined ? snapshot.holds > 0 : snapshot.tags?.includes(tag);
    if (isHeld !== true)
      throw new ZfsRefusal(`cannot release hold from snapshot '${name}@${of}': no such tag on this dataset`);
    snapshot.holds -= 1;
    if (snapshot.tags !== undefined) snapshot.tags = snapshot.tags.filter((one) => one !== tag);
  }

  destroySnapshot(name: string, of: string): void {
    const dataset = this.get(name);
    const snapshot = find(dataset, of);
    if (snapshot.holds > 0) throw new ZfsRefusal(`cannot destroy '${name}@${of}': dataset is busy`);
    if ([...this.datasets.values()].some(({ origin }) => origin === snapshot))
      throw new ZfsRefusal(`cannot destroy '${name}@${of}': snapshot has dependent clones`);
    dataset.snapshots = dataset.snapshots.filter((one) => one.name !== of);
  }

  rename(from: string, to: string): void {
    const { keyOf } = this.get(from);
    if (from === this.name || to.startsWith(`${from}/`)) throw new ZfsRefusal('new name is a descendant');
    if (this.datasets.has(to)) throw new ZfsRefusal(`cannot rename '${from}': dataset already exists`);
    if (!this.datasets.has(to.slice(0, to.lastIndexOf('/')))) throw new ZfsRefusal('parent does not exist');
    if (this.#parentOf(to)?.kind === 'volume') throw new ZfsRefusal('parent is not a filesystem');
    // `dsl_dir_rename_crypt_check`: only who has a key of its own goes anywhere.
    if (keyOf !== null && keyOf !== this.get(from) && this.#parentOf(to)?.keyOf !== keyOf)
      throw new ZfsRefusal('permission denied');
    for (const dataset of [...this.datasets.values()]) {
      if (dataset.name !== from && !dataset.name.startsWith(`${from}/`)) continue;
      this.datasets.delete(dataset.name);
      dataset.name = to + dataset.name.slice(from.length);
      this.datasets.set(dataset.name, dataset);
    }
  }

  // ---- send and receive

  send(name: string, of: string, from: string | null, isRaw: boolean): Stream {
    const dataset = this.get(name);
    const snapshot = find(dataset, of);
    if (from === null)
      return { toName: `${name}@${of}`, snapshot, fromGuid: null, isRaw, kind: dataset.kind };
    const points: readonly ModelPoint[] = from.startsWith('#') ? dataset.bookmarks : dataset.snapshots;
    const base = points.find((one) => one.name === from.slice(1));
    if (base === undefined) throw new ZfsRefusal(`incremental source ${name}${from} does not exist`);
    if (base.txg >= snapshot.txg) throw new ZfsRefusal('not an earlier snapshot from the same fs');
    return { toName: `${name}@${of}`, snapshot, fromGuid: base.guid, isRaw, kind: dataset.kind };
  }

  /** `zfs send -I`: all that lie between on the source, whoever has taken them, oldest first. Never after a bookmark. */
  sendRun(name: string, of: string, from: string, isRaw: boolean): readonly Stream[] {
    const dataset = this.get(name);
    if (!from.startsWith('@')) throw new ZfsRefusal('incremental source must be a snapshot');
    const [base, last] = [find(dataset, from.slice(1)), find(dataset, of)];
    if (base.txg >= last.txg) throw new ZfsRefusal('not an earlier snapshot from the same fs');
    const run = dataset.snapshots.filter(({ txg }) => txg >= base.txg && txg <= last.txg);
    return run.slice(1).map((one, at) => this.send(name, one.name, `@${run[at]?.name}`, isRaw));
  }

  /** `zfs send -t`: by the dataset's name in the token, and the snapshot's guid in that dataset. */
  sendResumed({ toName, snapshot, fromGuid, isRaw, kind }: Stream): Stream {
    const dataset = this.get(toName.split('@')[0] ?? '');
    const present = dataset.snapshots.find(({ guid }) => guid === snapshot.guid);
    if (present === undefined) throw new ZfsRefusal(`'${toName}' used in the initial send no longer exists`);
    const bases: readonly ModelPoint[] = [...dataset.snapshots, ...dataset.bookmarks];
    if (fromGuid !== null && !bases.some(({ guid }) => guid === fromGuid))
      throw new ZfsRefusal('incremental source no longer exists');
    return { toName, snapshot: present, fromGuid, isRaw, kind };
  }

  /** `zfs receive -s -u -o readonly=on`, without -F. `breaksOff`: the stream ends before its end. */
  receive(name: string, stream: Stream, breaksOff: boolean, token: string | null = null): void {
    const dataset = this.datasets.get(name) ?? null;
    if (token === null) this.#check(name, dataset, stream);
    else if (dataset?.partial?.token !== token) throw new ZfsRefusal('kernel modules must be upgraded');
    else if (stream.fromGuid !== null && !breaksOff) this.#checkBase(name, dataset, stream.fromGuid);
    if (dataset === null) this.create(name, stream.isRaw, stream.kind);
    const target = this.get(name);
    if (dataset === null) target.isReadonly = true;
    if (breaksOff) {
      target.partial = { ...stream, token: tokenOf(stream) };
      return;
    }
    target.partial = null;
    const { guid, content, name: as, takenAt } = stream.snapshot;
    const time = takenAt === undefined ? {} : { takenAt };
    target.snapshots.push({ name: as, guid, content, txg: this.#tick(), holds: 0, ...time });
    target.content = content;
  }

  #check(name: string, dataset: ModelDataset | null, { snapshot, fromGuid, isRaw }: Stream): void {
    const parent = name.slice(0, name.lastIndexOf('/'));
    if (!this.datasets.has(parent)) throw new ZfsRefusal(`parent '${parent}' does not exist`);
    if (fromGuid === null) {
      if (dataset !== null)
        throw new ZfsRefusal(`destination '${name}' exists\nmust specify -F to overwrite it`);
      return;
    }
    if (dataset === null) throw new ZfsRefusal(`destination '${name}' does not exist`);
    if (dataset.partial !== null)
      throw new ZfsRefusal(`destination ${name} contains partially-complete state from "zfs receive -s".`);
    this.#checkBase(name, dataset, fromGuid);
    if (dataset.snapshots.some((one) => one.name === snapshot.name))
      throw new ZfsRefusal(`destination ${name}@${snapshot.name} exists`);
    if (isRaw && !dataset.isEncrypted) throw new ZfsRefusal('IV set guid mismatch');
  }

  /** Of a resumed one too: at its end the kernel looks again (`dsl_dataset_clone_swap_check_impl`). */
  #checkBase(name: string, dataset: ModelDataset, fromGuid: string): void {
    const newest = dataset.snapshots.at(-1);
    if (newest === undefined || newest.guid !== fromGuid)
      throw new ZfsRefusal(`most recent snapshot of ${name} does not\nmatch incremental source`);
    if (dataset.content !== newest.content)
      throw new ZfsRefusal(`destination ${name} has been modified\nsince most recent snapshot`);
  }

  /** `zfs receive -A`. */
  abandon(name: string): void {
    const dataset = this.get(name);
    if (dataset.partial === null)
      throw new ZfsRefusal(`'${name}' does not have any resumable receive state to abort`);
    if (!this.#isUnfinished(dataset)) dataset.partial = null;
    else if ([...this.datasets.keys()].some((other) => other.startsWith(`${name}/`)))
      throw new ZfsRefusal(`cannot destroy '${name}': filesystem has children`);
    else this.datasets.delete(name);
  }

  /** Of a first copy that has not arrived whole there is nothing but the name. */
  #isUnfinished({ partial, snapshots }: ModelDataset): boolean {
    return partial !== null && partial.fromGuid === null && snapshots.length === 0;
  }

  get(name: string): ModelDataset {
    const dataset = this.datasets.get(name);
    if (dataset === undefined) throw new ZfsRefusal(`cannot open '${name}': dataset does not exist`);
    return dataset;
  }

  #tick(): number {
    this.#txg += 1;
    return this.#txg;
  }

  // ---- as the commands print it

  texts(): PoolTexts {
    const datasets = [...this.datasets.values()];
    const line = (cells: readonly (string | number)[]): string => `${cells.join('\t')}\n`;
    return {
      pool: line([this.name, '800996640596712129', 1e9, 1e9]),
      status: `  pool: ${this.name}\n state: ONLINE\nconfig:\n\n\tNAME        STATE     READ WRITE CKSUM\n\t${this.name}        ONLINE       0     0     0\n\t  /dev/vdb  ONLINE       0     0     0\n\nerrors: No known data errors\n`,
      datasets: datasets.map((one) => line(this.#cells(one))).join(''),
      points: datasets
        .flatMap(({ name, snapshots, bookmarks }) => [
          ...snapshots.map((one, at) => {
            const written = one.content.length - (snapshots[at - 1]?.content.length ?? 0);
            return line([
              `${name}@${one.name}`,
              'snapshot',
              one.guid,
              one.txg,
              Math.max(0, written),
              one.holds,
            ]);
          }),
          ...bookmarks.map((one) => line([`${name}#${one.name}`, 'bookmark', one.guid, one.txg, '-', '-'])),
        ])
        .join(''),
    };
  }

  #cells(one: ModelDataset): readonly (string | number)[] {
    const newest = (one.snapshots.at(-1) ?? one.origin)?.content ?? '';
    const isModified = newest !== one.content;
    return [
      ...[one.name, one.kind, one.guid, one.content.length, this.availableBytes, one.content.length, 0],
      ...[
        isModified ? 1 : 0,
        one.kind === 'volume' ? 1024 : '-',
        one.isEncrypted ? 'aes-256-gcm' : 'off',
        one.isReadonly ? 'on' : 'off',
        one.origin === null ? '-' : `${this.ownerOf(one.origin).name}@${one.origin.name}`,
      ],
      ...[one.partial?.token ?? '-', '-'],
    ];
  }
}

function find({ name, snapshots }: ModelDataset, of: string): ModelSnapshot {
  const snapshot = snapshots.find((one) => one.name === of);
  if (snapshot === undefined) throw new ZfsRefusal(`could not find any snapshots to destroy: ${name}@${of}`);
  return snapshot;
}

/** For a hold: in other words than for a destroy. */
function findToHold(dataset: ModelDataset, of: string): ModelSnapshot {
  if (!dataset.snapshots.some((one) => one.name === of))
    throw new ZfsRefusal(`cannot open '${dataset.name}@${of}': dataset does not exist`);
  return find(dataset, of);
}

/** As the kernel packs it: an nvlist in its native form, little endian, deflated. */
export function tokenOf({
  toName,
  snapshot,
  fromGuid,
  bytes = 0,
  isRaw = false,
  more = [],
}: Pick<Stream, 'toName' | 'fromGuid' | 'bytes'> & {
  snapshot: { guid: string };
  isRaw?: boolean;
  /** Whatever somebody adds to it. */
  more?: readonly (readonly [string, bigint | string])[];
}): string {
  const pairs = [
    ...(fromGuid === null ? [] : [pair('fromguid', BigInt(fromGuid))]),
    pair('object', 2n),
    pair('offset', 0n),
    pair('bytes', BigInt(bytes)),
    pair('toguid', BigInt(snapshot.guid)),
    pair('toname', toName),
    ...(isRaw ? [pair('rawok', null)] : []),
    ...more.map(([name, value]) => pair(name, value)),
  ];
  const packed = Buffer.concat([Buffer.from('000100000000000001000000', 'hex'), ...pairs, Buffer.alloc(4)]);
  const hex = deflateSync(packed).toString('hex');
  return `1-${snapshot.guid.length.toString(16)}-${packed.length.toString(16)}-${hex}`;
}

/** Null: a flag. */
function pair(name: string, value: bigint | string | null): Buffer {
  const start = Math.ceil((16 + name.length + 1) / 8) * 8;
  const size = typeof value === 'string' ? Math.ceil((value.length + 1) / 8) * 8 : value === null ? 0 : 8;
  const bytes = Buffer.alloc(start + size);
  bytes.writeInt32LE(start + size, 0);
  bytes.writeInt16LE(name.length + 1, 4);
  bytes.writeInt32LE(value === null ? 0 : 1, 8);
  bytes.writeInt32LE(typeof value === 'bigint' ? 8 : value === null ? 1 : 9, 12);
  bytes.write(name, 16);
  if (typeof value === 'bigint') bytes.writeBigUInt64LE(value, start);
  else if (value !== null) bytes.write(value, start);
  return bytes;
}
