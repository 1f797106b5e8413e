/** Commit latency of three nodes as three processes on this machine, against its floor of the same run. */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeNetwork, releaseNetwork } from '../../cluster/local/node/index.ts';
import { deriveTiming, GENESIS, logIndex, makeEntry, nodeId, term } from '../../src/core/index.ts';
import { sha256 } from '../../src/log/index.ts';
import { createAuthority, issueNode } from '../../src/peer/index.ts';
import type { CommitReport, DiskFloor, NodeTask } from './node.ts';

const LIMIT_MS = 120_000;
const IDS = ['a', 'b', 'w'] as const;

function firstEntry() {
  const members = IDS.map((id) => ({ id: nodeId(id), witness: id === 'w', learner: false }));
  const timing = deriveTiming({
    heartbeatMs: 100,
    leaseMs: 400,
    releaseMs: 100,
    guardMs: 25,
    watchdogTimeoutMs: null,
    clockErrorRate: 0.005,
  });
  const inSync = members.filter(({ witness }) => !witness).map(({ id }) => id);
  return makeEntry(sha256, logIndex(1), term(0), GENESIS, {
    kind: 'config',
    members,
    removed: [],
    timing,
    inSync,
    cluster: 'bench',
  });
}

export interface CommitBench extends CommitReport {
  /** The same disk work by all three nodes at once, as a commit makes them do it on one machine's one disk. */
  readonly together: DiskFloor;
  /** With one follower stopped: two nodes still commit, and on two cores each has one to itself, as on a machine of its own. */
  readonly two: CommitReport;
}

type FromNode =
  | { readonly kind: 'up' | 'leader' }
  | { readonly kind: 'floor'; readonly report: DiskFloor }
  | { readonly kind: 'report'; readonly report: CommitReport }
  | { readonly kind: 'failed'; readonly why: string };

export async function benchCommit(script: string): Promise<CommitBench> {
  const network = await freeNetwork();
  const directory = mkdtempSync(join(tmpdir(), 'quorate-bench-'));
  const authority = await createAuthority('bench');
  const members = Object.fromEntries(IDS.map((id, index) => [id, `127.${network}.1.${index + 1}:7400`]));
  const children = new Map(
    IDS.map((id) => [id, fork(script, ['--node'], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })]),
  );
  const timer = setTimeout(() => {
    for (const child of children.values()) child.kill('SIGKILL');
  }, LIMIT_MS);
  try {
    const leading = Promise.race([...children].map(([id, child]) => heard(child, 'leader').then(() => id)));
    const up = new Map([...children].map(([id, child]) => [id, heard(child, 'up')]));
    for (const [id, child] of children) {
      await up.get(id);
      const { certificate, key } = await issueNode(authority, id);
      const tls = { ca: authority.certificate, cert: certificate, key };
      child.send({
        id,
        directory: join(directory, id),
        members,
        tls,
        first: firstEntry(),
      } satisfies NodeTask);
    }
    const leaderId = await leading;
    const leader = children.get(leaderId);
    if (leader === undefined) throw new Error('no leader');
    const floors = [...children.values()].map((child) => heard(child, 'floor'));
    for (const child of children.values()) child.send({ kind: 'floor' });
    const together = await Promise.all(floors);
    const measure = async (): Promise<CommitReport> => {
      const report = heard(leader, 'report');
      leader.send({ kind: 'measure' });
      return (await report).report;
    };
    const three = await measure();
    // The leader measures its round trips with the first of the others.
    const [, last = ''] = IDS.filter((id) => id !== leaderId);
    children.get(last as (typeof IDS)[number])?.kill('SIGSTOP');
    const two = await measure();
    const mean = (of: (floor: DiskFloor) => number) =>
      together.reduce((sum, { report: floor }) => sum + of(floor), 0) / together.length;
    return {
      ...three,
      two,
      together: { batch: mean((floor) => floor.batch), sync: mean((floor) => floor.sync) },
    };
  } finally {
    clearTimeout(timer);
    for (const child of children.values()) child.kill('SIGKILL');
    releaseNetwork(network);
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The next message of this kind; rejects when the node fails or ends. */
function heard<Kind extends FromNode['kind']>(
  child: ChildProcess,
  kind: Kind,
): Promise<Extract<FromNode, { kind: Kind }>> {
  const message = new Promise<Extract<FromNode, { kind: Kind }>>((resolve, reject) => {
    child.on('message', (message: FromNode) => {
      if (message.kind === kind) resolve(message as Extract<FromNode, { kind: Kind }>);
      else if (message.kind === 'failed') reject(new Error(message.why));
    });
    child.once('exit', (code) => reject(new Error(`a node of the benchmark ended (${code})`)));
  });
  message.catch(() => {}); // the end of all nodes is the end of the benchmark, not an error
  return message;
}
