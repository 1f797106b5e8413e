/** One seed of random drops, delays, cuts, pauses, crashes, disk trouble and operators, then peace: a hundred lines that find most mistakes. */
import type { TestConfig } from './core-under-test.ts';
import { corruptEntry } from './core-under-test.ts';
import { CALM, pair, ROUGH, VirtualCluster } from './virtual-cluster.ts';

const SHAPES: TestConfig['members'][] = [
  [{ id: 'a' }, { id: 'b' }, { id: 'w', witness: true }],
  [{ id: 'a' }, { id: 'b' }, { id: 'w', witness: true }],
  [{ id: 'a' }, { id: 'b' }, { id: 'c' }],
  [{ id: 'a' }, { id: 'b' }],
  [{ id: 'a' }, { id: 'b' }, { id: 'c' }, { id: 'd' }, { id: 'w', witness: true }],
];

export interface ChaosResult {
  readonly tenures: number;
  readonly marks: ReadonlySet<string>;
  readonly story: readonly string[];
}

export function chaos(seed: number, chaosMs = 15_000): ChaosResult {
  const members = SHAPES[seed % SHAPES.length] ?? [];
  const cluster = new VirtualCluster(pair({ seed, members }), ROUGH);
  const marks = new Set<string>();
  let notes = 0;
  const ids = members.map(({ id }) => id);
  const pick = () => ids[Math.floor(cluster.random() * ids.length)] ?? '';
  const chance = (share: number) => cluster.random() < share;
  const isUp = (id: string) => cluster.hosts.get(id)?.node !== null;
  const end = cluster.now + chaosMs;

  /** O3: whoever holds takes the others out and dies, and an operator forces whoever leads, for a while. */
  const bereave = (reboot: (minimumMs: number, of: string) => void) => {
    const [holder] = cluster.holders;
    if (holder === undefined || !isUp(holder)) return;
    for (const peer of ids)
      cluster.act(holder, (node, now) => node.propose({ kind: 'peer-outdated', peer }, now));
    cluster.at(150, () => {
      if (!isUp(holder)) return;
      cluster.crash(holder, 'keep', 'dies');
      reboot(5_000, holder);
    });
    const force = (triesLeft: number) => {
      const { leader } = cluster;
      if (leader !== null && isUp(leader) && cluster.now >= cluster.host(leader).pausedUntil) {
        const order = { kind: 'forced', node: leader } as const;
        if (cluster.act(leader, (node, now) => node.propose(order, now)) === 'accepted') marks.add('forced');
      }
      if (triesLeft > 0) cluster.at(300, () => force(triesLeft - 1));
    };
    cluster.at(500, () => force(20));
  };
  const disturb = () => {
    const id = pick();
    const kind = cluster.random();
    const reboot = (minimumMs: number, of = id) => {
      const again = () =>
        cluster.host(of).holds ? cluster.at(50, again) : cluster.host(of).node === null && cluster.boot(of);
      cluster.at(minimumMs + cluster.random() * 2_000, again);
    };
    if (kind < 0.2) {
      cluster.cut(id, pick(), chance(0.5));
      cluster.at(cluster.random() * 3_000, () => cluster.heal());
    } else if (kind < 0.35 && isUp(id)) {
      const executor = chance(0.5) ? 'dies' : 'releases';
      if (executor === 'releases' && cluster.host(id).holds) marks.add('agent of a holder dies');
      cluster.crash(id, chance(0.5) ? 'lose' : { keep: 1 }, executor);
      // Never so many that the rest is no quorum (D2).
      if (seed % 7 === 0 && ids.length > 2 && id === ids[0] && chance(0.4)) {
        try {
          corruptEntry(cluster.host(id).disk, 2 + Math.floor(cluster.random() * 6));
          marks.add('a disk is damaged');
        } catch {
          // the log was shorter
        }
      }
      reboot(executor === 'dies' ? 100 : 0);
    } else if (kind < 0.55 && isUp(id)) {
      cluster.pause(id, cluster.random() * 2_000);
    } else if (kind < 0.7 && isUp(id)) {
      const to = pick();
      cluster.act(id, (node, now) => node.transfer(to, now));
      marks.add('transfer asked');
    } else if (kind < 0.8 && isUp(id)) {
      cluster.fsyncPaused.add(id);
      cluster.at(cluster.random() * 1_000, () => {
        cluster.fsyncPaused.delete(id);
        if (isUp(id)) cluster.act(id, (node, now) => node.advance(now));
      });
    } else if (kind < 0.9 && isUp(id)) {
      const peer = pick();
      const command = chance(0.5) ? 'peer-outdated' : 'peer-in-sync';
      const answer = cluster.act(id, (node, now) => node.propose({ kind: command, peer }, now));
      if (answer === 'accepted') marks.add(command);
    } else if (chance(0.5) && isUp(id)) {
      cluster.act(id, (node, now) => node.campaign(now));
    } else bereave(reboot);
    if (cluster.now < end) cluster.at(cluster.random() * 600, disturb);
  };
  const write = () => {
    const { leader } = cluster;
    if (leader !== null && isUp(leader) && cluster.now >= cluster.host(leader).pausedUntil) {
      notes += 1;
      cluster.act(leader, (node, now) => node.propose({ kind: 'note', text: `n${notes}` }, now));
    }
    if (cluster.now < end) cluster.at(20 + cluster.random() * 100, write);
  };
  cluster.at(500, disturb);
  cluster.at(500, write);
  cluster.run(chaosMs + 5_000);

  // Liveness: peace for everybody; somebody must hold, unless no in-sync data node has come through whole.
  cluster.heal();
  cluster.faults = CALM;
  for (const id of ids)
    if (!isUp(id)) cluster.until('released', () => !cluster.host(id).holds) >= 0 && cluster.boot(id);
  for (const id of ids) cluster.fsyncPaused.delete(id);
  for (const id of ids) cluster.act(id, (node, now) => node.advance(now));
  cluster.until(
    'one holder again',
    () => cluster.holders.length === 1 && cluster.leader === cluster.holders[0],
  );
  const chains = () => new Set(ids.map((id) => cluster.node(id).observe().chain));
  cluster.until('equal logs', () => chains().size === 1);
  const [first] = ids;
  for (const { kind } of cluster.node(first ?? '').observe().entries) marks.add(kind);
  const tenures = cluster.story.filter((line) => line.includes('holds epoch')).length;
  return { tenures, marks, story: cluster.story };
}
