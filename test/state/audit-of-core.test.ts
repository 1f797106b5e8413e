/** The logs that our own core writes under faults must pass the audit: a false alarm is as bad as a missed one. */
import { expect, it } from 'vitest';
import type { Entry } from '../../src/core/index.ts';
import { recover, type StoredLog, sha256 } from '../../src/log/index.ts';
import { audit } from '../../src/state/index.ts';
import { CALM, pair, ROUGH, VirtualCluster } from '../support/virtual-cluster.ts';

const SEEDS = 40;
const ROUNDS = 40;

function logOf(disk: unknown): readonly Entry[] {
  return recover((disk as { stored: StoredLog }).stored, sha256).entries;
}

/** Crashes, cuts, transfers and H3's proposals at random, then peace until somebody holds. */
function troubled(seed: number): VirtualCluster {
  const cluster = new VirtualCluster(pair({ seed }), ROUGH);
  const ids = [...cluster.hosts.keys()];
  const pick = (): string => ids[Math.floor(cluster.random() * ids.length)] ?? '';
  const isUp = (id: string): boolean => cluster.hosts.get(id)?.node !== null;
  const bootAll = (): void => {
    for (const id of ids) if (!isUp(id) && !cluster.host(id).holds) cluster.boot(id);
  };
  for (let round = 0; round < ROUNDS; round++) {
    const id = pick();
    const kind = cluster.random();
    if (kind < 0.25 && isUp(id)) cluster.crash(id, 'keep', kind < 0.12 ? 'dies' : 'releases');
    else if (kind < 0.5) cluster.cut(id, pick(), kind < 0.4);
    else if (kind < 0.7 && isUp(id)) cluster.act(id, (node, now) => node.transfer(pick(), now));
    else if (isUp(id)) {
      const command = {
        kind: kind < 0.85 ? ('peer-outdated' as const) : ('peer-in-sync' as const),
        peer: pick(),
      };
      cluster.act(id, (node, now) => node.propose(command, now));
    }
    cluster.run(cluster.random() * 1500);
    if (cluster.random() < 0.5) cluster.heal();
    if (cluster.random() < 0.7) bootAll();
  }
  cluster.heal();
  cluster.faults = CALM;
  cluster.until('all up', () => {
    bootAll();
    return ids.every(isUp);
  });
  cluster.until('one holder', () => cluster.holders.length === 1 && cluster.leader === cluster.holders[0]);
  return cluster;
}

it(`${SEEDS} troubled clusters leave logs without a violation`, { timeout: 120_000 }, () => {
  let tenures = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    for (const { disk } of troubled(seed).hosts.values()) {
      const document = audit(logOf(disk), sha256);
      expect({ seed, violations: document.violations }).toEqual({ seed, violations: [] });
      expect(document.chain.ok).toBe(true);
      tenures += document.tenures.length;
    }
  }
  expect(tenures).toBeGreaterThan(SEEDS * 3 * 2);
});
