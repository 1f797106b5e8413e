/** A cluster's certificates, an agent that answers what it is told, and the admin service in front of it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AddMemberOrder,
  type AdminBackend,
  AdminServer,
  type AllowDropOrder,
  type CancelOrder,
  type FailoverOrder,
  type MemberOrder,
  type MembersDocument,
  type NodeStanding,
  type PauseOrder,
  type ReplicationDocument,
  type RestartOrder,
  type ScheduledSwitchover,
  type ScheduleOrder,
  type SettingsDocument,
  type SettingsOrder,
  type StandbyOrder,
  type StatusDocument,
  type SwitchoverOrder,
} from '../../src/admin/index.ts';
import { type Entry, logIndex, type NodeId, nodeId } from '../../src/core/index.ts';
import { QuorateError } from '../../src/errors.ts';
import type { Tap } from '../../src/inspect/index.ts';
import { createAuthority, issueClient, issueNode, type TlsMaterial } from '../../src/peer/index.ts';
import { FAILOVER } from '../state/story.ts';

export const STATUS: StatusDocument = {
  cluster: 'nas-prod',
  observer: 'a',
  term: 3,
  leader: 'a',
  holder: 'a',
  epoch: 8,
  quorum: true,
  paused: false,
  commitIndex: 8,
  chain: 'f'.repeat(64),
  nodes: [
    {
      id: 'a',
      kind: 'data',
      zone: 'us-east-1a',
      role: 'leader',
      reachable: true,
      matchIndex: 8,
      inSync: true,
      standby: false,
      chain: 'f'.repeat(64),
    },
    {
      id: 'b',
      kind: 'data',
      zone: null,
      role: 'unreachable',
      reachable: false,
      matchIndex: null,
      inSync: false,
      standby: false,
      chain: null,
    },
    {
      id: 'w',
      kind: 'witness',
      zone: 'us-east-1c',
      role: 'follower',
      reachable: true,
      matchIndex: 8,
      inSync: null,
      standby: false,
      chain: 'f'.repeat(64),
    },
  ],
  lease: { remainingMs: 412.5 },
  resources: [
    {
      name: 'block',
      kind: 'drbd',
      probe: 'held',
      detail: 'r0 is Primary, the peer is not connected, and this sentence goes on for long',
    },
    { name: 'eip', kind: 'elastic-ip', probe: 'unknown', detail: null },
  ],
  lastTakeover: {
    epoch: 8,
    reason: 'leader-silent',
    startedAt: '2026-01-02T03:04:14.718Z',
    steps: [{ name: 'block', ms: 31.4, result: 'ok' }],
    totalMs: 112,
  },
  scheduled: null,
  warnings: [],
  resync: [],
  replication: [],
};

/** One whose progress is known, and one of which DRBD tells nothing but that it runs. */
export const RESYNCS: StatusDocument['resync'] = [
  {
    ...{ resource: 'block', volume: 0, peer: 'b', role: 'source', paused: false },
    ...{ donePercent: 18.76, outOfSyncBytes: 54_484_992 },
  },
  {
    ...{ resource: 'block', volume: 1, peer: null, role: 'target', paused: true },
    ...{ donePercent: null, outOfSyncBytes: null },
  },
];

/** One that is sent, with everything that can be said of it; and one that was received. */
export const POOLS: StatusDocument['replication'] = [
  {
    ...{ pool: 'tank', role: 'source', peer: 'b', copy: 'up-to', upTo: '2026-01-02T03:04:00.000Z' },
    ...{ why: null, byItself: null, problem: null, conflicts: 1, late: 1, omitted: 0 },
    sending: [
      {
        ...{ dataset: 'tank/bulk', bytes: 1024 ** 3, totalBytes: 4 * 1024 ** 3 },
        bytesPerSecond: 64 * 1024 ** 2,
      },
      { dataset: 'tank/new', bytes: 4096, totalBytes: null, bytesPerSecond: null },
    ],
    trouble: [
      {
        ...{ dataset: 'tank/mail', kind: 'conflict' },
        why: 'b has @by-hand that a does not have, newer than the newest that both know: nothing is sent',
      },
      {
        ...{ dataset: 'tank/home', kind: 'late' },
        why: 'its copy is older than 3 periods: the next round sends what is newer',
      },
    ],
  },
  {
    ...{ pool: 'vault', role: 'target', peer: 'b', copy: 'up-to', upTo: '2026-01-02T03:00:00.000Z' },
    ...{ why: null, byItself: 'too-old', problem: null, sending: [], conflicts: 0, late: 0 },
    ...{ trouble: [], omitted: 0 },
  },
];

