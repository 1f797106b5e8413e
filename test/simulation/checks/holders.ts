/**
 * One holder, and nothing acknowledged is lost: judged by the models alone, never by what agents believe.
 *
 * A holder is a host on whose device a write that begins now would complete, or, without a device, one whose service runs
 * while it gets time.
 */
import type { World } from '../engine/world.ts';
import type { Client } from '../models/client.ts';
import type { DrbdEnd } from '../models/drbd.ts';
import type { DrbdPair } from '../models/drbd-pair.ts';
import type { SimulatedNode } from '../node/node.ts';

export function holdersOf(nodes: Iterable<SimulatedNode>): string[] {
  const holders: string[] = [];
  for (const node of nodes) {
    const { devices, isServiceRunning } = node.options.programs;
    const holds =
      devices.size === 0
        ? isServiceRunning && node.host.isRunning
        : [...devices.values()].some((device) => device.canWrite);
    if (holds) holders.push(node.id);
  }
  return holders;
}

export function checkOneHolder(world: World, nodes: ReadonlyMap<string, SimulatedNode>): void {
  const holders = holdersOf(nodes.values());
  if (holders.length > 1) world.fail('one-holder', `two holders at once: ${holders.join(' and ')}`);
}

/** Every acknowledged write is on this end's disk: asked whenever its data begins to count. */
export function checkNothingLost(world: World, client: Client, end: DrbdEnd, when: string): void {
  const missing = (client.acknowledged.get(end.pair.name) ?? []).filter((number) => !end.data.has(number));
  if (missing.length > 0) {
    const [first] = missing;
    world.fail(
      'acknowledged-writes',
      `${end.host.id} ${when} without ${missing.length} acknowledged writes on ${end.pair.name} (first: ${first})`,
    );
  }
}

export function checkAtTheEnd(
  world: World,
  client: Client,
  pairs: readonly DrbdPair[],
  holder: string,
): void {
  for (const pair of pairs) checkNothingLost(world, client, pair.end(holder), 'ends');
}
