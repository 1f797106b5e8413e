/** Makes a fault of the list happen to a running cluster. */
import { assertNever, deriveTiming, nodeId, type Proposal } from '../../src/core/index.ts';
import { type Cluster, SPARE_WITNESS } from './cluster.ts';
import type { Fault } from './faults.ts';
import type { SimulatedNode } from './node/node.ts';
import { schedule } from './scheduled.ts';
import { arrange } from './situations.ts';

/** Never so many hurt disks at once that the last good copy of an entry could be among them. */
const MAX_HURT_DISKS = 1;
/** An operator asks again where somebody else leads by now. */
const MAX_TRIES = 40;
const REPEATED_EVERY_MS = 70;

export function inflict(cluster: Cluster, fault: Fault): void {
  const { world, network } = cluster;
  const node = cluster.node(cluster.resolve(fault.node));
  const other = cluster.resolve(fault.other);
  const { host } = node;
  const { ms, chance } = fault;
  switch (fault.kind) {
    case 'cut':
      network.cut(node.id, other, ms);
      return network.cut(other, node.id, ms);
    case 'cut-one-way':
      return network.cut(node.id, other, ms);
    case 'isolate':
      for (const id of cluster.nodes.keys()) {
        if (id === node.id) continue;
        network.cut(node.id, id, ms);
        if (chance < 0.7) network.cut(id, node.id, ms);
      }
      return;
    case 'stall':
      return network.stall(node.id, other, ms);
    case 'slow-path':
      return network.slow(node.id, other, ms, [0, 20 + chance * 500]);
    case 'kill-agent':
      return void node.killAgent();
    case 'stop-agent':
      return node.shutdownAgent();
    case 'kill-executor':
      return void node.killExecutor();
    case 'kill-both':
      node.killExecutor();
      return void node.killAgent();
    case 'freeze-agent':
      return node.agentThread?.freeze(ms);
    case 'freeze-executor':
      node.executor?.main.freeze(ms);
      return chance < 0.7 ? node.executor?.guardThread.freeze(ms) : undefined;
    case 'freeze-guard':
      return node.executor?.guardThread.freeze(ms);
    case 'freeze-host':
      return host.freeze(ms);
    case 'suspend-host':
      return host.suspend(ms);
    case 'power-cut':
      return node.powerCycle(ms);
    case 'boot-loop':
      for (let boot = 0; boot < 4; boot += 1)
        world.after(boot * (400 + chance * 1_500), () => host.isOn && node.powerCycle(50 + chance * 300));
      return;
    case 'double-power-cut':
      node.powerCycle(ms);
      return cluster.node(other).powerCycle(50 + chance * ms * 2);
    case 'disk-slow':
      return node.disk.slow(ms, 5 + chance * 150);
    case 'disk-hangs':
      return node.disk.hang(ms);
    case 'disk-fails':
      return node.disk.failNext();
    case 'disk-rots':
    case 'log-loses-its-end':
      return hurtDisk(cluster, node, fault);
    case 'wall-jumps':
      return host.jumpWall((chance - 0.5) * 86_400_000);
    case 'device-held-open':
      return node.options.programs.holdOpen(ms);
    case 'service-dies':
      return node.options.programs.killService();
    case 'stray-service':
      return strayService(cluster, node, fault);
    case 'service-unkillable':
      return node.options.programs.makeUnkillable(ms);
    case 'device-disk-fails':
      return failDevice(cluster, node, fault);
    case 'handler-reply-lost':
      node.lostReplies += 1;
      return;
    case 'command-hangs':
    case 'service-fails': {
      const words =
        fault.kind === 'service-fails'
          ? ['svc start', 'svc stop', 'svc probe']
          : ['drbdadm primary', 'drbdadm secondary', 'drbdsetup events2', 'svc start', 'svc stop'];
      const word = words[Math.floor(chance * words.length)] ?? '';
      const { hangs, fails } = node.options.programs.trouble;
      return void (fault.kind === 'service-fails' ? fails : hangs).set(word, world.now + ms);
    }
    case 'cloud-trouble':
      cluster.cloud.trouble = {
        throttled: chance * 0.6,
        replyLost: chance < 0.5 ? 0.2 : 0,
        late: 0,
        unreachable: chance > 0.7 ? 0.5 : 0,
        denied: chance > 0.9 ? 0.3 : 0,
        staleMs: chance * 1_000,
      };
      return endCloudTrouble(cluster, ms);
    case 'cloud-late':
      cluster.cloud.trouble = {
        throttled: 0,
        replyLost: 0.1,
        late: 0.6,
        unreachable: 0,
        denied: 0,
        staleMs: 500,
      };
      return endCloudTrouble(cluster, ms);
    case 'switchover':
      // An operator asks whoever leads; what is refused is not a fault of the cluster.
      return cluster.leader?.switchover(chance < 0.2 ? nodeId(node.id) : null);
    case 'paused':
      return orderForAWhile(cluster, 'pause', node, ms);
    case 'set-aside':
      return orderForAWhile(cluster, 'standby', node, ms);
    case 'order-repeated':
      return repeatOrder(cluster, node, ms);
    case 'retime':
      return retime(cluster, fault);
    case 'restart-agent':
      return node.restart(chance < 0.3 ? 1_000 : null);
    case 'new-witness':
      return replaceWitness(cluster);
    case 'scheduled':
      return schedule(cluster, fault);
    case 'ambush':
    case 'late-acks':
    case 'near-miss':
    case 'stuck-service':
    case 'beset-takeover':
    case 'deserted-caretaker':
    case 'late-order':
    case 'override':
    case 'beset-restart':
      return arrange(cluster, fault);
    default:
      return assertNever(fault.kind);
  }
}

