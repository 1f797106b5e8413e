/**
 * ZFS pools as far as replication sees them: datasets, snapshots, bookmarks, holds, and what `zfs receive -s` takes and
 * refuses, in the words of zfs(8).
 */
import type { PoolTexts } from '../../src/replication/index.ts';
import { textsOf } from './texts.ts';
import { tokenOf } from './token.ts';

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
  /** It was open, and written to, when this was taken: what is cloned of it, or rolled back to it, differs from it in its intent log. */
  readonly hasLog?: boolean;
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
  /** The newest snapshot when it began: another one by its end, and ZFS does not take it (`dsl_dataset_clone_swap_check_impl`). */
  readonly on?: string | null;
}

export interface ModelDataset {
  name: string;
  readonly guid: string;
  content: string;
  snapshots: ModelSnapshot[];
  bookmarks: ModelPoint[];
  partial: BrokenOff | null;
  /** It has been written to here, with a sync. */
  hasLog?: boolean;
  /** Something was done to its intent log since its newest snapshot: `written` counts that too. */
  isLogChanged?: boolean;
  /** Synced, and in the intent log alone since the power went; replayed by the next mount. */
  log?: string;
  /** Null: not set on it, so as its parent is. */
  isReadonly: boolean | null;
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
  /** Of what is encrypted no key is loaded. */
  isLocked = false;
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
      isReadonly: null,
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

  // ---- properties

  isReadonly(name: string): boolean {
    return this.property(name, 'readonly')[0] === 'on';
  }

  /** As `zfs get` says it: what is set on a dataset holds for those below it too. */
  property(name: string, property: string): readonly [value: string, source: string] {
    for (let at = name; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
      const dataset = this.datasets.get(at);
      const value = ownValue(dataset, property);
      const own = dataset?.received?.has(property) === true ? 'received' : 'local';
      if (value !== null) return [value, at === name ? own : `inherited from ${at}`];
    }
    return property === 'readonly' ? ['off', 'default'] : ['-', '-'];
  }

  setProperty(name: string, property: string, value: string): void {
    const dataset = this.get(name);
    if (property === 'readonly') dataset.isReadonly = value === 'on';
    else dataset.properties.set(property, value);
  }

  /** `zfs inherit`. */
  inheritProperty(name: string, property: string): void {
    const dataset = this.get(name);
    if (property === 'readonly') dataset.isReadonly = null;
    else dataset.properties.delete(property);
  }

  /** Nothing is mounted of it, and nothing replayed. */
  isShut({ isEncrypted }: ModelDataset): boolean {
    return isEncrypted && this.isLocked;
  }

  // ---- clones

