/** Commit latency of three nodes as three processes on this machine, against its floor of the same run. */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeNetwork, releaseNetwork } from '../../cluster/local/node/index.ts';
import { deriveTiming, GENESIS, logIndex, makeEntry, nodeId, term } from '../../src/core/index.ts';
import { sha256 } from '../../src/log/index.ts';
import { createAuthority, issueNode } from '../../src/peer/index.ts';
import type { CommitReport, NodeTask } from './node.ts';

const LIMIT_MS = 60_000;
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

export async function benchCommit(script: string): Promise<CommitReport> {
  const network = await freeNetwork();
  const directory = mkdtempSync(join(tmpdir(), 'quorate-bench-'));
  const authority = await createAuthority('bench');
  const members = Object.fromEntries(IDS.map((id, index) => [id, `127.${network}.1.${index + 1}:7400`]));
  const children: ChildProcess[] = [];
  try {
    return await new Promise<CommitReport>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the commit benchmark did not end in time')), LIMIT_MS);
      let isMeasuring = false;
      for (const id of IDS) {
        const child = fork(script, ['--node'], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
        children.push(child);
        child.on('message', (message: { kind: string; report?: CommitReport; why?: string }) => {
          if (message.kind === 'up') {
            void issueNode(authority, id).then(({ certificate, key }) => {
              const tls = { ca: authority.certificate, cert: certificate, key };
              child.send({
                id,
                directory: join(directory, id),
                members,
                tls,
                first: firstEntry(),
              } satisfies NodeTask);
            });
          } else if (message.kind === 'leader' && !isMeasuring) {
            isMeasuring = true;
            child.send({ kind: 'measure' });
          } else if (message.kind === 'report' && message.report !== undefined) {
            clearTimeout(timer);
            resolve(message.report);
          } else if (message.kind === 'failed') reject(new Error(message.why));
        });
        child.once('exit', (code) => reject(new Error(`node ${id} of the benchmark ended with ${code}`)));
      }
    });
  } finally {
    for (const child of children) child.kill('SIGKILL');
    releaseNetwork(network);
    rmSync(directory, { recursive: true, force: true });
  }
}