/** L8: an operator orders a longer or a shorter lease and release; never a release that is shorter than it takes here. */
function retime(cluster: Cluster, { chance, ms }: Fault): void {
  const { timing: least } = cluster;
  const timing = deriveTiming({
    heartbeatMs: least.heartbeatMs,
    leaseMs: Math.round(least.leaseMs * (0.75 + 3 * chance ** 2)),
    releaseMs: Math.round(least.releaseMs * (1 + (ms % 1_000) / 500)),
    guardMs: least.guardMs,
    watchdogTimeoutMs: least.watchdog?.timeoutMs ?? null,
    clockErrorRate: least.clockErrorRate,
  });
  const by = { who: 'operator', why: '', request: null, at: null };
  cluster.leader?.ask((_backend, agent) => void agent.propose({ kind: 'set-timing', timing, by }));
}

function endCloudTrouble(cluster: Cluster, ms: number): void {
  const { trouble } = cluster.cloud;
  cluster.world.after(ms, () => {
    if (cluster.cloud.trouble === trouble)
      cluster.cloud.trouble = { throttled: 0, replyLost: 0, late: 0, unreachable: 0, denied: 0, staleMs: 0 };
  });
}

/** R2: the service is started on a node that does not hold, and sometimes cannot be stopped for a while. */
function strayService({ world }: Cluster, { options, executor }: SimulatedNode, { chance, ms }: Fault): void {
  // Before a takeover has come that far, its guard may hold already.
  if ((executor?.lease.epoch ?? 0) !== 0 || !options.programs.startStray()) return;
  world.marks.add('stray-service');
  if (chance < 0.5) options.programs.makeUnkillable(ms);
}

/** With the power off, bits are hurt that were written; the node finds it when it starts. */
function hurtDisk(cluster: Cluster, node: SimulatedNode, { kind, chance, ms }: Fault): void {
  const hurt = [...cluster.nodes.values()].filter(
    (other) => other !== node && (other.view?.hard.damaged ?? null) !== null,
  );
  const down = [...cluster.nodes.values()].filter(
    (other) => other !== node && cluster.members.includes(other.id) && other.view === null,
  );
  if (hurt.length + down.length >= MAX_HURT_DISKS || !node.host.isOn || node.view === null) return;
  if (node.view.hard.damaged !== null) return;
  node.powerCycle(100 + ms);
  const what = kind === 'disk-rots' ? node.disk.rot() : node.disk.dropNewest(1 + Math.floor(chance * 4));
  if (what === null) return;
  node.host.say(what);
  cluster.world.marks.add('disk-hurt');
}

