/**
 * Clients of what the data nodes serve beside the store: NFS 4.2, NFS 3 and iSCSI through the elastic IP, from the kernel of the
 * witness's host. Each writes numbered records, synced and past the page cache, and reads every one back (guest/clients.sh).
 *
 * What they were told is stored is read at the end on the holder itself, past the server.
 */
import {
  ClientHost,
  type ClientResult,
  type Guests,
  longestGapMs,
  lostOf,
  RECORD_BYTES,
} from './client-host.ts';
import type { DataNode } from './hosts.ts';
import { MOUNT_POINT, VOLUME_DEVICE } from './plan.ts';

/** As in guest/clients.sh. */
const WAYS = ['nfs4', 'nfs3', 'iscsi'] as const;

export class FileClients {
  readonly #guests: Guests;
  readonly #host: ClientHost;

  constructor(guests: Guests) {
    this.#guests = guests;
    this.#host = new ClientHost(guests, 'clients.sh');
  }

  async start(): Promise<void> {
    await this.#host.mount();
    await this.#host.run(['write']);
    await this.served();
  }

  /** Every way has been acknowledged a new record from now on. */
  served(): Promise<void> {
    return this.#host.served(WAYS);
  }

  stop(): Promise<void> {
    return this.#host.stop();
  }

  /** Stopped before. */
  async results(holder: DataNode): Promise<readonly ClientResult[]> {
    const results: ClientResult[] = [];
    for (const way of WAYS) {
      const acknowledged = await this.#host.acknowledged(way);
      const file = way === 'iscsi' ? VOLUME_DEVICE : `${MOUNT_POINT}/records-${way}`;
      const count = Math.max(...acknowledged.map(({ number }) => number)) + 1;
      const encoded = await this.#guests.must(
        holder,
        `dd if=${file} bs=${RECORD_BYTES} count=${count} 2>/dev/null | base64 -w0`,
      );
      results.push({
        way,
        acknowledged: acknowledged.length,
        lost: lostOf(way, acknowledged, Buffer.from(encoded.trim(), 'base64')).length,
        errors: await this.#host.errors(way),
        longestGapMs: longestGapMs(acknowledged),
      });
    }
    return results;
  }

  kernelLog(): Promise<string> {
    return this.#host.kernelLog();
  }
}
