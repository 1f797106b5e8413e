/**
 * How long `quorate audit` takes for a log of 100,000 entries: to read them as they come from an agent, with their hashes, to
 * replay them, and to make the page of it.
 */
import { renderPage } from '../../src/cli/audit-page/index.ts';
import {
  deriveTiming,
  type Entry,
  type EntryBody,
  type Epoch,
  GENESIS,
  logIndex,
  makeEntry,
  nodeId,
  term,
} from '../../src/core/index.ts';
import { parseEntry, sha256 } from '../../src/log/index.ts';
import { audit, auditParts } from '../../src/state/index.ts';
import { quantile } from './floor.ts';

const ENTRIES = 100_000;
const RUNS = 3;
const HOUR_MS = 3_600_000;

interface Spread {
  readonly medianMs: number;
  readonly worstMs: number;
  /** Of the processor alone, median: what a busy machine does not add to. */
  readonly cpuMs: number;
  readonly runs: number;
}
export interface AuditBench {
  readonly entries: number;
  readonly read: Spread;
  readonly replay: Spread;
  readonly page: Spread;
}

export function benchAudit(): AuditBench {
  const texts = makeLog().map((entry) => JSON.stringify(entry));
  const read: Measured[] = [];
  const replay: Measured[] = [];
  const page: Measured[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const entries = measured(read, () => texts.map((text) => parseEntry(JSON.parse(text), sha256)));
    const document = measured(replay, () => audit(entries, sha256));
    measured(page, () => renderPage(auditParts(entries, document), 'bench'));
    if (document.violations.length > 0) throw new Error('the log of the benchmark breaks a rule');
  }
  return { entries: ENTRIES, read: spread(read), replay: spread(replay), page: spread(page) };
}

interface Measured {
  readonly wallMs: number;
  readonly cpuMs: number;
}

function measured<Result>(into: Measured[], work: () => Result): Result {
  const cpu = process.cpuUsage();
  const began = performance.now();
  const result = work();
  const { user, system } = process.cpuUsage(cpu);
  into.push({ wallMs: performance.now() - began, cpuMs: (user + system) / 1000 });
  return result;
}

function spread(times: readonly Measured[]): Spread {
  const wall = times.map(({ wallMs }) => wallMs);
  const cpu = times.map(({ cpuMs }) => cpuMs);
  return {
    ...{ medianMs: quantile(wall, 0.5), worstMs: Math.max(...wall) },
    ...{ cpuMs: quantile(cpu, 0.5), runs: times.length },
  };
}

/** Two nodes in turns, an hour each: an election, a grant, a takeover and a release. */
function makeLog(): Entry[] {
  const ids = [nodeId('a'), nodeId('b'), nodeId('w')] as const;
  const [first, second, witness] = ids;
  const entries: Entry[] = [];
  const add = (ownTerm: number, body: EntryBody): number => {
    const index = logIndex(entries.length + 1);
    entries.push(makeEntry(sha256, index, term(ownTerm), entries.at(-1)?.hash ?? GENESIS, body));
    return index;
  };
  const timing = deriveTiming({
    ...{ heartbeatMs: 100, leaseMs: 600, releaseMs: 1000, guardMs: 25 },
    ...{ watchdogTimeoutMs: null, clockErrorRate: 0.005 },
  });
  const members = ids.map((id) => ({ id, witness: id === witness, learner: false }));
  add(0, { kind: 'config', cluster: 'bench', members, removed: [], timing, inSync: [first, second] });
  for (let turn = 1; entries.length < ENTRIES; turn += 1) {
    const node = turn % 2 === 1 ? first : second;
    const at = 1_767_225_600_000 + turn * HOUR_MS;
    const why = { reason: 'leader-silent', detectMs: 1600, electMs: 12, caretaker: false } as const;
    add(turn, { kind: 'elected', leader: node, votes: [node, witness], ...why, at });
    const epoch = add(turn, { kind: 'tenure-granted', node, at: at + 20 }) as Epoch;
    const steps = [{ name: 'block', ms: 40, result: 'ok' }];
    add(turn, { kind: 'takeover-done', epoch, node, ok: true, totalMs: 46, steps, at: at + 70 });
    const end = { reason: 'switchover', evidence: 'r0 is Secondary', successor: null } as const;
    add(turn, { kind: 'tenure-released', epoch, node, ...end, at: at + HOUR_MS - 100 });
  }
  return entries.slice(0, ENTRIES);
}
