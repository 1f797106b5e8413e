/**
 * DRBD stand-in: one process per data node, in the place of the kernel module. Killing it is the node's power cut as
 * far as its data are concerned.
 */

import { ControlServer, type ControlTarget } from './control.ts';
import { DeviceServer } from './device-server.ts';
import { BLOCK_BYTES } from './disk.ts';
import type { Endpoint } from './peer-channel.ts';
import type { Refusal } from './refusals.ts';
import { Resource, type ResourceOptions } from './resource.ts';
import { changeEvents } from './state.ts';

export interface DaemonOptions extends ResourceOptions {
  readonly control: Endpoint;
  readonly device: Endpoint;
}

/** The last block of a device belongs to the observer; clients leave it alone. */
export const observerBlock = (blocks: number): number => blocks - 1;

export class DrbdDaemon implements ControlTarget {
  readonly resourceName: string;
  readonly minor: number;
  readonly #options: DaemonOptions;
  readonly #control: ControlServer;
  readonly #device: DeviceServer;
  readonly #log: (line: string) => void;
  #resource: Resource | null = null;
  #probe: Promise<void> | null = null;
  #probes = 0;

  constructor(options: DaemonOptions, log: (line: string) => void) {
    this.#options = options;
    this.resourceName = options.resource;
    this.minor = options.minor;
    this.#log = log;
    this.#control = new ControlServer(this);
    this.#device = new DeviceServer(() => this.#resource);
  }

  /** As at boot: the resource is up when it resolves. */
  async start(): Promise<void> {
    const { control, device } = this.#options;
    await this.up();
    await this.#device.listen(device.host, device.port);
    await this.#control.listen(control.host, control.port);
  }

  get resource(): Resource | null {
    return this.#resource;
  }

  async up(): Promise<number> {
    const resource = new Resource(
      this.#options,
      (line) => this.#control.emit(line),
      (line) => this.#log(`drbd stand-in ${this.resourceName}: ${line}`),
    );
    resource.replica.watch((before, after) => {
      for (const line of changeEvents(this.resourceName, this.minor, before, after)) {
        this.#log(line);
        this.#control.emit(line);
      }
    });
    const { blocksInDoubt } = resource.replica;
    if (blocksInDoubt > 0) {
      this.#log(`Marked additional ${(blocksInDoubt * BLOCK_BYTES) / 1024} KB as out-of-sync based on AL.`);
    }
    this.#resource = resource;
    this.#control.emitUp();
    await resource.up();
    return blocksInDoubt;
  }

  async down(): Promise<Refusal | null> {
    const refusal = (await this.#resource?.down()) ?? null;
    if (refusal !== null) return refusal;
    this.#resource = null;
    this.#control.emitDown();
    return null;
  }

  failDisk(): void {
    this.#resource?.failDisk();
  }

  /** At most one probe is on its way; a later one joins it, since its completion says the same. */
  async probeWrite(timeoutMs: number): Promise<string> {
    const resource = this.#resource;
    if (resource === null) return 'refused: the resource is down';
    const isJoining = this.#probe !== null;
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), timeoutMs);
    try {
      if (!isJoining) {
        const data = Buffer.alloc(BLOCK_BYTES);
        this.#probes += 1;
        data.write(`observer ${this.#options.node} ${this.#probes}`);
        const { blocks } = resource.replica.disk;
        this.#probe = resource.writes.write(observerBlock(blocks), data, abort.signal).finally(() => {
          this.#probe = null;
        });
      }
      const timedOut = new Promise<never>((_resolve, reject) => {
        abort.signal.addEventListener('abort', () => reject(new Error('not completed in time')));
      });
      await Promise.race([this.#probe, timedOut]);
      return 'completed';
    } catch (error) {
      this.#probe?.catch(() => undefined);
      return `refused: ${error instanceof Error ? error.message : String(error)}`;
    } finally {
      clearTimeout(timer);
    }
  }

  /** An orderly stop, as at shutdown; a Primary that is held stays what it is. */
  async stop(): Promise<void> {
    this.#device.close();
    await this.down();
    this.#control.close();
  }
}
