/**
 * DRBD stand-in: one node's copy of the device: data, metadata, bitmap and the visible state.
 * What a crash may leave in doubt is found again here, when the device is attached.
 */
import { join } from 'node:path';
import { BackingDisk } from './disk.ts';
import type { Generations } from './generation.ts';
import { Bitmap, type Metadata, MetadataFile, newMetadata } from './metadata.ts';
import type { DiskState, View } from './state.ts';

export const EXTENT_BLOCKS = 64;
const ACTIVE_EXTENTS_LIMIT = 16;

const METADATA_FILE = 'drbd.meta';
const BITMAP_FILE = 'drbd.bitmap';
const DATA_FILE = 'drbd.data';

/** As after `drbdadm new-current-uuid --clear-bitmap`: both nodes created with the same generation are in sync. */
export function createReplica(directory: string, generation: string, history: readonly string[] = []): void {
  MetadataFile.create(join(directory, METADATA_FILE), { ...newMetadata(generation), history });
}

/** As after `drbdadm create-md` on a new disk. `generation` stands for "none": it is in the history of whoever has data. */
export function createEmptyReplica(directory: string, generation: string): void {
  const empty = { ...newMetadata(generation), isConsistent: false, isUpToDate: false };
  MetadataFile.create(join(directory, METADATA_FILE), empty);
}

export type ViewListener = (before: View, after: View) => void;

export class Replica {
  readonly disk: BackingDisk;
  readonly bitmap: Bitmap;
  /** Blocks put in doubt by a crash as Primary, found when attached; 0 after an orderly stop. */
  readonly blocksInDoubt: number;
  readonly #metadata: MetadataFile;
  readonly #listeners = new Set<ViewListener>();
  readonly #writesInExtent = new Map<number, number>();
  #view: View;
  #serial = 0;

  constructor(directory: string, blocks: number, trustsOwnDisk: boolean) {
    this.#metadata = MetadataFile.open(join(directory, METADATA_FILE));
    this.disk = new BackingDisk(join(directory, DATA_FILE), blocks);
    this.bitmap = new Bitmap(join(directory, BITMAP_FILE), blocks);
    this.blocksInDoubt = this.#applyActivityLog();
    const { isPeerStale } = this.metadata;
    this.#view = {
      role: 'Secondary',
      peerRole: 'Unknown',
      disk: diskAtAttach(this.metadata, trustsOwnDisk || isPeerStale),
      peerDisk: isPeerStale ? 'Outdated' : 'DUnknown',
      connection: 'StandAlone',
      suspendedByUser: false,
      suspendedByFencing: false,
    };
  }

  #applyActivityLog(): number {
    const { isPrimary, activeExtents } = this.metadata;
    if (!isPrimary) return 0;
    let marked = 0;
    for (const extent of activeExtents) {
      const first = extent * EXTENT_BLOCKS;
      for (let block = first; block < Math.min(first + EXTENT_BLOCKS, this.disk.blocks); block += 1) {
        if (this.bitmap.mark(block)) marked += 1;
      }
    }
    this.persist({ isPrimary: false, hasCrashedAsPrimary: true, activeExtents: [] });
    return marked;
  }

  get view(): View {
    return this.#view;
  }

  get metadata(): Metadata {
    return this.#metadata.value;
  }

  get generations(): Generations {
    const { current, bitmapBase, history } = this.metadata;
    return { current, bitmapBase, history };
  }

  /** Grows with every change of what a handshake reports: a report sent before it is void. */
  get serial(): number {
    return this.#serial;
  }

  get isSuspended(): boolean {
    return this.#view.suspendedByFencing || this.#view.suspendedByUser;
  }

  watch(listener: ViewListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(change: Partial<View>): void {
    const before = this.#view;
    const after = { ...before, ...change };
    if (after.role !== before.role || after.disk !== before.disk) this.#serial += 1;
    this.#view = after;
    for (const listener of this.#listeners) listener(before, after);
  }

  /** Durable when it returns. */
  persist(change: Partial<Metadata>): void {
    const before = this.metadata.current;
    this.#metadata.write({ ...this.metadata, ...change });
    if (this.metadata.current !== before) this.#serial += 1;
  }

  /** Before a Primary's write: its extent is in the activity log. Until `writeEnded` it stays there. */
  writeBegins(block: number): void {
    const extent = Math.floor(block / EXTENT_BLOCKS);
    const { activeExtents } = this.metadata;
    this.#writesInExtent.set(extent, (this.#writesInExtent.get(extent) ?? 0) + 1);
    if (activeExtents.includes(extent)) return;
    // The oldest extent without a write in flight makes room; with none, the list grows by the writes in flight.
    const idle = activeExtents.find((other) => (this.#writesInExtent.get(other) ?? 0) === 0);
    const isFull = activeExtents.length >= ACTIVE_EXTENTS_LIMIT;
    const kept =
      isFull && idle !== undefined ? activeExtents.filter((other) => other !== idle) : activeExtents;
    this.persist({ activeExtents: [...kept, extent] });
  }

  writeEnded(block: number): void {
    const extent = Math.floor(block / EXTENT_BLOCKS);
    this.#writesInExtent.set(extent, (this.#writesInExtent.get(extent) ?? 1) - 1);
  }

  close(): void {
    this.disk.close();
    this.bitmap.close();
    this.#metadata.close();
  }
}

/** With a fencing policy, data that were up to date are only Consistent until the peer has been heard of. */
function diskAtAttach(metadata: Metadata, isTrusted: boolean): DiskState {
  if (!metadata.isConsistent) return 'Inconsistent';
  if (!metadata.isUpToDate) return 'Outdated';
  return isTrusted ? 'UpToDate' : 'Consistent';
}
