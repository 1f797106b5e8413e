/**
 * O3: what an override may cost. `drbdadm primary --force` runs only after one, until a takeover has succeeded; acknowledged writes are given
 * up only by the node that was forced, and only those that were acknowledged since it had left the in-sync set: that is what
 * the entry says may be lost. A split brain comes only of it, and then an operator says whose changes go.
 */
import {
  applyEntry,
  type ClusterState,
  EMPTY_STATE,
  type Entry,
  whyForceIsVoid,
} from '../../../src/core/index.ts';
import type { World } from '../engine/world.ts';
import type { Client } from '../models/client.ts';
import type { DrbdEnd } from '../models/drbd.ts';
import type { DrbdPair } from '../models/drbd-pair.ts';
import type { SimulatedNode } from '../node/node.ts';
import { checkNothingLost } from './holders.ts';

const OPERATOR_TAKES_MS = 500;

/** By device. */
type Acknowledged = ReadonlyMap<string, ReadonlySet<number>>;

export class ForcedCheck {
  readonly #world: World;
  readonly #client: Client;
  #state: ClusterState = EMPTY_STATE;
  /** Judged here, not by the core: the node of the last override, until it is used up, and the epoch that it excuses. */
  #forcedNode: string | null = null;
  #forcedEpoch = 0;
  /** Of every node that is not in the set: as of when it left. */
  readonly #outSince = new Map<string, Acknowledged>();
  /** By device: the forced node that has not been promoted there yet, and what it must have all the same. */
  readonly #due = new Map<string, { readonly node: string; readonly must: ReadonlySet<number> }>();
  /** By device: who was promoted by an override and has not been the source of a resync since. */
  readonly #winners = new Map<string, string>();

  constructor(world: World, client: Client) {
    this.#world = world;
    this.#client = client;
  }

  /** Every committed entry, once, in order. */
  onEntry(entry: Entry): void {
    const before = this.#state;
    const after = applyEntry(before, entry);
    this.#state = after;
    const { body } = entry;
    if (body.kind === 'forced' && whyForceIsVoid(before, entry.term, body.node) === null) {
      this.#world.marks.add('override-counts');
      this.#forcedNode = body.node;
      const since = this.#outSince.get(body.node);
      for (const device of this.#client.acknowledged.keys())
        this.#due.set(device, { node: body.node, must: since?.get(device) ?? new Set() });
    }
    if (body.kind === 'tenure-granted') {
      if (this.#forcedNode !== body.node) this.#forcedNode = null;
      this.#forcedEpoch = this.#forcedNode === null ? 0 : entry.index;
    }
    if (body.kind === 'takeover-done' && body.ok && body.epoch === this.#forcedEpoch) {
      this.#forcedNode = null;
      this.#forcedEpoch = 0;
    }
    if (before.inSync.join() === after.inSync.join()) return;
    const now = new Map([...this.#client.acknowledged].map(([device, writes]) => [device, new Set(writes)]));
    for (const id of before.inSync) if (!after.inSync.includes(id)) this.#outSince.set(id, now);
    for (const id of after.inSync) this.#outSince.delete(id);
  }

  onForce(node: SimulatedNode, what: string): void {
    const epoch = node.executor?.lease.epoch ?? 0;
    this.#world.marks.add('promoted-by-force');
    if (epoch === 0 || epoch !== this.#forcedEpoch)
      this.#world.fail('forced-without-override', `${node.id}: ${what} in epoch ${epoch}`);
  }

  onPrimary(end: DrbdEnd): void {
    this.#giveUp(end);
    checkNothingLost(this.#world, this.#client, end, 'becomes Primary');
  }

  #giveUp(end: DrbdEnd): void {
    const { name } = end.pair;
    const due = this.#due.get(name);
    if (due === undefined || due.node !== end.host.id) return;
    this.#due.delete(name);
    this.#winners.set(name, due.node);
    const writes = this.#client.acknowledged.get(name) ?? [];
    const kept = writes.filter((write) => due.must.has(write) || end.data.has(write));
    if (kept.length < writes.length) this.#world.marks.add('writes-given-up');
    this.#client.acknowledged.set(name, kept);
  }

  onResynced(source: DrbdEnd, target: DrbdEnd): void {
    checkNothingLost(this.#world, this.#client, source, `is the source for ${target.host.id}`);
    if (this.#winners.get(source.pair.name) === source.host.id) this.#winners.delete(source.pair.name);
  }

  onSplitBrain(pair: DrbdPair): void {
    if (this.#winner(pair) === undefined)
      return this.#world.fail('split-brain', `both sides of ${pair.name} have written alone`);
    this.#world.marks.add('split-brain-after-override');
    this.#world.after(OPERATOR_TAKES_MS, () => {
      const winner = this.#winner(pair);
      if (winner !== undefined) pair.discard(pair.other(pair.end(winner)));
    });
  }

  /** Whom the newest override names, promoted already or about to be. */
  #winner({ name }: DrbdPair): string | undefined {
    return this.#due.get(name)?.node ?? this.#winners.get(name);
  }
}