export const SCHEDULED: ScheduledSwitchover = {
  ...{ id: 17, to: 'b', epoch: 8, who: 'root', why: 'new switch' },
  ...{ at: '2026-01-03T02:00:00.000Z', until: '2026-01-03T02:01:00.000Z' },
  ...{ state: 'waiting', outcome: null, result: null },
};

export const REPLICATION: ReplicationDocument = {
  cluster: 'nas-prod',
  observer: 'a',
  holder: 'a',
  to: 'b',
  isSending: true,
  round: { number: 7, startedAt: Date.UTC(2026, 0, 2, 3, 4, 5), problem: null },
  datasets: [
    {
      dataset: 'tank/bulk',
      state: 'sending',
      why: 'sends @quorate-2026-01-02T03:04:00Z-8',
      common: null,
      periodMs: 3_600_000,
      progress: {
        snapshot: 'quorate-2026-01-02T03:04:00Z-8',
        bytes: 1024 ** 3,
        totalBytes: 4 * 1024 ** 3,
        bytesPerSecond: 64 * 1024 ** 2,
        startedAt: Date.UTC(2026, 0, 2, 3, 4, 5),
      },
      lastError: null,
      sentBytes: 0,
      failures: 0,
    },
    {
      dataset: 'tank/mail',
      state: 'conflict',
      why: 'b has @by-hand that a does not have, newer than the newest that both know: nothing is sent',
      common: { name: 's1', takenAt: null },
      periodMs: 60_000,
      progress: null,
      lastError: { at: Date.UTC(2026, 0, 2, 3, 0, 0), why: 'b: no space' },
      sentBytes: 4096,
      failures: 1,
    },
    {
      dataset: 'tank/home',
      state: 'current',
      why: 'the copy has everything',
      common: { name: 'quorate-2026-01-02T03:04:00Z-8', takenAt: Date.UTC(2026, 0, 2, 3, 4, 0) },
      periodMs: 60_000,
      progress: null,
      lastError: null,
      sentBytes: 5_000_000,
      failures: 0,
    },
  ],
  omitted: 0,
};

export const MEMBERS: MembersDocument = {
  cluster: 'nas-prod',
  observer: 'a',
  leader: 'a',
  configIndex: 7,
  members: [
    {
      ...{ id: 'a', kind: 'data', hasVote: true, snapshots: false, zone: 'us-east-1a' },
      ...{ address: '10.0.1.10:7400', inSync: true, answers: true, matchIndex: 8, hasLog: true },
    },
    {
      ...{ id: 'c', kind: 'data', hasVote: false, snapshots: false, zone: null },
      ...{ address: null, inSync: null, answers: false, matchIndex: 2, hasLog: false },
    },
  ],
  removed: ['b'],
  differences: ['b was removed, and the file still lists it'],
};

const VALUES = { heartbeatMs: 100, leaseMs: 600, releaseMs: 1000, watchdogMs: null, promiseMs: 1641.2 };
export const SETTINGS: SettingsDocument = {
  cluster: 'nas-prod',
  observer: 'a',
  timing: VALUES,
  goal: { ...VALUES, leaseMs: 900, promiseMs: 1944.2 },
  waitingFor: ['b has not written down the longer promise (L8)'],
  file: VALUES,
  differs: true,
};

export class FakeBackend implements AdminBackend {
  statusDocument: StatusDocument = STATUS;
  log: readonly Entry[] = FAILOVER;
  committed = FAILOVER.length;
  readonly asked: unknown[] = [];
  /** What the next request that changes something is answered with: an error, or never. */
  failure: Error | 'silence' | null = null;
  /** In mid-upgrade an order that moves something must say which epoch it ends. */
  needsEpoch = false;
  isWell = true;

  readonly listeners = new Set<() => void>();
  /** As the log says of each node; who is not here is a stranger. */
  readonly standings = new Map<string, NodeStanding>([
    ['a', 'self'],
    ['b', 'voter'],
  ]);

