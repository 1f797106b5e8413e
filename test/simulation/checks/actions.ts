/**
 * O1, O2: whatever acts on the outside does so under an epoch that was granted to it, the newest one, in its lease; and when
 * a tenure begins, nobody else's guard may act any more, by its own clock.
 */
import type { World } from '../engine/world.ts';
import type { SimulatedNode } from '../node/node.ts';
import type { ConsensusCheck } from './consensus.ts';

export function checkAction(
  world: World,
  consensus: ConsensusCheck,
  node: SimulatedNode,
  what: string,
): void {
  const { executor } = node;
  if (executor === null) return world.fail('action-epoch', `${node.id}: ${what} without an executor`);
  const { epoch, until } = executor.lease;
  const owner = epoch === 0 ? null : consensus.grantedTo(epoch);
  if (owner !== node.id)
    return world.fail(
      'action-epoch',
      `${node.id}: ${what} under epoch ${epoch}, granted to ${owner ?? 'nobody'}`,
    );
  if (epoch < consensus.newestGrant)
    return world.fail(
      'action-epoch',
      `${node.id}: ${what} under epoch ${epoch}, after the grant of ${consensus.newestGrant}`,
    );
  if (node.host.monotonicMs >= until)
    world.fail(
      'action-lease',
      `${node.id}: ${what} ${(node.host.monotonicMs - until).toFixed(1)} ms after its lease`,
    );
}

/** A new tenure has begun: asked before it has done anything, so that no luck of timing can hide an overlap. */
export function checkOneLease(
  world: World,
  nodes: ReadonlyMap<string, SimulatedNode>,
  holder: SimulatedNode,
): void {
  for (const other of nodes.values()) {
    const lease = other.executor?.lease;
    // Who is suspended does nothing, and its lease is void when it goes on, whatever its clock says (T3).
    if (other === holder || other.host.isSuspended || lease === undefined || lease.epoch === 0) continue;
    const leftMs = lease.until - other.host.monotonicMs;
    if (leftMs > 0)
      world.fail(
        'one-lease',
        `${holder.id} begins while epoch ${lease.epoch} of ${other.id} has ${leftMs.toFixed(0)} ms left`,
      );
  }
}
