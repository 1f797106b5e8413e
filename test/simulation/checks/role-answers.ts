/**
 * The role checks over HTTP, asked of every agent that could answer now: at most one says that it holds, and nobody says so while
 * somebody else can write and it cannot. (Two that can write are `one-holder`'s business, two leases `one-lease`'s.)
 */
import { type Check, decide } from '../../../src/http/index.ts';
import type { World } from '../engine/world.ts';
import type { SimulatedNode } from '../node/node.ts';
import { holdersOf } from './holders.ts';

export function saysYes(node: SimulatedNode, check: Check): boolean {
  // A process that stands still answers nobody.
  if (node.backend === null || node.agentThread?.isFrozen !== false) return false;
  return decide(check, node.backend.roleFacts()).answer.ok;
}

export function checkRoleAnswers(world: World, nodes: readonly SimulatedNode[]): void {
  // Asked only of those that may believe so: this is looked at after every event.
  const saying = nodes.filter((node) => node.view?.hold.kind === 'held' && saysYes(node, 'holder'));
  if (saying.length === 0) return;
  if (saying.length > 1)
    world.fail('role-answers', `${saying.map(({ id }) => id).join(' and ')} both answer that they hold`);
  const writing = holdersOf(nodes);
  for (const { id } of saying)
    if (writing.length > 0 && !writing.includes(id))
      world.fail('role-answers', `${id} answers that it holds while ${writing[0]} can write, and it cannot`);
}
