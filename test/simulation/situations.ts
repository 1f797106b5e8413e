/**
 * Faults that belong together: situations in which one rule alone stands between the cluster and an accident. Single faults
 * meet like this too, but once in thousands of seeds.
 */
import { nodeId } from '../../src/core/index.ts';
import type { Cluster } from './cluster.ts';
import { type Fault, ROLES } from './faults.ts';

const SLOWER_EVERY_MS = 400;

export function arrange(cluster: Cluster, fault: Fault): void {
  const [leader, second, third] = ROLES.map((role) => cluster.resolve(role)) as [string, string, string];
  const [one, other] = fault.chance < 0.5 ? [second, third] : [third, second];
  switch (fault.kind) {
    case 'near-miss':
      return nearMiss(cluster, fault, leader, one);
    case 'stuck-service':
      return stuckService(cluster, fault, leader);
    case 'beset-takeover':
      return besetTakeover(cluster, fault, leader);
    case 'deserted-caretaker':
      return desertCaretaker(cluster);
    case 'late-order':
      return delayOrder(cluster, fault);
    case 'beset-restart':
      return besetRestart(cluster, fault, leader, one);
    case 'override':
      return override(cluster, fault, leader);
    default:
      return ambush(cluster, fault, leader, one, other);
  }
}

/** A second number from 0 to 1 out of the one that a fault has. */
const secondChance = ({ chance }: Fault): number => 2 * Math.abs(chance - 0.5);

/**
 * One voter loses the leader for so long that only its own and the others' promises hold it back. When it may begin to
 * campaign, the leader hears nobody any more (L2), or stands still, with what is left of its lease, or its service hangs and
 * the other voter starts anew (L4). `late-acks` (L1): nobody hears the leader any more, while acks that were slow on their way
 * still reach it.
 */
function ambush(cluster: Cluster, fault: Fault, leader: string, deprived: string, loyal: string): void {
  const { world, network, timing } = cluster;
  const { kind, ms } = fault;
  const forMs = timing.promiseMs + 2_000;
  network.cut(leader, deprived, forMs);
  if (kind === 'late-acks') slowDown(cluster, loyal, leader);
  const aroundMs = timing.promiseMs + (secondChance(fault) * 3 - 1) * timing.leaseMs;
  const slowedMs = 4 * SLOWER_EVERY_MS + secondChance(fault) * timing.heartbeatMs;
  world.after(kind === 'late-acks' ? slowedMs : aroundMs, () => {
    network.cut(deprived, leader, 1_500);
    if (kind === 'late-acks') return network.cut(leader, loyal, 1_500);
    switch (Math.floor(ms) % 3) {
      case 0:
        return network.cut(loyal, leader, 1_500);
      case 1:
        return cluster.node(leader).host.freeze(timing.leaseMs * 0.9);
      default:
        cluster.node(leader).options.programs.makeUnkillable(2_000);
        return void cluster.node(loyal).killAgent();
    }
  });
}

/** Step by step, as a queue that fills: at once it would look like silence. */
function slowDown({ world, network, timing }: Cluster, from: string, to: string): void {
  const { leaseMs } = timing;
  for (const [step, share] of [0.3, 0.5, 0.7, 0.9].entries())
    world.after(step * SLOWER_EVERY_MS, () =>
      network.slow(from, to, 4_000, [share * leaseMs, (share + 0.07) * leaseMs]),
    );
}

/** L3: a voter is just about to campaign when it can reach the leader again; what the leader serves cannot be stopped at once. */
function nearMiss(cluster: Cluster, fault: Fault, leader: string, deprived: string): void {
  const { world, network, timing } = cluster;
  const forMs = timing.promiseMs + secondChance(fault) * timing.leaseMs;
  network.cut(leader, deprived, forMs);
  world.after(forMs - 50, () => cluster.node(leader).options.programs.makeUnkillable(1_000));
}

