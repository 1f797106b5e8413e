/** `quorate fence-peer` as DRBD calls it: 4 on the agent's word, otherwise 1; a reply may be lost on the way to the kernel. */
import { nodeId } from '../../../src/core/index.ts';
import { between } from '../engine/world.ts';
import type { SimulatedNode } from './node.ts';

const START_MS = [30, 120] as const;
const EXIT_MS = [0.5, 3] as const;
const LIMIT_MS = 30_000;
/** It notices that the agent has closed its socket. */
const POLL_MS = 20;
const PEER_OUTDATED = 4;
const FAILED = 1;

export function fencePeer(node: SimulatedNode, peer: string): Promise<number> {
  const { world } = node.host;
  const random = world.random(`handler ${node.id}`);
  const isLost = node.lostReplies > 0;
  if (isLost) node.lostReplies -= 1;
  world.marks.add('fence-peer-called');
  return new Promise((resolve) => {
    let isOver = false;
    const exit = (code: number): void => {
      if (isOver) return;
      isOver = true;
      limit.act = null;
      if (isLost && code === PEER_OUTDATED) world.marks.add('handler-reply-lost');
      // The process ends, and the kernel hears of it.
      world.after(between(random, EXIT_MS), () => resolve(isLost ? FAILED : code));
    };
    const limit = world.after(LIMIT_MS, () => exit(FAILED));
    world.after(between(random, START_MS), () => {
      const thread = node.agentThread;
      if (thread === null || node.backend === null) return exit(FAILED);
      const watch = (): void => {
        if (isOver) return;
        if (thread.isAlive) world.after(POLL_MS, watch);
        else exit(FAILED);
      };
      watch();
      node.ask((backend) => {
        backend.fencePeer(nodeId(peer), null).then(
          () => exit(PEER_OUTDATED),
          () => exit(FAILED),
        );
      });
    });
  });
}
