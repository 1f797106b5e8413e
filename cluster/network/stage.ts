/** One event: what is done, what the client and the kernels see from then until all is well again. */
import type { Holder, NetworkCluster } from './cluster.ts';
import { bothHeldMs, interleavedMs, outageMs, type Span } from './measure.ts';
import { now } from './probes/clock.ts';
import type { TestNetwork } from './test-network.ts';
import { peerOf } from './topology.ts';

export interface Measured {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  /** The longest time in which a client that asks every 10 ms, by UDP and by new TCP connections, got no answer. */
  readonly outageMs: number;
  /** Two hosts answered, or could have: both kernels had the address while both were plugged in. */
  readonly bothAnsweredMs: number;
  /** Both kernels had the address, whether or not anybody could reach them. Ours never may. */
  readonly bothHeldMs: number;
  /** The outage of each target. */
  readonly outages: Readonly<Record<string, number>>;
  /** The address did not end where the holder is. */
  readonly isWrong: boolean;
  readonly note: string;
}

export interface Situation {
  readonly cluster: NetworkCluster;
  /** Before the event. */
  readonly holder: Holder;
  readonly peer: 'a' | 'b';
  /** For the event's own remarks. */
  readonly notes: string[];
}

export interface NetworkEvent {
  readonly name: string;
  /** Of the repetitions that make a median. */
  readonly isRepeated: boolean;
  /** `moves`, `either`: it lasts until another node serves, but not longer than `lastsMs`; `stays`: for `lastsMs`. */
  readonly expects: 'moves' | 'stays' | 'either';
  readonly lastsMs: number;
  /** Nobody can reach the holder meanwhile, whatever its kernel has. */
  readonly isolates: boolean;
  readonly act: (situation: Situation) => Promise<void>;
  readonly repair: (situation: Situation) => Promise<void>;
}

const HEALTHY_LIMIT_MS = 90_000;
/** What follows a repair belongs to the event too. */
const SETTLE_MS = 300;
const HEARTBEAT_MS = 100;
const POLL_MS = 20;

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Rejects where nothing more can be measured: the cluster did not become healthy before the event. */
export async function measure(
  cluster: NetworkCluster,
  event: NetworkEvent,
  options: { readonly lateMs: number } = { lateMs: 0 },
): Promise<Measured> {
  const holder = await cluster.healthy(HEALTHY_LIMIT_MS);
  cluster.forget();
  // Not always at the same instant of the heartbeat.
  await sleep(Math.random() * HEARTBEAT_MS);
  const situation: Situation = { cluster, holder, peer: peerOf(holder.node), notes: [] };
  const from = now();
  await event.act(situation);
  if (event.expects === 'stays') await sleep(event.lastsMs);
  else if (!(await isServedByAnother(cluster, holder, event.lastsMs)) && event.expects === 'moves')
    situation.notes.push(`no other node served within ${event.lastsMs / 1_000} s`);
  await sleep(SETTLE_MS);
  const repairedAt = now();
  await event.repair(situation);
  const end = await settled(cluster, options.lateMs, situation.notes);
  await sleep(SETTLE_MS);
  const span = { from, to: now() };
  if (event.expects === 'stays' && end.node !== holder.node) situation.notes.push('moved, and need not have');
  return {
    name: event.name,
    from: holder.node,
    to: end.node ?? '-',
    ...seen(cluster, span, event.isolates ? repairedAt : from),
    isWrong: end.isWrong,
    note: situation.notes.join('; '),
  };
}

/** `reachableFrom`: the instant from which both hosts could be reached. */
export function seen(
  network: TestNetwork,
  span: Span,
  reachableFrom: number,
): Pick<Measured, 'outageMs' | 'bothAnsweredMs' | 'bothHeldMs' | 'outages'> {
  const outages = Object.fromEntries(
    network.targets.map(({ name }) => [name, outageMs(network.answers, name, span)]),
  );
  const held = bothHeldMs(network.samples, { ...span, from: reachableFrom });
  return {
    outages,
    outageMs: Math.max(...Object.values(outages)),
    bothAnsweredMs: Math.max(interleavedMs(network.answers, span), held),
    bothHeldMs: bothHeldMs(network.samples, span),
  };
}

/** By the client's own word alone: questions to the agents would cost them time. */
export async function isServedByAnother(
  cluster: NetworkCluster,
  before: Holder,
  limitMs: number,
): Promise<boolean> {
  const deadline = now() + limitMs;
  while (now() < deadline) {
    if ((cluster.answering() ?? before.node) !== before.node) return true;
    await sleep(POLL_MS);
  }
  return false;
}

/**
 * The cluster healthy, and the cloud leading to the holder, still so after `lateMs`: what was sent before may be executed
 * late (O2).
 */
async function settled(
  cluster: NetworkCluster,
  lateMs: number,
  notes: string[],
): Promise<{ readonly node: string | null; readonly isWrong: boolean }> {
  let node: string | null = null;
  const rest = async (): Promise<void> => {
    const holder = await cluster.healthy(HEALTHY_LIMIT_MS);
    node = holder.node;
    if (cluster.topology.kind === 'cloud')
      await cluster.waitFor('the cloud leads to the holder', () => leadsTo(cluster, holder.node), 60_000);
  };
  try {
    await rest();
    if (lateMs > 0) {
      await sleep(lateMs);
      await rest();
    }
    return { node, isWrong: false };
  } catch (error) {
    notes.push(error instanceof Error ? error.message : String(error));
    return { node, isWrong: true };
  }
}

async function leadsTo(cluster: NetworkCluster, node: string): Promise<boolean> {
  const { elasticIp, overlay } = await cluster.cloudLeadsTo();
  return elasticIp === node && overlay === node;
}