  standing(node: NodeId): NodeStanding {
    return this.standings.get(node) ?? 'stranger';
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }
  change(status: Partial<StatusDocument>): void {
    this.statusDocument = { ...this.statusDocument, ...status };
    for (const listener of this.listeners) listener();
  }
  status(): StatusDocument {
    return this.statusDocument;
  }
  entries(from: number, limit: number) {
    return { entries: this.log.slice(from - 1, from - 1 + limit), commitIndex: logIndex(this.committed) };
  }
  replication(): ReplicationDocument {
    return REPLICATION;
  }
  runReplication(dataset: string | null, who: string) {
    this.asked.push({ runReplication: dataset, who });
    if (this.failure instanceof Error) throw this.failure;
    return { round: 8 };
  }
  async allowDrop(request: AllowDropOrder) {
    this.asked.push({ allowDrop: request });
    await this.#fail();
    return { index: 27 };
  }
  async switchover(request: SwitchoverOrder) {
    this.asked.push(request);
    await this.#fail();
    this.#requireEpoch(request);
    const to = request.to ?? nodeId('b');
    const { dryRun } = request;
    const checks = [{ name: 'in sync', ok: true, detail: 'b is in sync' }];
    const steps = [{ name: 'release block', ms: dryRun ? 0 : 12, result: dryRun ? 'planned' : 'ok' }];
    return {
      dryRun,
      from: nodeId('a'),
      to,
      epoch: dryRun ? null : 11,
      totalMs: dryRun ? null : 48,
      steps,
      checks,
      alreadyDone: false,
      idNotInLog: false,
    };
  }
  async scheduleSwitchover(request: ScheduleOrder) {
    this.asked.push({ schedule: request });
    await this.#fail();
    const { to, dryRun, who, why } = request;
    const checks = [{ name: 'reachable', ok: false, detail: 'b does not answer' }];
    const schedule = { ...SCHEDULED, id: dryRun ? null : 17, to, who, why };
    return { dryRun, schedule, checks, alreadyDone: false };
  }
  async cancelSwitchover(request: CancelOrder) {
    this.asked.push({ cancel: request });
    await this.#fail();
    const end = { state: 'ended', outcome: 'cancelled', result: request.why } as const;
    return { schedule: { ...SCHEDULED, ...end }, alreadyDone: false };
  }
  async failover(request: FailoverOrder) {
    this.asked.push(request);
    await this.#fail();
    this.#requireEpoch(request);
    const { to, dryRun } = request;
    return {
      dryRun,
      to,
      mayLose: 'every write that a acknowledged since b left the in-sync set (entry 12)',
      forcedAt: dryRun ? null : 20,
      epoch: dryRun ? null : 23,
      totalMs: dryRun ? null : 310,
      steps: [{ name: dryRun ? 'b: acquire block' : 'block', ms: dryRun ? 0 : 35, result: 'at once' }],
      checks: [
        { name: 'out of sync', ok: true, detail: 'b is not in the in-sync set (a)' },
        { name: 'in-sync nodes away', ok: !dryRun, detail: 'a is in sync and answers' },
      ],
      alreadyDone: false,
      idNotInLog: false,
    };
  }
  #requireEpoch({ dryRun, expectedEpoch }: SwitchoverOrder | FailoverOrder): void {
    if (!this.needsEpoch || dryRun || expectedEpoch !== null) return;
    const violations = [{ type: 'EPOCH_NEEDED', subject: 'a', description: 'w is of an older version' }];
    throw new QuorateError('refused-unsafe', 'it was refused', { context: { violations } });
  }
  async pause(request: PauseOrder) {
    this.asked.push({ pause: request });
    await this.#fail();
    const since = { who: request.who, why: request.why, at: '2026-01-02T03:04:05.000Z' };
    return { paused: true, changed: true, index: 21, since, alreadyDone: false };
  }
  async restart(request: RestartOrder) {
    this.asked.push({ restart: request });
    await this.#fail();
    const checks = [{ name: 'settled', ok: true, detail: 'it holds, with a running lease' }];
    const { dryRun, withinMs } = request;
    return {
      ...{ dryRun, node: nodeId('a'), instance: 'k3', epoch: 9, withinMs: withinMs ?? 5_000 },
      ...{ index: dryRun ? null : 24, checks, alreadyDone: false },
    };
  }
  async resume(request: PauseOrder) {
    this.asked.push({ resume: request });
    await this.#fail();
    return { paused: false, changed: true, index: 22, since: null, alreadyDone: false };
  }
  async standby(request: StandbyOrder) {
    this.asked.push({ standby: request });
    await this.#fail();
    const isHolder = request.node === 'a';
    const moved = { from: nodeId('a'), to: nodeId('b'), dryRun: false, epoch: 26, totalMs: 50 };
    return {
      ...{ node: request.node, standby: true, changed: true, index: 23 },
      moved: isHolder ? { ...moved, steps: [], checks: [], alreadyDone: false, idNotInLog: false } : null,
      alreadyDone: false,
    };
  }
  async activate(request: StandbyOrder) {
    this.asked.push({ activate: request });
    await this.#fail();
    return {
      node: request.node,
      standby: false,
      changed: false,
      index: null,
      moved: null,
      alreadyDone: false,
    };
  }
  members(): MembersDocument {
    return MEMBERS;
  }
  async addMember(request: AddMemberOrder) {
    this.asked.push({ add: request });
    await this.#fail();
    return { node: request.node, index: 24, members: MEMBERS.members, alreadyDone: false };
  }
  async promoteMember(request: MemberOrder) {
    this.asked.push({ promote: request });
    await this.#fail();
    return { node: request.node, index: 25, members: MEMBERS.members, alreadyDone: false };
  }
  async removeMember(request: MemberOrder) {
    this.asked.push({ remove: request });
    await this.#fail();
    return { node: request.node, index: 26, members: MEMBERS.members, alreadyDone: true };
  }
  settings(): SettingsDocument {
    return SETTINGS;
  }
  async setSettings(request: SettingsOrder) {
    this.asked.push({ settings: request });
    await this.#fail();
    return { ...SETTINGS, changed: true, index: 27, alreadyDone: false };
  }
  async bootstrap(request: { inSync: readonly NodeId[]; who: string }): Promise<void> {
    this.asked.push(request);
    await this.#fail();
  }
  authority(): object {
    return { mayHold: false, tenure: null };
  }

  async fencePeer(peer: NodeId | null, who: string | null): Promise<'outdated'> {
    this.asked.push({ peer, who });
    await this.#fail();
    return 'outdated';
  }
  async #fail(): Promise<void> {
    if (this.failure === 'silence') await new Promise(() => {});
    if (this.failure instanceof Error) throw this.failure;
  }
}

