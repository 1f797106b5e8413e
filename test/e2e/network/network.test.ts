/**
 * A short set of events on real kernels, in network namespaces: never two at once, the address ends where the holder is,
 * the client is served again. How long it takes is for `npm run network`. Alone on the machine: it runs in real time.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NetworkCluster } from '../../../cluster/network/cluster.ts';
import { ipBatch } from '../../../cluster/network/commands.ts';
import { eventNamed, flapping, switchovers } from '../../../cluster/network/events.ts';
import { FAULT_SWITCHES } from '../../../cluster/network/faults.ts';
import { whyNoNetwork } from '../../../cluster/network/namespaces.ts';
import { now } from '../../../cluster/network/probes/clock.ts';
import { measure, type NetworkEvent, seen } from '../../../cluster/network/stage.ts';
import { TestNetwork } from '../../../cluster/network/test-network.ts';
import { DATA_NODES, type TopologyKind } from '../../../cluster/network/topology.ts';
import { BUILT_LIMIT_MS, type Built, built } from '../support/built.ts';
import { eventually } from '../support/eventually.ts';

const why = await whyNoNetwork();
if (why !== null) console.info(`The tests of real networks are skipped: ${why}.`);

const START_LIMIT_MS = 60_000;
const EVENT_LIMIT_MS = 120_000;

let program: Built;
beforeAll(async () => {
  if (why === null) program = await built();
}, BUILT_LIMIT_MS);
afterAll(() => program?.remove());

const namespacesOf = (pid: number): string[] =>
  readdirSync('/run/netns').filter((name) => name.startsWith(`quorate-${pid}-`));

describe.skipIf(why !== null)('real networks', () => {
  describe.each<{ kind: TopologyKind; events: readonly NetworkEvent[] }>([
    {
      kind: 'flat',
      events: [
        eventNamed('planned switchover'),
        eventNamed('killed agent'),
        eventNamed('cut host'),
        eventNamed('cut replication link'),
        eventNamed('cut service link'),
        eventNamed('one-way cut: holder unheard'),
        eventNamed('one-way cut: holder deaf'),
        flapping(4),
      ],
    },
    {
      kind: 'cloud',
      events: [
        eventNamed('planned switchover'),
        eventNamed('killed agent'),
        eventNamed('cut host'),
        eventNamed('power cut'),
        eventNamed('slow link (60 ms each way)'),
        switchovers(5),
      ],
    },
  ])('$kind', ({ kind, events }) => {
    let cluster: NetworkCluster;
    beforeAll(async () => {
      cluster = await NetworkCluster.create({ kind, dist: program.dist, seed: 1 });
    }, START_LIMIT_MS);
    afterAll(() => cluster?.stop());

    it.each(events)(
      '$name',
      async (event) => {
        const readings = cluster.readings;
        await expectSafe(cluster, event);
        // Must not pass by not having looked.
        expect(cluster.readings).toBeGreaterThan(readings);
      },
      EVENT_LIMIT_MS,
    );

    it.each(kind === 'cloud' ? FAULT_SWITCHES : [])(
      'the address ends where the holder is: $name',
      async ({ faults, lateMs }) => {
        await cluster.setFaults(faults);
        await expectSafe(cluster, eventNamed('planned switchover'), lateMs);
        await expectSafe(cluster, eventNamed('killed agent'), lateMs);
        await cluster.setFaults({});
      },
      EVENT_LIMIT_MS,
    );

    it('the log keeps the rules', async () => {
      const { exit, stdout, stderr } = await cluster.quorate('w', ['audit', '--json', '--verify']);
      expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
      expect(JSON.parse(stdout)).toMatchObject({ chain: { ok: true }, violations: [] });
    });
  });

  it('sees an address that two kernels have, and who answers on it', async () => {
    const network = new TestNetwork({ kind: 'flat', dist: program.dist }, DATA_NODES, () => []);
    try {
      await network.build();
      for (const id of DATA_NODES) await network.node(id).boot();
      const from = now();
      const add = (id: 'a' | 'b') =>
        ipBatch(network.namespaces.name(id), [`addr add ${network.topology.service}/24 dev eth1`]);
      await add('b');
      await eventually('b answers', () => network.answering() === 'b', 10_000);
      expect(seen(network, { from, to: now() }, from)).toMatchObject({ bothAnsweredMs: 0, bothHeldMs: 0 });
      await add('a');
      await eventually('the sampler says both', () => network.samples.at(-1)?.isBoth === true, 10_000);
      expect(seen(network, { from, to: now() + 1 }, from).bothHeldMs).toBeGreaterThan(0);
    } finally {
      await network.stop();
    }
    expect(namespacesOf(process.pid)).toEqual([]);
  }, 60_000);

  it('leaves nothing behind, not even when it is killed outright', async () => {
    const words = [join(program.dist, 'network.mjs'), '--only', 'flat', '--only', 'planned', '--runs', '1'];
    const child = spawn(process.execPath, words, { stdio: 'ignore' });
    const pid = child.pid ?? 0;
    await eventually('its namespaces are there', () => namespacesOf(pid).length > 2, 30_000);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await eventually('its namespaces are gone', () => namespacesOf(pid).length === 0, 20_000);
  }, 60_000);
});

async function expectSafe(cluster: NetworkCluster, event: NetworkEvent, lateMs = 0): Promise<void> {
  const measured = await measure(cluster, event, { lateMs });
  console.info(
    `${cluster.topology.kind}: ${event.name}: outage ${measured.outageMs.toFixed(0)} ms ${measured.note}`,
  );
  expect(measured).toMatchObject({ bothAnsweredMs: 0, bothHeldMs: 0, isWrong: false });
  if (event.expects === 'moves') expect(measured.to).not.toBe(measured.from);
}
