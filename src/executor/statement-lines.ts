/**
 * The connections that a dead agent's release is stated on (R4). A first TLS connection costs more than the release itself, so a
 * holder has one to each member before it is needed, and makes the lost ones again while it releases.
 *
 * gRPC (100 ms, 10 MB) is loaded after a takeover, when it can be needed: never in one, and not by the other nodes.
 */
import type { TlsFiles } from '../config/index.ts';
import type { NodeId, Released } from '../core/index.ts';
import type { StatementLine, TlsMaterial } from '../peer/index.ts';

interface Loaded {
  readonly peer: typeof import('../peer/index.ts');
  readonly tls: TlsMaterial;
}

export class StatementLines {
  readonly #cluster: string;
  readonly #files: TlsFiles;
  readonly #lines = new Map<NodeId, { readonly address: string; readonly line: StatementLine }>();
  #loading: Promise<Loaded> | null = null;

  constructor(cluster: string, files: TlsFiles) {
    this.#cluster = cluster;
    this.#files = files;
  }

  /** Connects to every member in the background. What cannot be done now is done, or told, by `send`. */
  prepare(members: ReadonlyMap<NodeId, string>): void {
    for (const node of this.#lines.keys()) if (!members.has(node)) this.#drop(node);
    // The files may have been renewed since they were read; lines that stand go on with what they were made of.
    this.#loading = null;
    void this.#load()
      .then((loaded) => {
        for (const [node, address] of members) this.#line(loaded, node, address).dial();
      })
      .catch(() => undefined);
  }

  async send(address: string, statement: Released, signal: AbortSignal): Promise<void> {
    const line = this.#line(await this.#load(), statement.to, address);
    try {
      await line.send(statement, signal);
    } catch (error) {
      // It may have died without a word, as when a link was cut for a while: the next attempt is made on a new one.
      if (this.#lines.get(statement.to)?.line === line) this.#drop(statement.to);
      // Or its certificate has ended meanwhile: the next one is made of the files as they are then.
      this.#loading = null;
      throw error;
    }
  }

  close(): void {
    for (const node of [...this.#lines.keys()]) this.#drop(node);
  }

  #line({ peer, tls }: Loaded, node: NodeId, address: string): StatementLine {
    const present = this.#lines.get(node);
    if (present?.address === address) return present.line;
    this.#drop(node);
    try {
      const line = peer.openStatementLine(address, node, { tls, cluster: this.#cluster });
      this.#lines.set(node, { address, line });
      return line;
    } catch (error) {
      // A certificate that does not fit its key: half-way through a renewal. The next attempt reads the files again.
      this.#loading = null;
      throw error;
    }
  }

  #drop(node: NodeId): void {
    this.#lines.get(node)?.line.close();
    this.#lines.delete(node);
  }

  #load(): Promise<Loaded> {
    this.#loading ??= this.#read().catch((error: unknown) => {
      // A file that could not be read may be readable at the next attempt.
      this.#loading = null;
      throw error;
    });
    return this.#loading;
  }

  async #read(): Promise<Loaded> {
    const peer = await import('../peer/index.ts');
    return { peer, tls: await peer.readTls(this.#files) };
  }
}
