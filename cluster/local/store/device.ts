/** Where the store keeps its blocks: the DRBD stand-in's device, or a file on a mounted file system. */
import { assertNever } from '../../../src/core/index.ts';
import { DeviceClient } from '../drbd/device-client.ts';
import { FileDevice } from './file-device.ts';

export interface StoreDevice {
  readonly blocks: number;
  read(block: number): Promise<Buffer>;
  /** Resolves when the block would survive a power cut. */
  write(block: number, data: Uint8Array): Promise<void>;
  close(): Promise<void>;
  /** At once, whatever is under way. */
  destroy(): void;
}

export type DeviceOptions =
  | { readonly kind: 'stand-in'; readonly host: string; readonly port: number }
  | { readonly kind: 'file'; readonly path: string; readonly blocks: number };

export function openDevice(options: DeviceOptions): Promise<StoreDevice> {
  switch (options.kind) {
    case 'stand-in':
      return DeviceClient.open(options.host, options.port);
    case 'file':
      return FileDevice.open(options.path, options.blocks);
    default:
      return assertNever(options);
  }
}