/** One of the devices loses its disk, and gets it back with the next boot; never where the peer's copy is not good. */
function failDevice(cluster: Cluster, node: SimulatedNode, { chance, ms }: Fault): void {
  const devices = [...node.options.programs.devices.values()];
  const device = devices[Math.floor(chance * devices.length)];
  if (device === undefined || !node.host.isOn) return;
  const peer = device.pair.other(device);
  if (!peer.host.isOn || peer.view.disk !== 'UpToDate' || !device.isConnected) return;
  device.failDisk();
  cluster.world.marks.add('device-disk-failed');
  cluster.world.after(
    ms + 2_000,
    () => device.view.disk === 'Diskless' && node.host.isOn && node.powerCycle(200),
  );
}

/** H7: an operator pauses the cluster, or puts a data node on standby, and takes it back after a while, by whoever leads then. */
function orderForAWhile(cluster: Cluster, what: 'pause' | 'standby', node: SimulatedNode, ms: number): void {
  const { world } = cluster;
  const isWitness = cluster.shape.members.some(({ id, witness }) => id === node.id && witness);
  const on = nodeId(isWitness ? (cluster.shape.members[0]?.id ?? '') : node.id);
  cluster.leader?.order(what, on);
  const isOver = (): boolean => {
    const state = cluster.leader?.view?.state;
    return state !== undefined && (what === 'pause' ? state.pause === null : !state.standby.includes(on));
  };
  const end = (tries: number): void => {
    // Asked at least once: the order may be on its way still.
    if (tries > MAX_TRIES || (tries > 1 && isOver())) return;
    cluster.leader?.order(what === 'pause' ? 'resume' : 'activate', on);
    world.after(300, () => end(tries + 1));
  };
  world.after(ms, () => end(0));
}

/** An operator who gets no answer, or does not wait for it, and asks again by the same id, of whoever leads then. */
function repeatOrder(cluster: Cluster, { id }: SimulatedNode, ms: number): void {
  const { world } = cluster;
  const order = {
    who: 'operator',
    requestId: `repeated-${id}-${Math.floor(world.now)}`,
    expectedEpoch: null,
  };
  const ask = (leftMs: number): void => {
    cluster.leader?.switchover(null, () => undefined, order);
    if (leftMs > 0) world.after(REPEATED_EVERY_MS, () => ask(leftMs - REPEATED_EVERY_MS));
  };
  ask(ms);
}

/** A new witness is added, promoted, and the old one removed, at whatever moment this is. */
function replaceWitness(cluster: Cluster): void {
  const { world } = cluster;
  const old = cluster.shape.members.find(({ witness }) => witness)?.id;
  if (old === undefined || cluster.members.includes(SPARE_WITNESS)) return;
  const spare = cluster.node(SPARE_WITNESS);
  spare.mayStart = true;
  if (spare.agent === null) spare.startAgent();
  const steps: Proposal[] = [
    { kind: 'add-learner', id: nodeId(SPARE_WITNESS), witness: true },
    { kind: 'promote', id: nodeId(SPARE_WITNESS) },
    { kind: 'remove', id: nodeId(old) },
  ];
  const next = (tries: number): void => {
    const [step] = steps;
    if (step === undefined || tries > MAX_TRIES) return;
    cluster.leader?.ask((_backend, agent) => {
      if (!('index' in agent.propose(step))) return;
      if (steps[0] === step) steps.shift();
      world.marks.add('membership-changes');
    });
    world.after(300, () => next(tries + 1));
  };
  next(0);
}
