/**
 * Switchovers at a later time (docs/switchover.md), and what comes between the order and its moment: it is given again, cancelled, the leader
 * changes, clocks are set, another operator moves or pauses. Around that moment mostly, because that is where it could begin twice.
 */
import { nodeId } from '../../src/core/index.ts';
import type { Cluster } from './cluster.ts';
import type { Fault } from './faults.ts';
import type { SimulatedNode } from './node/node.ts';

const REPEATED = { times: 4, everyMs: 90 } as const;
/** As every order states it (schedule-orders.ts): a clock that is set by more is not believed. */
const GRACE_MS = 60_000;
const AROUND_MS = 800;
const AWAY_MS = 1_500;

type Trouble = (cluster: Cluster, leader: SimulatedNode, share: number) => void;

/** Each of whoever leads at that moment. `share`: 0 to 1. */
const TROUBLES: readonly Trouble[] = [
  () => undefined,
  cancel,
  (_cluster, leader) => void leader.killAgent(),
  (_cluster, leader) => leader.shutdownAgent(),
  (_cluster, leader) => leader.restart(null),
  (_cluster, leader) => leader.powerCycle(AWAY_MS),
  (_cluster, leader, share) => leader.agentThread?.freeze(share * AWAY_MS),
  isolate,
  (_cluster, leader) => leader.switchover(null),
  pauseForAMoment,
  // By less than what is believed, and by more; back and on.
  (_cluster, leader, share) => leader.host.jumpWall((share - 0.5) * 6_000),
  (_cluster, leader, share) => leader.host.jumpWall((share < 0.5 ? -1 : 1) * GRACE_MS * (1.1 + share)),
  (cluster, _leader, share) => {
    for (const node of cluster.nodes.values()) node.host.jumpWall((share - 0.5) * 4 * GRACE_MS);
  },
  // The next leader's clock is another one, within what is believed.
  (_cluster, leader, share) => {
    leader.host.jumpWall(-share * 3_000);
    leader.killAgent();
  },
];

export function schedule(cluster: Cluster, fault: Fault): void {
  const { world } = cluster;
  const { chance, ms } = fault;
  const dataNodes = cluster.shape.members.filter(({ witness }) => !witness).map(({ id }) => id);
  const named = dataNodes[Math.floor(chance * dataNodes.length)] ?? '';
  const order = {
    ...{ who: 'operator', why: '', expectedEpoch: null, dryRun: false },
    requestId: `scheduled-${Math.floor(world.now)}-${Math.floor(chance * 1e6)}`,
    to: ms % 1 < 0.5 ? null : nodeId(named),
    when: { kind: 'in', ms: Math.ceil(ms) } as const,
  };
  const ask = (left: number): void => {
    cluster.leader?.ask((backend) => void backend.scheduleSwitchover(order).catch(() => undefined));
    if (left > 1) world.after(REPEATED.everyMs, () => ask(left - 1));
  };
  ask(Math.floor(ms) % 2 === 0 ? 1 : REPEATED.times);
  const share = (chance * 7) % 1;
  const trouble = TROUBLES[Math.floor(chance * 997) % TROUBLES.length];
  // A third of them well before.
  const at = chance < 0.33 ? ms * share : ms + (share - 0.5) * AROUND_MS;
  world.after(Math.max(0, at), () => {
    const { leader } = cluster;
    if (leader !== null) trouble?.(cluster, leader, share);
  });
}

/** Twice by the same id. */
function cancel(cluster: Cluster, leader: SimulatedNode): void {
  const order = { who: 'operator', why: '', id: null, requestId: `cancel-${Math.floor(cluster.world.now)}` };
  for (const node of [leader, cluster.leader])
    node?.ask((backend) => void backend.cancelSwitchover(order).catch(() => undefined));
}

function isolate({ network, nodes }: Cluster, { id: leader }: SimulatedNode): void {
  for (const id of nodes.keys()) {
    if (id === leader) continue;
    network.cut(id, leader, AWAY_MS);
    network.cut(leader, id, AWAY_MS);
  }
}

function pauseForAMoment(cluster: Cluster, leader: SimulatedNode): void {
  leader.order('pause', nodeId(leader.id));
  const resume = (tries: number): void => {
    if (tries === 0 || cluster.leader?.view?.state.pause === null) return;
    cluster.leader?.order('resume', nodeId(leader.id));
    cluster.world.after(300, () => resume(tries - 1));
  };
  cluster.world.after(500, () => resume(40));
}
