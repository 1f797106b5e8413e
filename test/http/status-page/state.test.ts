/** The state document: what is told, and that nothing is told that this node does not know now. */
import { describe, expect, it } from 'vitest';
import { epoch, instant, nodeId } from '../../../src/core/index.ts';
import type { RoleFacts, StatusFacts } from '../../../src/http/index.ts';
import { type News, newsOf } from '../../../src/http/status-page/index.ts';
import { POOLS, RESYNCS, SCHEDULED } from '../../admin/fake.ts';
import { HOLDER, L, NOW, STANDBY } from '../facts.ts';
import { PROCESS } from '../metric-facts.ts';
import { statusFacts, TAKEOVERS, WALL } from './status-facts.ts';

const told = (facts: StatusFacts): News => newsOf(facts, PROCESS);
const stateOf = (facts: StatusFacts) => told(facts).state;
const warned = (facts: StatusFacts): string[] => stateOf(facts).warnings.map(({ key }) => key);
const withRole = (role: RoleFacts, facts: Partial<StatusFacts> = {}) =>
  statusFacts({
    metrics: { role },
    status: { observer: role.node },
    facts: { answering: null, ...facts },
  });

describe('who holds', () => {
  it('the leader of the open tenure, since its grant', () => {
    expect(stateOf(statusFacts()).holding).toEqual({
      ...{ kind: 'held', node: 'a', epoch: 8, since: '2026-01-08T05:01:44.020Z', isTaken: true },
    });
    const { holding } = stateOf(withRole(STANDBY));
    expect(holding).toMatchObject({ kind: 'held', node: 'a' });
  });

  it.each([
    ['a leader whose lease is over', { ...HOLDER, leaseUntil: null }],
    ['a leader whose lease ends within the guard', { ...HOLDER, leaseUntil: instant(NOW + 20) }],
    ['a follower whose leader is silent for L', following(L)],
    ['a follower of nobody', { ...STANDBY, following: null }],
    ['a candidate', { ...STANDBY, role: 'candidate' as const, following: null }],
  ])('is not known to %s, whatever the log says', (_who, role) => {
    const facts = withRole(role);
    const { holding, leader, quorum } = stateOf(facts);
    expect(holding).toMatchObject({ kind: 'unknown', last: { node: 'a', epoch: 8 } });
    expect(leader).toBeNull();
    if (role.role !== 'leader') expect(quorum).toBeNull();
    expect(warned(facts)).toContain('unknown');
  });

  it('a follower still knows it a moment before', () => {
    expect(stateOf(withRole(following(L - 1))).holding).toMatchObject({ kind: 'held', node: 'a' });
  });

  it('nobody, while a newer leader has no tenure: the old one is over (L2)', () => {
    const role = { ...STANDBY, following: { leader: nodeId('b'), heardAt: instant(NOW - 1) } };
    const facts = withRole({ ...role, node: nodeId('w') });
    expect(stateOf(facts).holding).toMatchObject({ kind: 'nobody', why: expect.stringContaining('b leads') });
    expect(warned(facts)).toContain('nobody');
    expect(stateOf(withRole({ ...STANDBY, tenure: null }, { tenure: null })).holding.kind).toBe('nobody');
  });

  it.each([
    ['is taking over', { held: { epoch: epoch(8), isComplete: false } }, { kind: 'held', isTaken: false }],
    ['is letting go', { executor: 'releasing' as const }, { kind: 'releasing', node: 'a', epoch: 8 }],
    ['has let go', { held: null }, { kind: 'nobody', why: expect.stringContaining('holds nothing') }],
    [
      'has lost its executor',
      { executor: 'lost' as const },
      { kind: 'unknown', why: expect.stringContaining('no connection to the executor'), last: { node: 'a' } },
    ],
    ['is not sure', { executor: 'unverified' as const }, { kind: 'unknown' }],
  ])('the holder itself %s, whatever the log says', (_what, change, expected) => {
    expect(stateOf(withRole({ ...HOLDER, ...change })).holding).toMatchObject(expected);
  });

  it('another is taking over until the log says that it has', () => {
    const facts = withRole(STANDBY, { tenure: { grantedAt: null, isTaken: false } });
    expect(stateOf(facts).holding).toMatchObject({ kind: 'held', isTaken: false, since: null });
  });

  it('before the first entry: not known, and the one warning says what to do', () => {
    const facts = withRole({ ...STANDBY, kind: null, following: null, tenure: null });
    const empty = { ...facts, status: { ...facts.status, nodes: [] }, tenure: null };
    expect(stateOf(empty).holding).toMatchObject({ kind: 'unknown', last: null });
    expect(stateOf(empty).warnings).toMatchObject([{ key: 'new', severity: 'bad' }]);
  });
});

