/**
 * Writes numbered records into file systems of the replicated pool, each synced before it counts as acknowledged, on whoever holds.
 * Acknowledgements are known outside of the guests, so a power cut takes none of them.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataNode } from '../hosts.ts';
import type { Copies } from './copies.ts';
import { pathOf } from './copies.ts';

const RECORD_BYTES = 512;
const PAUSE_MS = 2_000;
export const RECORDS = 'records';

export interface Record {
  readonly number: number;
  readonly dataset: string;
}

export class PoolWriter {
  readonly #copies: Copies;
  readonly #datasets: readonly string[];
  /** Another one for each run of a scenario in the same lab. */
  readonly #tag: string;
  #node: DataNode | null = null;
  #next = 0;
  #acknowledged: Record[] = [];
  #running: Promise<void> | null = null;
  #isStopping = false;

  constructor(copies: Copies, datasets: readonly string[], tag: string) {
    this.#copies = copies;
    this.#datasets = datasets;
    this.#tag = tag;
  }

  get acknowledged(): readonly Record[] {
    return this.#acknowledged;
  }

  /** From here on there; null: nowhere, until somebody holds. */
  writeOn(node: DataNode | null): void {
    this.#node = node;
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      const node = this.#node;
      if (node !== null) await this.#write(node);
      await sleep(PAUSE_MS);
    }
  }

  async #write(node: DataNode): Promise<void> {
    const number = this.#next;
    this.#next += 1;
    const dataset = this.#datasets[number % this.#datasets.length];
    if (dataset === undefined) throw new RangeError('no file systems to write to');
    const file = `${pathOf(dataset)}/${RECORDS}`;
    try {
      // Where nothing is mounted, nothing must be written: to the guest's own root.
      await this.#copies.must(
        node,
        `mountpoint -q ${pathOf(dataset)} && printf '%-${RECORD_BYTES - 1}s\\n' '${this.#text(number)}' | dd of=${file} bs=${RECORD_BYTES} seek=${number} conv=notrunc,fsync`,
      );
      this.#acknowledged.push({ number, dataset });
    } catch {
      // Not acknowledged: it may be there or not.
    }
  }

  #text(number: number): string {
    return `${this.#tag} record ${number}`;
  }

  /** Pure, but for what is known of the writer: which of the records are not in the file. */
  missingIn(content: Buffer, records: readonly Record[]): readonly Record[] {
    return records.filter(({ number }) => {
      const found = content.toString('latin1', number * RECORD_BYTES, (number + 1) * RECORD_BYTES);
      return found !== `${this.#text(number).padEnd(RECORD_BYTES - 1)}\n`;
    });
  }
}
