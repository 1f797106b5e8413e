/**
 * Who has the device of a ZFS volume open. The kernel itself does, as for iSCSI, and then no process is seen; so it is asked for
 * the device exclusively. `fuser` finds who has opened it otherwise.
 */
import type { LinuxTools, Reading } from './linux-tools.ts';
import type { Copy } from './replicated-datasets.ts';
import type { ActionContext } from './types.ts';

/** `absent`: it has no device now. */
export type DeviceUse = 'free' | 'taken' | 'absent' | 'unknown';

export interface VolumeDevice {
  readonly path: string;
  readonly use: DeviceUse;
}

export class VolumeUsers {
  readonly #tools: LinuxTools;
  /** Never rejects. Must not hang: an open waits in the kernel where the pool does. */
  readonly deviceOf: (volume: string, context: ActionContext) => Promise<VolumeDevice>;

  constructor(tools: LinuxTools, deviceOf: VolumeUsers['deviceOf']) {
    this.#tools = tools;
    this.deviceOf = deviceOf;
  }

  /** Names of the volumes that somebody has open. */
  async open(copies: readonly Copy[], context: ActionContext): Promise<Reading<readonly string[]>> {
    const devices = await this.#devices(copies, context);
    const blurred = devices.find(({ use }) => use === 'unknown');
    if (blurred !== undefined)
      return { kind: 'unknown', why: `whether ${blurred.path} is open cannot be found out${blurred.hint}` };
    const taken = devices.filter(({ use }) => use === 'taken').map(({ name }) => name);
    const free = devices.filter(({ use }) => use === 'free');
    if (taken.length > 0 || free.length === 0) return { kind: 'read', value: taken };
    const command = ['fuser', ...free.map(({ path }) => path)];
    return this.#tools.judge(
      command,
      await this.#tools.run(command, context),
      () => free.map(({ name }) => name),
      // Nobody, and no complaint: code 1 says both that nobody was found and that something went wrong.
      ({ code, stdout, stderr }) => (code === 1 && stdout === '' && stderr === '' ? [] : null),
    );
  }

  /** SIGKILL to every process that has one open; what the kernel has open stays. */
  async kill(copies: readonly Copy[], context: ActionContext): Promise<void> {
    const devices = await this.#devices(copies, context);
    const paths = devices.filter(({ use }) => use !== 'absent').map(({ path }) => path);
    if (paths.length > 0) await this.#tools.run(['fuser', '-k', ...paths], context);
  }

  async #devices(copies: readonly Copy[], context: ActionContext) {
    const volumes = copies.filter(({ kind }) => kind === 'volume');
    return Promise.all(
      volumes.map(async ({ name, isLocked, isPartial }) => {
        const device = await this.deviceOf(name, context);
        // Without its key, or before its first stream has arrived, a volume has no device.
        const mayLack = isLocked || isPartial;
        const isMissing = device.use === 'absent' && !mayLack;
        const hint = isMissing ? `: it is not there; does udev run? ("udevadm trigger" makes it)` : '';
        return { name, path: device.path, use: isMissing ? ('unknown' as const) : device.use, hint };
      }),
    );
  }
}