describe('nodes', () => {
  const of = (facts: StatusFacts, id: string) => stateOf(facts).nodes.find((node) => node.id === id);

  it('of the leader: links, answers, mirror and lag', () => {
    const base = statusFacts();
    const [a, b, w] = base.status.nodes;
    if (a === undefined || b === undefined || w === undefined) throw new Error('three');
    const facts = statusFacts({
      status: { nodes: [a, { ...b, reachable: null, matchIndex: 9 }, { ...w, matchIndex: 99 }] },
      facts: { answering: ['b'] },
    });
    expect(of(facts, 'a')).toMatchObject({ link: 'self', answers: null, mirror: null, lagEntries: 0 });
    // Not known to be reachable is not reachable.
    expect(of(facts, 'b')).toMatchObject({
      ...{ link: 'down', answers: true, mirror: 'in-sync', lagEntries: 3 },
    });
    expect(of(facts, 'w')).toMatchObject({ link: 'up', answers: false, mirror: null, lagEntries: 0 });
    expect(warned(facts)).toEqual(expect.arrayContaining(['link-b', 'silent-w']));
  });

  it('of a follower: nothing about the lag of others, and no roles without a leader', () => {
    const base = statusFacts();
    const nodes = base.status.nodes.map((node) => ({ ...node, matchIndex: node.id === 'b' ? 12 : null }));
    const heard = { ...withRole(STANDBY), status: { ...base.status, observer: 'b', nodes } };
    expect(of(heard, 'w')).toMatchObject({ role: 'follower', lagEntries: null, answers: null });
    expect(of(heard, 'b')).toMatchObject({ link: 'self', lagEntries: 0 });
    const silent = { ...heard, metrics: { ...heard.metrics, role: following(5_000) } };
    expect(of(silent, 'a')?.role).toBeNull();
    expect(of(silent, 'w')?.role).toBeNull();
  });
});

describe('resources', () => {
  it('are not known where the executor has told nothing or is gone', () => {
    const facts = statusFacts({ metrics: { probes: null } });
    expect(stateOf(facts)).toMatchObject({ resources: null, ioSuspended: null });
    expect(stateOf(facts).nodes[1]?.mirror).toBeNull();
    expect(warned(facts)).toContain('unread');
  });

  it('that are not held, or not known to be, are a warning to the holder only', () => {
    const resources = [
      { name: 'eip', kind: 'elastic-ip', probe: 'unknown' as const, detail: 'throttled' },
      { name: 'nfs', kind: 'service', probe: 'not-held' as const, detail: 'x'.repeat(900) },
    ];
    const facts = statusFacts({ status: { resources } });
    expect(warned(facts)).toEqual(['resource-nfs', 'resource-eip']);
    expect(stateOf(facts).resources?.[1]?.detail).toHaveLength(300);
    const standby = withRole(STANDBY);
    expect(warned({ ...standby, status: { ...standby.status, resources } })).toEqual([]);
  });

  it('without a mirror nothing is said of one', () => {
    const resources = [{ name: 'nfs', kind: 'service', probe: 'held' as const, detail: null }];
    const { disk, nodes } = stateOf(statusFacts({ status: { resources } }));
    expect(disk).toBeNull();
    expect(nodes.map(({ mirror }) => mirror)).toEqual([null, null, null]);
  });

  it('a witness has no disk', () => {
    expect(stateOf(withRole({ ...STANDBY, kind: 'witness' })).disk).toBeNull();
    expect(stateOf(withRole({ ...STANDBY, disk: 'unknown' })).disk).toBe('unknown');
  });
});

