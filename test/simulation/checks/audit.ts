/** The audit, replayed from any node's log, breaks no rule and tells exactly the tenures that the models saw. */
import { logIndex } from '../../../src/core/index.ts';
import { sha256 } from '../../../src/log/index.ts';
import { audit } from '../../../src/state/index.ts';
import type { World } from '../engine/world.ts';
import type { SimulatedNode } from '../node/node.ts';

export interface SeenTenure {
  readonly epoch: number;
  readonly node: string;
}

export function checkAudit(world: World, nodes: Iterable<SimulatedNode>, seen: readonly SeenTenure[]): void {
  for (const node of nodes) {
    const view = node.view;
    if (view === null) continue;
    const document = audit(view.log.all, sha256, view.commitIndex);
    const [violation] = document.violations;
    if (violation !== undefined || !document.chain.ok)
      return world.fail(
        'audit',
        `the audit of ${node.id}: ${violation?.kind} at ${violation?.index}: ${violation?.what}`,
      );
    const told = new Map(document.tenures.map((tenure) => [tenure.epoch, tenure.node]));
    // And nobody has written down a takeover that did not take place.
    for (const { body, index } of view.log.slice(logIndex(1), view.commitIndex)) {
      if (body.kind !== 'takeover-done' || !body.ok) continue;
      if (!seen.some((tenure) => tenure.epoch === body.epoch && tenure.node === body.node))
        return world.fail('audit', `entry ${index} tells of a takeover by ${body.node} that nobody has seen`);
    }
    for (const { epoch, node: holder } of seen) {
      if (epoch <= view.commitIndex && told.get(epoch) !== holder)
        return world.fail(
          'audit',
          `${holder} acted under epoch ${epoch}; the audit of ${node.id} does not tell it`,
        );
    }
  }
}
