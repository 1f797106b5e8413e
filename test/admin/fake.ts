/** A cluster's certificates, an agent that answers what it is told, and the admin service in front of it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AdminBackend,
  AdminServer,
  type FailoverOrder,
  type PauseOrder,
  type RestartOrder,
  type StandbyOrder,
  type StatusDocument,
  type SwitchoverOrder,
} from '../../src/admin/index.ts';
import { type Entry, logIndex, type NodeId, nodeId } from '../../src/core/index.ts';
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
};

export class FakeBackend implements AdminBackend {
  statusDocument: StatusDocument = STATUS;
  log: readonly Entry[] = FAILOVER;
  committed = FAILOVER.length;
  readonly asked: unknown[] = [];
  /** What the next request that changes something is answered with: an error, or never. */
  failure: Error | 'silence' | null = null;
  isWell = true;

  status(): StatusDocument {
    return this.statusDocument;
  }
  entries(from: number, limit: number) {
    return { entries: this.log.slice(from - 1, from - 1 + limit), commitIndex: logIndex(this.committed) };
  }
  async switchover(request: SwitchoverOrder) {
    this.asked.push(request);
    await this.#fail();
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
    };
  }
  async failover(request: FailoverOrder) {
    this.asked.push(request);
    await this.#fail();
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
    };
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
      moved: isHolder ? { ...moved, steps: [], checks: [], alreadyDone: false } : null,
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
  async bootstrap(request: { inSync: readonly NodeId[]; who: string }): Promise<void> {
    this.asked.push(request);
    await this.#fail();
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
  Record<'a' | 'viewer' | 'operator' | 'admin' | 'stranger' | 'otherCluster', TlsMaterial>
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
    viewer: await client('viewer'),
    operator: await client('operator'),
    admin: await client('admin'),
    // Trusts the right CA, but is certified by another one.
    stranger: { ca: authority.certificate, cert: stranger.certificate, key: stranger.key },
    otherCluster: material(other, stranger),
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