export type Identities = Readonly<
  Record<'a' | 'b' | 'viewer' | 'operator' | 'admin' | 'stranger' | 'otherCluster' | 'renewed', TlsMaterial>
>;

export async function identities(): Promise<Identities> {
  const authority = await createAuthority('nas-prod');
  const other = await createAuthority('nas-test');
  const material = (from: typeof authority, pair: { certificate: string; key: string }): TlsMaterial => ({
    ca: from.certificate,
    cert: pair.certificate,
    key: pair.key,
  });
  const client = async (role: string) => material(authority, await issueClient(authority, role, 'alice', {}));
  const stranger = await issueNode(other, 'a', {});
  return {
    a: material(authority, await issueNode(authority, 'a', {})),
    b: material(authority, await issueNode(authority, 'b', {})),
    viewer: await client('viewer'),
    operator: await client('operator'),
    admin: await client('admin'),
    // Trusts the right CA, but is certified by another one.
    stranger: { ca: authority.certificate, cert: stranger.certificate, key: stranger.key },
    otherCluster: material(other, stranger),
    // Node a's, as it is after a renewal.
    renewed: material(authority, await issueNode(authority, 'a', {})),
  };
}

export interface FakeAgent {
  readonly backend: FakeBackend;
  readonly server: AdminServer;
  readonly address: string;
  /** Holds ca.pem, NAME.pem and NAME.key of every identity, and q.yaml, a config that leads to this agent. */
  readonly directory: string;
  close(): Promise<void>;
}

/** `tap`: what `Inspect` looks at; without it there is none. */
export async function startFakeAgent(known: Identities, tap?: Tap): Promise<FakeAgent> {
  const backend = new FakeBackend();
  const server = new AdminServer({
    ...{ listen: '127.0.0.1:0', cluster: 'nas-prod', tls: known.a, backend },
    isWell: () => backend.isWell,
    ...(tap && { tap }),
  });
  const address = `127.0.0.1:${await server.start()}`;
  const directory = mkdtempSync(join(tmpdir(), 'quorate-admin-'));
  mkdirSync(join(directory, 'state'));
  writeFileSync(join(directory, 'ca.pem'), known.a.ca);
  for (const [name, { cert, key }] of Object.entries(known)) {
    writeFileSync(join(directory, `${name}.pem`), cert);
    writeFileSync(join(directory, `${name}.key`), key);
  }
  writeFileSync(join(directory, 'q.yaml'), configText(address));
  return {
    backend,
    server,
    address,
    directory,
    async close() {
      await server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export const configText = (address: string): string => `cluster: nas-prod
node: a
data_dir: state   # relative to this file
members:
  a: {peer: 127.0.0.1:7400}
  b: {peer: 127.0.0.2:7400}
tls: {ca: ca.pem, cert: a.pem, key: a.key}
admin: {listen: "${address}"}
`;
