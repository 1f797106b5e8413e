/**
 * What the replication costs: how fast a stream is by each channel beside a plain pipe, and whether agents and executors of a cluster on
 * the same machine feel it, by the delay of their heartbeats and their memory.
 */
import { LocalCluster } from '../../../cluster/local/cluster.ts';
import { healthy } from '../../../cluster/local/demo/scenario.ts';
import { Writer } from '../../../cluster/local/demo/writer.ts';
import { nodePids, pssKb } from '../cluster.ts';
import { quantile } from '../floor.ts';
import { BenchHosts, type Way } from './hosts.ts';
import { plainly, sendBy } from './streams.ts';

export { runSender } from './streams.ts';

const GIB = 1024 ** 3;
const IDLE_MS = 20_000;
/** Idle and sending take turns, so that a machine that is busy for a while is busy for both. */
const TURNS = 3;

export interface WayReport {
  readonly way: Way;
  readonly bytes: number;
  readonly mibPerSecond: number;
  readonly plainMibPerSecond: number;
  /** From a heartbeat that left the holder until its answer, of both peers. */
  readonly idle: Delays;
  readonly sending: Delays;
  /** How far the memory (PSS) of the agent and of the executor that grew most has grown while 1 GiB passed. */
  readonly agentGrewMib: number;
  readonly executorGrewMib: number;
}
interface Delays {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly count: number;
}
export interface ReplicationBench {
  readonly ways: readonly WayReport[];
  /** Why there is no SSH in it; null: there is. */
  readonly withoutSsh: string | null;
}

export async function benchReplication(
  dist: string,
  script: string,
  say: (text: string) => void,
): Promise<ReplicationBench> {
  const hosts = new BenchHosts(dist);
  // A long lease: on a busy machine a short one would be lost, and the heartbeats of a takeover are others.
  const cluster = await LocalCluster.create({
    ...{ seed: 1, dist, timing: { leaseMs: 3_000, releaseMs: 3_000 } },
    watchdog: { timeoutMs: 3_000, bootMs: 3_000 },
  });
  try {
    await hosts.start();
    await healthy({ cluster, writer: new Writer(cluster.serviceAddress, 1), say });
    const ways: WayReport[] = [];
    for (const way of hosts.hasSsh ? (['grpc', 'ssh'] as const) : (['grpc'] as const)) {
      say(`1 GiB by ${way}, ${TURNS} times, and heartbeats meanwhile`);
      ways.push(await measure(cluster, hosts, script, way));
    }
    return { ways, withoutSsh: hosts.hasSsh ? null : 'sshd is not installed (Debian: openssh-server)' };
  } finally {
    await cluster.stop();
    await hosts.stop();
  }
}

async function measure(
  cluster: LocalCluster,
  hosts: BenchHosts,
  script: string,
  way: Way,
): Promise<WayReport> {
  const holder = (await cluster.status('a')).holder ?? 'a';
  const pids = nodePids(cluster);
  if (pids.size !== 2 * cluster.nodes.size)
    throw new Error(`${pids.size} agents and executors run, not two on each node`);
  const [idle, sending]: [number[], number[]] = [[], []];
  const [sent, plain]: [number[], number[]] = [[], []];
  const grew = { agent: 0, executor: 0 };
  // Everything is loaded once before it counts.
  await sendBy(hosts, script, way, 1024 ** 2);
  for (let turn = 0; turn < TURNS; turn++) {
    idle.push(
      ...(await delays(cluster, holder, () => new Promise((resolve) => setTimeout(resolve, IDLE_MS)))),
    );
    plain.push(await plainly(hosts, way, GIB));
    const before = memory(pids);
    const peak = watchMemory(pids);
    sending.push(
      ...(await delays(cluster, holder, async () => {
        sent.push(await sendBy(hosts, script, way, GIB));
      })),
    );
    const most = peak();
    for (const [key, { kind, kb }] of before)
      grew[kind] = Math.max(grew[kind], ((most.get(key)?.kb ?? kb) - kb) / 1024);
  }
  const rate = (times: readonly number[]): number => GIB / 1024 ** 2 / (quantile(times, 0.5) / 1000);
  return {
    ...{ way, bytes: GIB, mibPerSecond: rate(sent), plainMibPerSecond: rate(plain) },
    ...{ idle: delaysOf(idle), sending: delaysOf(sending) },
    ...{ agentGrewMib: grew.agent, executorGrewMib: grew.executor },
  };
}

const delaysOf = (values: readonly number[]): Delays => ({
  p50Ms: quantile(values, 0.5),
  p99Ms: quantile(values, 0.99),
  count: values.length,
});

/** While `work` runs. */
async function delays(
  cluster: LocalCluster,
  holder: string,
  work: () => Promise<unknown>,
): Promise<number[]> {
  const over = new AbortController();
  const found: number[] = [];
  const filter = { peers: [], kinds: ['heartbeat-ack'], direction: 'received', slowerThanMs: 0 };
  const reading = (async () => {
    try {
      for await (const { items } of cluster.inspect(holder, filter, over.signal))
        for (const item of items)
          if (!('dropped' in item) && item.latencyMs !== null) found.push(item.latencyMs);
    } catch (error) {
      if (!over.signal.aborted) throw error;
    }
  })();
  try {
    await work();
  } finally {
    over.abort();
    await reading;
  }
  if (found.length === 0) throw new Error('no heartbeat was seen');
  return found;
}

type Kind = 'agent' | 'executor';
type Memory = ReadonlyMap<number, { readonly kind: Kind; readonly kb: number }>;

/** A node that is started anew meanwhile has other processes: then nothing was measured. */
function memory(pids: ReadonlyMap<number, Kind>): Memory {
  return new Map(
    [...pids].map(([pid, kind]) => {
      try {
        return [pid, { kind, kb: pssKb(pid) }];
      } catch (error) {
        throw new Error(`an ${kind} has ended while it was measured: is the machine too busy?`, {
          cause: error,
        });
      }
    }),
  );
}

const MEMORY_POLL_MS = 500;

/** The most of each, until what it returns is called. */
function watchMemory(pids: ReadonlyMap<number, Kind>): () => Memory {
  let most = memory(pids);
  let failure: unknown = null;
  const look = (): void => {
    try {
      const now = memory(pids);
      most = new Map(
        [...most].map(([pid, one]) => [pid, { ...one, kb: Math.max(one.kb, now.get(pid)?.kb ?? 0) }]),
      );
    } catch (error) {
      failure = error;
    }
  };
  const timer = setInterval(look, MEMORY_POLL_MS);
  return () => {
    clearInterval(timer);
    look();
    if (failure !== null) throw failure;
    return most;
  };
}