describe('warnings', () => {
  it('none where all is well', () => {
    expect(warned(statusFacts())).toEqual([]);
    expect(warned(withRole(STANDBY))).toEqual([]);
  });

  it('a switchover at a later time is shown as the log has it, its text cut', () => {
    const facts = statusFacts({ status: { scheduled: { ...SCHEDULED, result: 'x'.repeat(1_000) } } });
    const { scheduled } = newsOf(facts, PROCESS).state;
    expect(scheduled).toMatchObject({ id: 17, to: 'b', at: SCHEDULED.at, state: 'waiting' });
    expect(scheduled?.result?.length).toBe(300);
    expect(newsOf(statusFacts(), PROCESS).state.scheduled).toBeNull();
  });

  it('resyncs are shown as they are told, and not from an executor that is lost', () => {
    expect(newsOf(statusFacts(), PROCESS).state.resync).toEqual([]);
    expect(newsOf(statusFacts({ status: { resync: RESYNCS } }), PROCESS).state.resync).toEqual(RESYNCS);
    const lost = statusFacts({ status: { resync: RESYNCS }, metrics: { probes: null } });
    expect(newsOf(lost, PROCESS).state.resync).toEqual([]);
  });

  it('pools that snapshots keep alike: as they are told, their sentences cut, and what is wrong as warnings', () => {
    expect(stateOf(statusFacts()).replication).toEqual([]);
    const facts = statusFacts({ status: { replication: POOLS } });
    expect(stateOf(facts).replication).toEqual(POOLS);
    expect(warned(facts)).toEqual(['conflict-tank', 'late-tank', 'loss-vault']);
    const [sent, received] = POOLS;
    if (sent === undefined || received === undefined) throw new Error('two pools');
    const why = 'x'.repeat(1_000);
    const long = {
      ...sent,
      why,
      problem: why,
      trouble: [{ dataset: 'tank/mail', kind: 'failed' as const, why }],
    };
    const [cut] = stateOf(statusFacts({ status: { replication: [long] } })).replication;
    expect([cut?.why, cut?.problem, cut?.trouble[0]?.why].map((text) => text?.length)).toEqual([
      300, 300, 300,
    ]);
    // What the config wants, and what has failed once, is no warning.
    const well = { ...sent, conflicts: 0, late: 0 };
    for (const byItself of ['never', 'yes', null] as const)
      expect(warned(statusFacts({ status: { replication: [well, { ...received, byItself }] } }))).toEqual([]);
  });

  it('what is worst comes first', () => {
    const base = statusFacts();
    const nodes = base.status.nodes.map((node) => (node.id === 'b' ? { ...node, inSync: false } : node));
    const facts = statusFacts({
      status: { nodes, paused: true, quorum: false },
      metrics: {
        role: { ...HOLDER, disk: 'failed', log: 'stalled', degraded: ['nfs: no'], executor: 'ready' },
        probes: { peers: { b: 'not-in-sync' }, ioSuspended: true, resources: [] },
      },
      facts: { failedChecks: ['clock: 3 s apart'], takeovers: TAKEOVERS.slice(0, 3) },
    });
    expect(warned(facts)).toEqual([
      ...['quorum', 'health', 'disk', 'suspended', 'redundancy', 'degraded-0'],
      ...['failed-11', 'check-clock: 3 s apart', 'outdated-b', 'paused'],
    ]);
  });

  it('the mirror of a node that is still in the set', () => {
    const probes = { peers: { b: 'not-in-sync' as const }, ioSuspended: false, resources: [] };
    expect(warned(statusFacts({ metrics: { probes } }))).toEqual(['mirror-b']);
    // Not read is not broken.
    const unknown = { ...probes, peers: { b: 'unknown' as const } };
    expect(warned(statusFacts({ metrics: { probes: unknown } }))).toEqual([]);
  });

  it('certificates thirty days ahead', () => {
    const at = (wallMs: number) => stateOf(statusFacts({ facts: { wallMs } })).warnings;
    const end = PROCESS.certificates.node;
    expect(at(end - 30 * 86_400_000)).toEqual([]);
    expect(at(end - 30 * 86_400_000 + 1)).toMatchObject([{ key: 'certificate-node', severity: 'warning' }]);
    expect(at(end)).toMatchObject([{ severity: 'bad', text: expect.stringContaining('has expired') }]);
  });
});

describe('what changes by itself', () => {
  it('is in the pulse, and not in the state', () => {
    const later = 7_000;
    const role = { ...HOLDER, now: instant(NOW + later), leaseUntil: instant(NOW + later + 90) };
    const [before, after] = [
      told(statusFacts()),
      told(statusFacts({ metrics: { role }, facts: { wallMs: WALL + later } })),
    ];
    expect(after.state).toEqual(before.state);
    expect(before.pulse).toEqual({
      ...{ at: '2026-01-08T09:10:11.000Z', clockMs: NOW, leaseRemainingMs: 412.5, leaderHeardMs: null },
    });
    expect(after.pulse).toMatchObject({ clockMs: NOW + later, leaseRemainingMs: 90 });
    expect(told(withRole(following(40))).pulse).toMatchObject({ leaseRemainingMs: null, leaderHeardMs: 40 });
  });

  it('takeovers come newest first, with what a stranger wrote cut short', () => {
    const [first] = TAKEOVERS;
    if (first === undefined) throw new Error('none');
    const long = { ...first, epoch: 30, steps: [{ name: 'nfs', ms: 1, result: 'y'.repeat(900) }] };
    const { takeovers } = stateOf(statusFacts({ facts: { takeovers: [...TAKEOVERS, long] } }));
    expect(takeovers.map(({ epoch: one }) => one)).toEqual([30, 23, 18, 11, 8, 3]);
    expect(takeovers[0]?.steps[0]?.result).toHaveLength(300);
  });
});

function following(silentMs: number): RoleFacts {
  return {
    ...STANDBY,
    tenure: { node: nodeId('a'), epoch: epoch(8) },
    following: { leader: nodeId('a'), heardAt: instant(NOW - silentMs) },
  };
}
