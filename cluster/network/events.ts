/** Everything that can happen to the holder, its cables and its agent. */
import type { Holder, NetworkCluster } from './cluster.ts';
import { median, outageMs } from './measure.ts';
import { now } from './probes/clock.ts';
import { isServedByAnother, type NetworkEvent, type Situation, sleep } from './stage.ts';

/** Longer than any promise, so that what must happen has happened. */
const CUT_MS = 3_000;
const MOVE_LIMIT_MS = 30_000;
/** What needs several failed repairs first (H6). */
const REPAIR_LIMIT_MS = 60_000;
const ONE_WAY_SERVICE_MS = 15_000;
const SLOW_MS = 60;
const TOO_SLOW_MS = 400;
const FLAPS = 20;
const FLAP_MS = 500;
const SWITCHOVERS = 50;
const HEALTHY_LIMIT_MS = 60_000;

const heal = ({ cluster }: Situation): Promise<void> => cluster.cuts.heal();
const nothing = async (): Promise<void> => {};

function event(
  name: string,
  expects: NetworkEvent['expects'],
  act: NetworkEvent['act'],
  options: Partial<NetworkEvent> = {},
): NetworkEvent {
  return {
    name,
    expects,
    act,
    repair: heal,
    isRepeated: false,
    isolates: false,
    lastsMs: expects === 'moves' ? MOVE_LIMIT_MS : CUT_MS,
    ...options,
  };
}

export const EVENTS: readonly NetworkEvent[] = [
  event('planned switchover', 'moves', ({ cluster, holder, notes }) => switchOver(cluster, holder, notes), {
    isRepeated: true,
    repair: nothing,
  }),
  event('killed agent', 'moves', async ({ cluster, holder }) => cluster.killAgent(holder.node), {
    isRepeated: true,
    repair: ({ cluster, holder }) => cluster.startAgent(holder.node),
  }),
  event('cut host', 'moves', ({ cluster, holder }) => cluster.cuts.unplug(holder.node), {
    isRepeated: true,
    isolates: true,
  }),
  event('power cut', 'moves', ({ cluster, holder }) => cluster.powerOff(holder.node), {
    isolates: true,
    repair: ({ cluster, holder }) => cluster.boot(holder.node),
  }),
  event('cut replication link', 'stays', async ({ cluster, holder, peer }) => {
    await Promise.all([cluster.cuts.between(holder.node, peer), cluster.cuts.between(peer, holder.node)]);
  }),
  event('cut replication port', 'moves', ({ cluster, holder }) => cluster.cuts.unplug(holder.node, 'eth0')),
  event('cut service link', 'moves', ({ cluster, holder }) => cluster.cuts.unplug(holder.node, 'eth1'), {
    lastsMs: REPAIR_LIMIT_MS,
    isolates: true,
  }),
  event('one-way cut: holder unheard', 'moves', async ({ cluster, holder }) => {
    await cluster.cuts.oneWay(holder.node, 'eth0', 'unheard');
  }),
  event('one-way cut: holder deaf', 'moves', async ({ cluster, holder }) => {
    await cluster.cuts.oneWay(holder.node, 'eth0', 'deaf');
  }),
  event('one-way cut: peer unheard', 'stays', async ({ cluster, holder, peer }) => {
    await cluster.cuts.between(peer, holder.node);
  }),
  event('one-way cut: service unheard', 'either', oneWayService('unheard'), { lastsMs: ONE_WAY_SERVICE_MS }),
  event('one-way cut: service deaf', 'either', oneWayService('deaf'), { lastsMs: ONE_WAY_SERVICE_MS }),
  event(`slow link (${SLOW_MS} ms each way)`, 'stays', ({ cluster, holder }) =>
    cluster.slow(holder.node, 'eth0', SLOW_MS),
  ),
  event(`too slow link (${TOO_SLOW_MS} ms each way)`, 'either', ({ cluster, holder }) =>
    cluster.slow(holder.node, 'eth0', TOO_SLOW_MS),
  ),
  flapping(FLAPS),
  switchovers(SWITCHOVERS),
];

/** The one with this name. */
export function eventNamed(name: string): NetworkEvent {
  const found = EVENTS.find((one) => one.name === name);
  if (found === undefined) throw new RangeError(`no event ${name}`);
  return found;
}

function oneWayService(way: 'unheard' | 'deaf'): NetworkEvent['act'] {
  return async ({ cluster, holder }) => {
    await cluster.cuts.oneWay(holder.node, 'eth1', way);
  };
}

/** A refusal, or an answer that did not come, is worth a note: what counts is who serves. */
async function switchOver(cluster: NetworkCluster, { node }: Holder, notes: string[]): Promise<void> {
  try {
    await cluster.switchover(node);
  } catch (error) {
    notes.push(`switchover: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The holder's replication cable, out and in again. */
export function flapping(flaps: number): NetworkEvent {
  const flap: NetworkEvent['act'] = async ({ cluster, holder }) => {
    for (let count = 0; count < flaps; count += 1) {
      await cluster.cuts.unplug(holder.node, 'eth0');
      await sleep(FLAP_MS);
      await cluster.cuts.plug(holder.node, 'eth0');
      await sleep(FLAP_MS);
    }
  };
  const seconds = (2 * FLAP_MS * flaps) / 1_000;
  return event(`flapping link (${flaps} flaps in ${seconds} s)`, 'either', flap, { lastsMs: 0 });
}

/** Each as soon as all is well after the one before. */
export function switchovers(times: number): NetworkEvent {
  const act: NetworkEvent['act'] = async ({ cluster, notes }) => {
    const outages: number[] = [];
    for (let count = 0; count < times; count += 1) {
      const holder = await cluster.healthy(HEALTHY_LIMIT_MS);
      const from = now();
      await switchOver(cluster, holder, notes);
      if (!(await isServedByAnother(cluster, holder, MOVE_LIMIT_MS)))
        notes.push(`no other node served after switchover ${count + 1}`);
      outages.push(outageMs(cluster.answers, 'udp', { from, to: now() }));
    }
    const longest = Math.max(...outages);
    const which = outages.indexOf(longest) + 1;
    notes.push(
      `median outage ${median(outages)?.toFixed(0)} ms, longest ${longest.toFixed(0)} ms (number ${which})`,
    );
  };
  return event(`${times} switchovers in a row`, 'either', act, { lastsMs: 0, repair: nothing });
}
