/** Idle cost and failover times of a whole local cluster: agents, executors, stand-ins for DRBD and the cloud. */
import { readFileSync } from 'node:fs';
import { LocalCluster } from '../../cluster/local/cluster.ts';
import { auditOf, type DemoEvent, EVENTS, healthy, type Stage } from '../../cluster/local/demo/scenario.ts';
import { Writer } from '../../cluster/local/demo/writer.ts';
import { findProcesses } from '../../cluster/local/node/index.ts';
import { quantile } from './floor.ts';

const IDLE_MS = 30_000;
/** USER_HZ is 100 on every Linux that Node supports. */
const MS_PER_TICK = 10;

export interface IdleReport {
  readonly node: string;
  /** Agent and executor together. */
  readonly cpuPercent: number;
  readonly pssMb: number;
  /** CPU time per heartbeat round, µs: an upper bound, everything that idles is in it. */
  readonly heartbeatUs: number;
}
export interface ClusterReport {
  readonly idle: readonly IdleReport[];
  readonly failover: FailoverReport | null;
}
export interface FailoverReport {
  readonly promiseMs: number;
  readonly electMs: number;
  readonly switchover: Spread;
  readonly agentKilled: Spread;
  readonly powerCut: Spread;
}
interface Spread {
  readonly medianMs: number;
  readonly worstMs: number;
  readonly runs: number;
}

/** For 30 s after a takeover the address is read every second (O2): that is no idling yet. */
export const SETTLE_S = 40;

/** @param wanted `runs` 0: no failovers; `settleS`: how long after the takeover idling begins */
export async function benchCluster(
  dist: string,
  wanted: { readonly idle: boolean; readonly settleS: number; readonly runs: number },
  say: (text: string) => void,
): Promise<ClusterReport> {
  const cluster = await LocalCluster.create({ seed: 1, dist, watchdog: { timeoutMs: 400, bootMs: 3_000 } });
  try {
    const stage: Stage = { cluster, writer: new Writer(cluster.serviceAddress, 1), say };
    await healthy(stage);
    if (wanted.idle) {
      say(`waiting ${wanted.settleS} s, then idle for ${IDLE_MS / 1_000} s`);
      await new Promise((resolve) => setTimeout(resolve, wanted.settleS * 1_000));
    }
    const idle = wanted.idle ? await idleCost(cluster) : [];
    return { idle, failover: wanted.runs > 0 ? await failovers(stage, wanted.runs) : null };
  } finally {
    await cluster.stop();
  }
}

async function failovers(stage: Stage, runs: number): Promise<FailoverReport> {
  stage.writer.start();
  const outages = new Map<string, number[]>();
  for (let run = 0; run < runs; run += 1) {
    for (const event of EVENTS.slice(0, 3)) {
      const { name, outageMs }: DemoEvent = await event(stage);
      outages.set(name, [...(outages.get(name) ?? []), outageMs]);
    }
  }
  await stage.writer.stop();
  const { terms } = await auditOf(stage, 'w');
  const spread = (name: string): Spread => {
    const times = outages.get(name) ?? [];
    return { medianMs: quantile(times, 0.5), worstMs: Math.max(...times), runs: times.length };
  };
  return {
    promiseMs: promiseOf(stage.cluster),
    electMs: quantile(
      terms.map(({ electMs }) => electMs ?? 0),
      0.5,
    ),
    switchover: spread('planned switchover'),
    agentKilled: spread('agent killed'),
    powerCut: spread('power cut'),
  };
}

/** From the log's own first entry, not from a formula here. */
function promiseOf(cluster: LocalCluster): number {
  const text = readFileSync(cluster.node('w').logFile('agent'), 'utf8');
  return Number(/"promiseMs":([0-9.]+)/.exec(text)?.[1] ?? Number.NaN);
}

/** Agents and executors of all nodes. */
export function nodePids(cluster: LocalCluster): ReadonlyMap<number, 'agent' | 'executor'> {
  const all = [...cluster.nodes.values()].flatMap((node) => findProcesses(node.tag));
  return new Map(
    all.flatMap((pid): [number, 'agent' | 'executor'][] => {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (/executor\.mjs/.test(command)) return [[pid, 'executor']];
      // Not the commands that a node runs now and then.
      return /quorate\.mjs\0agent\0/.test(command) ? [[pid, 'agent']] : [];
    }),
  );
}

async function idleCost(cluster: LocalCluster): Promise<IdleReport[]> {
  const pids = new Map(
    [...cluster.nodes].map(([id, node]) => [
      id,
      findProcesses(node.tag).filter((pid) =>
        /(quorate|executor|spawn-helper)\.mjs/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8')),
      ),
    ]),
  );
  const cpu = (id: string) => (pids.get(id) ?? []).reduce((sum, pid) => sum + cpuMs(pid), 0);
  const before = new Map([...pids.keys()].map((id) => [id, cpu(id)]));
  const began = performance.now();
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const elapsed = performance.now() - began;
  return [...pids.keys()].map((node) => {
    const usedMs = cpu(node) - (before.get(node) ?? 0);
    return {
      node,
      cpuPercent: (100 * usedMs) / elapsed,
      pssMb: (pids.get(node) ?? []).reduce((sum, pid) => sum + pssKb(pid), 0) / 1_024,
      heartbeatUs: (1_000 * usedMs) / (elapsed / 100),
    };
  });
}

function cpuMs(pid: number): number {
  // Fields behind the command, which may contain anything: utime and stime are the 12th and 13th of them.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

export function pssKb(pid: number): number {
  return Number(
    /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? Number.NaN,
  );
}