/** R2, R3, R4, L5: what must be released takes its time, while the holder loses its right, its agent, or gives up by order. */
function stuckService(cluster: Cluster, fault: Fault, leader: string): void {
  const { world, network, nodes } = cluster;
  const holder = cluster.node(leader);
  if (fault.chance < 0.25) return refusedAndStuck(cluster, fault, leader);
  holder.options.programs.makeUnkillable(300 + fault.ms / 2);
  world.after(secondChance(fault) * 200, () => {
    switch (Math.floor(fault.ms) % 3) {
      case 0:
        return void holder.killAgent();
      case 1:
        for (const id of nodes.keys()) if (id !== leader) network.cut(id, leader, 2_000);
        return;
      default:
        return holder.switchover(null);
    }
  });
}

/** H6, R1: a switchover whose takeover the cloud refuses, and whose service does not stop either when that is given up. */
function refusedAndStuck(cluster: Cluster, fault: Fault, leader: string): void {
  const { world, cloud, nodes } = cluster;
  const forMs = 1_000 + fault.ms / 2;
  const trouble = { throttled: 0, replyLost: 0, late: 0, unreachable: 0, denied: 1, staleMs: 0 };
  cloud.trouble = trouble;
  world.after(forMs, () => {
    if (cloud.trouble === trouble) cloud.trouble = { ...trouble, denied: 0 };
  });
  for (const [id, { options }] of nodes) if (id !== leader) options.programs.makeUnkillable(forMs);
  cluster.node(leader).switchover(null);
}

/** O1, O2: a takeover that takes long, because the cloud is busy or a command hangs, and the new leader is cut off in it. */
function besetTakeover(cluster: Cluster, fault: Fault, leader: string): void {
  const { world, network, cloud, nodes } = cluster;
  const forMs = 1_500 + fault.ms / 2;
  if (Math.floor(fault.ms) % 2 === 0) {
    const trouble = { throttled: 0.97, replyLost: 0, late: 0, unreachable: 0, denied: 0, staleMs: 0 };
    cloud.trouble = trouble;
    world.after(forMs, () => {
      if (cloud.trouble === trouble) cloud.trouble = { ...trouble, throttled: 0 };
    });
  } else {
    for (const { options } of nodes.values())
      options.programs.trouble.hangs.set('drbdadm primary', world.now + forMs);
  }
  cluster.node(leader).killAgent();
  world.after(200 + secondChance(fault) * 1_200, () => {
    const next = cluster.resolve('$leader');
    for (const id of nodes.keys()) {
      if (id === next) continue;
      network.cut(id, next, 1_500);
      network.cut(next, id, 1_500);
    }
  });
}

/** W3: the data nodes confirm what the caretaker asks, but their disks hang before they have what it wants to give them. */
function desertCaretaker({ consensus, nodes, timing }: Cluster): void {
  consensus.onCaretaker = () => {
    consensus.onCaretaker = () => undefined;
    for (const node of nodes.values())
      if (node.view?.isWitness === false) node.disk.hang(2 * timing.promiseMs);
  };
}

/**
 * O3: the node that is not in sync is left alone with the witness, its peer dead, cut off, or standing still, and an operator
 * forces it, asking whoever leads until that is done. Sometimes an operator only types it, at whatever moment this is. Without
 * a watchdog nothing but DRBD stands between the two, and that is what an override takes away (H2, `mode: off`).
 */