  /** `zfs clone`: shares the key of its origin, whoever has that. `refquota`: as set by the command. */
  clone(from: string, of: string, to: string, refquota = Number.POSITIVE_INFINITY): void {
    const source = this.get(from);
    const origin = find(source, of);
    // `dsl_dataset_set_refquota_check`; the clone is destroyed again (`zfs_ioc_clone`).
    if (origin.content.length > refquota) throw new ZfsRefusal(`cannot create '${to}': out of space`);
    this.create(to, source.isEncrypted, source.kind);
    const clone = this.get(to);
    const log = { hasLog: false, isLogChanged: origin.hasLog === true };
    Object.assign(clone, { content: origin.content, origin, keyOf: source.keyOf, ...log });
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

  /** `zfs rollback`, without -r: never to an older snapshot than the newest, nor past a bookmark of one that was newer. */
  rollback(name: string, to: string): void {
    const dataset = this.get(name);
    const snapshot = find(dataset, to);
    if (snapshot !== dataset.snapshots.at(-1) || dataset.bookmarks.some(({ txg }) => txg > snapshot.txg))
      throw new ZfsRefusal(
        `cannot rollback to '${name}@${to}': more recent snapshots or bookmarks exist\nuse '-r' to force deletion`,
      );
    dataset.content = snapshot.content;
    dataset.isLogChanged = snapshot.hasLog === true;
    delete dataset.log;
  }

  destroyDataset(name: string): void {
    const { snapshots } = this.get(name);
    if (snapshots.length > 0) throw new ZfsRefusal(`cannot destroy '${name}': filesystem has children`);
    if ([...this.datasets.keys()].some((other) => other.startsWith(`${name}/`)))
      throw new ZfsRefusal(`cannot destroy '${name}': filesystem has children`);
    this.datasets.delete(name);
  }

  write(name: string, text: string, isSynced = true): void {
    const dataset = this.get(name);
    if (this.#isUnfinished(dataset)) throw new ZfsRefusal(`filesystem '${name}' is not there whole`);
    if (this.isReadonly(name)) throw new ZfsRefusal('Read-only file system');
    if (this.isShut(dataset)) throw new ZfsRefusal('encryption key not loaded');
    dataset.content += text;
    if (isSynced) dataset.hasLog = true;
  }

  /** Its power goes, and comes: what was synced last, `late`, was in no transaction group yet. The devices of volumes come by themselves. */
  powerCut(late: (name: string) => string | null): void {
    for (const dataset of this.datasets.values()) {
      if (this.isReadonly(dataset.name) || dataset.hasLog !== true) continue;
      // Nobody has written to it since the cut before.
      if (this.isShut(dataset) || dataset.log !== undefined) continue;
      const log = late(dataset.name);
      if (log === null) continue;
      Object.assign(dataset, { log, isLogChanged: true });
      if (dataset.kind === 'volume' && !dataset.isEncrypted) this.replay(dataset.name);
    }
  }

  /** As every mount does, also a read-only one. */
  replay(name: string): void {
    const dataset = this.get(name);
    if (this.isShut(dataset)) throw new ZfsRefusal(`cannot mount '${name}': encryption key not loaded`);
    if (dataset.log === undefined) return;
    dataset.content += dataset.log;
    delete dataset.log;
  }

  snapshot(name: string, as: string): void {
    this.snapshotAll([name], as);
  }

  /** All of one moment, or none. */
  snapshotAll(names: readonly string[], as: string): void {
    const datasets = names.map((name) => this.get(name));
    for (const dataset of datasets) {
      const what = `cannot create snapshot '${dataset.name}@${as}'`;
      if (this.#isUnfinished(dataset)) throw new ZfsRefusal(`${what}: dataset is busy`);
      if (dataset.snapshots.some((one) => one.name === as))
        throw new ZfsRefusal(`${what}: dataset already exists`);
    }
    const txg = this.#tick();
    const time = this.wallMs === null ? {} : { takenAt: Math.floor(this.wallMs / 1000) };
    for (const dataset of datasets) {
      const { snapshots, content, hasLog = false } = dataset;
      snapshots.push({ name: as, guid: this.#guids.next(), txg, content, holds: 0, hasLog, ...time });
      // What is in its log alone it lacks, and no sign of that is left.
      dataset.isLogChanged = false;
    }
  }

  /** `zfs snapshot -r`: leaves out what is not there whole yet. */
  snapshotBelow(name: string, as: string): void {
    const below = this.below(name).filter((one) => !this.#isUnfinished(one));
    this.snapshotAll(
      below.map((one) => one.name),
      as,
    );
  }

  /** Itself, and all below it. */
  below(name: string): readonly ModelDataset[] {
    const own = this.get(name);
    return [...this.datasets.values()].filter((one) => one === own || one.name.startsWith(`${name}/`));
  }

  renameSnapshot(name: string, from: string, to: string): void {
    const dataset = this.get(name);
    const snapshot = dataset.snapshots.find((one) => one.name === from);
    if (snapshot === undefined) throw new ZfsRefusal(`cannot open '${name}@${from}': dataset does not exist`);
    if (dataset.snapshots.some((one) => one.name === to))
      throw new ZfsRefusal(`cannot rename '${name}@${from}': dataset already exists`);
    snapshot.name = to;
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
    const [clone] = this.clonesOf(snapshot);
    if (clone !== undefined)
      throw new ZfsRefusal(
        `cannot destroy '${name}@${of}': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\n${clone}`,
      );
    if (snapshot.holds > 0) throw new ZfsRefusal(`cannot destroy '${name}@${of}': dataset is busy`);
    dataset.snapshots = dataset.snapshots.filter((one) => one.name !== of);
  }

  /** What an unfinished stream has brought for a dataset lies in a clone of its newest snapshot, until it is finished or given up. */
  clonesOf(snapshot: ModelSnapshot): readonly string[] {
    return [...this.datasets.values()].flatMap(({ name, origin, partial }) => [
      ...(origin === snapshot ? [name] : []),
      ...(partial?.on === snapshot.guid && this.ownerOf(snapshot).name === name ? [`${name}/%recv`] : []),
    ]);
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

  /**
   * `zfs send -t`: the snapshot by its guid, in the dataset of the token or anywhere in its pool (`guid_to_name_redact_snaps`); what it
   * is an increment of too, and there a bookmark will do.
   */
  sendResumed({ toName, snapshot, fromGuid, isRaw, kind }: Stream): Stream {
    const named = this.datasets.get(toName.split('@')[0] ?? '');
    const all = [...(named === undefined ? [] : [named]), ...this.datasets.values()];
    const owner = all.find(({ snapshots }) => snapshots.some(({ guid }) => guid === snapshot.guid));
    const present = owner?.snapshots.find(({ guid }) => guid === snapshot.guid);
    if (owner === undefined || present === undefined)
      throw new ZfsRefusal(`cannot resume send: '${toName}' used in the initial send no longer exists`);
    const bases = all.flatMap((one): readonly ModelPoint[] => [...one.snapshots, ...one.bookmarks]);
    if (fromGuid !== null && !bases.some(({ guid }) => guid === fromGuid))
      throw new ZfsRefusal(`cannot resume send: incremental source ${fromGuid} no longer exists`);
    return { toName: `${owner.name}@${present.name}`, snapshot: present, fromGuid, isRaw, kind };
  }

  /** `zfs receive -s -u -o readonly=on`, without -F. `breaksOff`: the stream ends before its end. */
  receive(name: string, stream: Stream, breaksOff: boolean, token: string | null = null): void {
    const dataset = this.datasets.get(name) ?? null;
    if (token === null) {
      this.#check(name, dataset, stream);
      if (this.ignores(name, stream)) return;
    } else if (dataset?.partial?.token !== token) throw new ZfsRefusal('kernel modules must be upgraded');
    else if (!breaksOff) this.#checkEnd(name, dataset, dataset.partial, stream);
    if (dataset === null) this.create(name, stream.isRaw, stream.kind);
    const target = this.get(name);
    if (breaksOff) {
      // Of one that is new, what is set comes first; of one that was there, what is set is taken back where the stream fails.
      if (dataset === null) target.isReadonly = true;
      const on = target.partial?.on ?? target.snapshots.at(-1)?.guid ?? null;
      target.partial = { ...stream, token: tokenOf(stream), on };
      return;
    }
    target.isReadonly = true;
    target.partial = null;
    const { guid, content, name: as, takenAt } = stream.snapshot;
    const time = takenAt === undefined ? {} : { takenAt };
    target.snapshots.push({ name: as, guid, content, txg: this.#tick(), holds: 0, ...time });
    target.content = content;
    // The kernel puts another dataset in its place, and with the old one goes its log.
    Object.assign(target, { hasLog: false, isLogChanged: false });
    delete target.log;
  }

  /**
   * An increment that is there already under whatever name, and that the kernel refuses for its name or for its base, is read to its end
   * and ignored, without an error (libzfs, `zfs_receive_one`).
   */
  ignores(name: string, { snapshot, fromGuid }: Stream): boolean {
    const dataset = this.datasets.get(name);
    if (dataset === undefined || fromGuid === null || dataset.partial !== null) return false;
    if (!dataset.snapshots.some(({ guid }) => guid === snapshot.guid)) return false;
    const isNamed = dataset.snapshots.some((one) => one.name === snapshot.name);
    return isNamed || !dataset.snapshots.some(({ guid }) => guid === fromGuid);
  }

  #check(name: string, dataset: ModelDataset | null, stream: Stream): void {
    const { snapshot, fromGuid, isRaw } = stream;
    const parent = name.slice(0, name.lastIndexOf('/'));
    if (!this.datasets.has(parent)) throw new ZfsRefusal(`cannot receive: parent '${parent}' does not exist`);
    if (fromGuid === null) {
      if (dataset !== null)
        throw new ZfsRefusal(
          `cannot receive new filesystem stream: destination '${name}' exists\nmust specify -F to overwrite it`,
        );
      return;
    }
    const what = 'cannot receive incremental stream';
    if (dataset === null) throw new ZfsRefusal(`${what}: destination '${name}' does not exist`);
    if (dataset.partial !== null)
      throw new ZfsRefusal(
        `${what}: destination ${name} contains partially-complete state from "zfs receive -s".`,
      );
    if (this.ignores(name, stream)) return;
    if (dataset.snapshots.some((one) => one.name === snapshot.name))
      throw new ZfsRefusal(`${what}: destination ${name}@${snapshot.name} exists`);
    this.#checkBase(name, dataset, fromGuid);
    if (isRaw && !dataset.isEncrypted) throw new ZfsRefusal('IV set guid mismatch');
  }

  /**
   * The base need not be the newest snapshot: there must be no change since it (`recv_begin_check_existing_impl`). Snapshots that were taken
   * after it of the very same content are in nobody's way.
   */
  #checkBase(name: string, dataset: ModelDataset, fromGuid: string): void {
    const base = dataset.snapshots.find(({ guid }) => guid === fromGuid);
    if (base === undefined)
      throw new ZfsRefusal(
        `cannot receive incremental stream: most recent snapshot of ${name} does not\nmatch incremental source`,
      );
    if (dataset.content !== base.content)
      throw new ZfsRefusal(
        `cannot receive incremental stream: destination ${name} has been modified\nsince most recent snapshot`,
      );
  }

  /** Of one that goes on: the kernel looks again. */
  #checkEnd(name: string, dataset: ModelDataset, { on }: BrokenOff, { snapshot, fromGuid }: Stream): void {
    if (fromGuid === null) return;
    const newest = dataset.snapshots.at(-1);
    if (newest === undefined || newest.guid !== (on ?? fromGuid))
      throw new ZfsRefusal(`cannot receive resume stream: most recent snapshot of ${name} is another one`);
    if (dataset.content !== newest.content)
      throw new ZfsRefusal(`cannot receive resume stream: destination ${name} has been modified`);
    if (dataset.snapshots.some((one) => one.name === snapshot.name))
      throw new ZfsRefusal(`cannot receive resume stream: destination ${name}@${snapshot.name} exists`);
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

  /** As the commands print it. */
  texts(): PoolTexts {
    return textsOf(this);
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

function ownValue(dataset: ModelDataset | undefined, property: string): string | null {
  if (property !== 'readonly') return dataset?.properties.get(property) ?? null;
  if (dataset === undefined || dataset.isReadonly === null) return null;
  return dataset.isReadonly ? 'on' : 'off';
}
