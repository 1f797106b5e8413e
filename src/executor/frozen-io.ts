/**
 * R1: the release of a holder whose writes DRBD has frozen, because it is isolated. Whoever waits for such a write cannot be
 * killed; without its disk the device completes no write any more, and what waits may end. But a write that had reached the own
 * disk may end as if it were replicated: so nothing is let go before it is verified that no answer can leave this host.
 */
import { QuorateError } from '../errors.ts';
import {
  type ActionContext,
  DrbdResource,
  type DrbdState,
  type FrozenIo,
  isReleased,
  isSuspended,
  type Resource,
} from '../resources/index.ts';
import { foundationsOf, type PlanResource } from '../takeover/index.ts';
import type { LogLevel } from './guard-protocol.ts';

/** What an answer to a client leaves through. */
const WAYS_OUT: ReadonlySet<string> = new Set(['port', 'virtual-ip', 'port-block']);

export interface FrozenIoOptions {
  readonly graph: readonly PlanResource[];
  readonly local: ReadonlyMap<string, Resource>;
  /** What the follower of a DRBD resource has seen last. */
  readonly lastSeen: (name: string) => DrbdState | null;
  readonly log: (level: LogLevel, fields: Readonly<Record<string, unknown>>) => void;
}

export class FrozenIoRelease {
  readonly #options: FrozenIoOptions;
  #isReattaching = false;

  constructor(options: FrozenIoOptions) {
    this.#options = options;
  }

  /** Of the DRBD resources that `name` stands on. */
  of(name: string): FrozenIo {
    const frozen = (): DrbdResource[] =>
      this.#below(name).filter((resource) => isFrozenPrimary(this.#options.lastSeen(resource.name)));
    return {
      isFrozen: () => frozen().length > 0,
      abandon: async (context) => {
        await this.#mustBeShut(context);
        const said: string[] = [];
        for (const resource of frozen()) said.push(await resource.abandonIo(context));
        return said.join('; ');
      },
    };
  }

  /**
   * Disks that a release had to detach come back, to be resynced; after every verified release. What fails is tried with the
   * next one, and said: `drbdadm attach` by hand does as well.
   */
  async reattach(context: ActionContext): Promise<void> {
    if (this.#isReattaching) return;
    this.#isReattaching = true;
    await Promise.all(this.#drbd.map((resource) => this.#reattach(resource, context)));
    this.#isReattaching = false;
  }

  async #reattach(resource: DrbdResource, context: ActionContext): Promise<void> {
    const { log } = this.#options;
    const { name } = resource;
    try {
      const said = await resource.reattach(context);
      if (said !== null) log('info', { event: 'disk-attached', name, said });
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      log('error', { event: 'disk-not-attached', name, why: error.message });
    }
  }

  /** The paths of their devices. */
  async devicesBelow(name: string, context: ActionContext): Promise<readonly string[]> {
    const devices = await Promise.all(this.#below(name).map((resource) => resource.devices(context)));
    return devices.flat();
  }

  #below(name: string): DrbdResource[] {
    const foundations = foundationsOf(this.#options.graph, name);
    return this.#drbd.filter((resource) => foundations.has(resource.name));
  }

  get #drbd(): DrbdResource[] {
    return [...this.#options.local.values()].filter((one) => one instanceof DrbdResource);
  }

  /** Every way to clients is gone, or its door shut; throws `release-unverified` otherwise. */
  async #mustBeShut(context: ActionContext): Promise<void> {
    const { graph, local } = this.#options;
    const waysOut = [...local.values()].filter(({ kind }) => WAYS_OUT.has(kind));
    if (waysOut.length === 0)
      throw unverified('nothing here shuts clients out: a port, virtual-ip or port-block');
    const hasDoor = waysOut.some(({ kind }) => kind === 'port-block');
    const isThroughPort = (name: string): boolean =>
      [...foundationsOf(graph, name)].some((one) => local.get(one)?.kind === 'port');
    // What the cloud sends here still comes: an abrupt release leaves its side to the next holder.
    const open = graph.find(({ name, scope }) => scope === 'cloud' && !isThroughPort(name));
    if (open !== undefined && !hasDoor)
      throw unverified(`clients come in by ${open.name} too, and no port or port-block shuts them out`);
    for (const resource of waysOut) {
      if (!isReleased(await resource.probe(context)))
        throw unverified(`${resource.name} is not shut yet: a client could be answered`);
    }
  }
}

const unverified = (why: string): QuorateError => new QuorateError('release-unverified', why);

const isFrozenPrimary = (state: DrbdState | null): boolean =>
  state !== null && state.role === 'Primary' && isSuspended(state);