function override(cluster: Cluster, fault: Fault, leader: string): void {
  const { world, network, nodes, timing, shape } = cluster;
  const survivor = shape.members.find(({ id, witness }) => !witness && id !== leader)?.id;
  if (survivor === undefined || shape.watchdogMs === null) return;
  const force = (triesLeft: number): void => {
    cluster.leader?.failover(nodeId(survivor));
    if (triesLeft > 0) world.after(250, () => force(triesLeft - 1));
  };
  if (fault.chance < 0.2) return force(0);
  const forMs = 3_000 + fault.ms;
  network.cut(leader, survivor, 2 * timing.promiseMs);
  network.cut(survivor, leader, 2 * timing.promiseMs);
  world.after(timing.promiseMs * (0.5 + secondChance(fault)), () => {
    const holder = cluster.node(leader);
    switch (Math.floor(fault.ms) % 5) {
      case 0:
        holder.host.freeze(forMs);
        break;
      case 1:
        holder.agentThread?.freeze(forMs);
        holder.executor?.main.freeze(forMs);
        break;
      case 2:
        for (const id of nodes.keys()) {
          if (id === leader) continue;
          network.cut(id, leader, forMs);
          network.cut(leader, id, forMs);
        }
        break;
      default:
        holder.powerCycle(forMs);
    }
    // Half of them know of themselves that their data is old: for DRBD alone they could not be promoted at all.
    if (fault.ms % 1 < 0.5)
      for (const device of cluster.node(survivor).options.programs.devices.values()) device.outdate();
    force(Math.floor(forMs / 250));
  });
}

/**
 * L7: the holder's agent is restarted, and at some moment of it something goes wrong: on the way out, while nobody is there, when
 * the next one asks for votes, when it binds its executor, or right after its adoption is committed. The others do not hear of
 * the holder for a long time then, or its executor hangs as well.
 */
function besetRestart(cluster: Cluster, fault: Fault, leader: string, voter: string): void {
  const { world, network, nodes, consensus, timing } = cluster;
  const holder = cluster.node(leader);
  const forMs = 3 * timing.promiseMs + 2_000;
  const isolate = (): void => {
    for (const id of nodes.keys()) {
      if (id === leader) continue;
      network.cut(id, leader, forMs);
      network.cut(leader, id, forMs);
    }
  };
  const trouble = (): void => {
    switch (Math.floor(fault.ms) % 8) {
      case 0:
        return void holder.killAgent();
      case 6:
        // What they have promised for the time of the restart is forgotten: P is what binds them (L4).
        for (const id of [...nodes.keys()]) if (id !== leader) cluster.node(id).killAgent();
        isolate();
        return holder.agentThread?.freeze(forMs);
      case 1:
        // Not the executor: it must not need to be told.
        isolate();
        return holder.agentThread?.freeze(forMs);
      case 2:
        isolate();
        return holder.executor?.main.freeze(forMs);
      case 3:
        isolate();
        return holder.options.programs.makeUnkillable(1_000);
      case 4:
        return void holder.killExecutor();
      case 5:
        network.cut(leader, voter, forMs);
        return holder.host.suspend(timing.promiseMs);
      default:
        return isolate();
    }
  };
  holder.comeBackMs = fault.ms % 1 < 0.3 ? [1_500, 6_000] : [50, 600];
  world.after(20_000, () => {
    holder.comeBackMs = [50, 600];
  });
  holder.restart(fault.ms % 1 < 0.5 ? 2_000 : null);
  if (fault.chance < 0.4) return void world.after(secondChance(fault) * 1_200, trouble);
  const moment = fault.chance < 0.6 ? 'restart-begun' : 'tenure-adopted';
  consensus.onNews = (kind) => {
    if (kind !== moment) return;
    consensus.onNews = () => undefined;
    world.after(secondChance(fault) * 60, trouble);
  };
}

/** O1, T3: the order to take is on its way when the executor, or the host, stands still, and the lease ends before it goes on. */
function delayOrder({ consensus, network, nodes, timing }: Cluster, fault: Fault): void {
  consensus.onGranted = (holder) => {
    consensus.onGranted = () => undefined;
    const node = nodes.get(holder);
    const forMs = timing.leaseMs * (0.5 + secondChance(fault));
    if (Math.floor(fault.ms) % 2 === 0) {
      node?.executor?.main.freeze(forMs);
      node?.executor?.guardThread.freeze(forMs);
    } else node?.host.suspend(2 * timing.promiseMs);
    for (const id of nodes.keys()) if (id !== holder) network.cut(id, holder, 1_500);
  };
}
