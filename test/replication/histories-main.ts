/**
 * `npm run sim -- --histories N [--first-seed N] [--workers N] [--json]`: N random histories of two pools, and what they were made of. Exits 1 with the first history that loses a snapshot, made small, and the seed that makes it again.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { history, runHistory } from './history.ts';

/** Of one run of fast-check, which knows all of them at once. */
const BATCH = 500;
const PROGRESS_MS = 10_000;

interface Batch {
  readonly seed: number;
  readonly runs: number;
}
type Outcome = { readonly counts: readonly (readonly [string, number])[]; readonly failure: string | null };

function runBatch({ seed, runs }: Batch): Outcome {
  const counts = new Map<string, number>();
  const property = fc.property(history, fc.boolean(), (events, isCalmThere) => {
    const own = new Map<string, number>();
    runHistory(events, isCalmThere, (what) => own.set(what, (own.get(what) ?? 0) + 1));
    // Only of those that came to their end: what a search for the smallest failure does is none of them.
    for (const [what, count] of own) counts.set(what, (counts.get(what) ?? 0) + count);
    counts.set('histories', (counts.get('histories') ?? 0) + 1);
    if (isCalmThere)
      counts.set(
        'histories without anybody on the other side',
        (counts.get('histories without anybody on the other side') ?? 0) + 1,
      );
  });
  const details = fc.check(property, { seed, numRuns: runs });
  const failure = details.failed ? (fc.defaultReportMessage(details) ?? 'failed') : null;
  return { counts: [...counts], failure };
}

async function main(): Promise<number> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: {
      histories: text,
      'first-seed': text,
      workers: text,
      json: { type: 'boolean', default: false },
    },
  });
  const whole = (name: string, value: string): number => {
    const number = Number(value);
    if (Number.isSafeInteger(number) && number > 0 && number <= 100_000_000) return number;
    throw new RangeError(`--${name} takes a whole number from 1 on, not ${value}`);
  };
  const total = whole('histories', values.histories ?? '');
  const first = whole('first-seed', values['first-seed'] ?? '1');
  const workers = whole('workers', values.workers ?? String(availableParallelism()));
  const batches = Array.from(
    { length: Math.ceil(total / BATCH) },
    (_, at): Batch => ({ seed: first + at, runs: Math.min(BATCH, total - at * BATCH) }),
  );
  const began = performance.now();
  const counts = new Map<string, number>();
  const failures: string[] = [];
  let next = 0;
  // What was found until then is told: a search that is ended is not one for nothing.
  let isEnded = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      isEnded = true;
    });
  let saidAt = began;
  const work = async (): Promise<void> => {
    const worker = new Worker(new URL(import.meta.url));
    try {
      for (
        let batch = batches[next++];
        batch !== undefined && failures.length === 0 && !isEnded;
        batch = batches[next++]
      ) {
        const outcome = await new Promise<Outcome>((resolve, reject) => {
          // The error first: it ends with the answer, and not by removing all, which a worker does not survive.
          worker.once('error', reject);
          worker.once('message', (said: Outcome) => {
            worker.off('error', reject);
            resolve(said);
          });
          worker.postMessage(batch);
        });
        for (const [what, count] of outcome.counts) counts.set(what, (counts.get(what) ?? 0) + count);
        if (outcome.failure !== null) failures.push(outcome.failure);
        if (performance.now() - saidAt < PROGRESS_MS) continue;
        saidAt = performance.now();
        process.stderr.write(`${counts.get('histories') ?? 0} of ${total} histories\n`);
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.min(workers, batches.length) }, work));
  const seconds = (performance.now() - began) / 1000;
  const sorted = [...counts].toSorted(([left], [right]) => (left < right ? -1 : 1));
  if (values.json)
    process.stdout.write(`${JSON.stringify({ seconds, counts: Object.fromEntries(sorted), failures })}\n`);
  else {
    for (const [what, count] of sorted) process.stdout.write(`${String(count).padStart(10)}  ${what}\n`);
    for (const failure of failures) process.stdout.write(`\n${failure}\n`);
    const said =
      failures.length === 0 ? 'no snapshot was destroyed or became unreachable by replication' : 'FAILED';
    process.stdout.write(`${counts.get('histories') ?? 0} histories in ${seconds.toFixed(0)} s: ${said}\n`);
  }
  return failures.length === 0 ? 0 : 1;
}

if (isMainThread) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof RangeError) && !(error instanceof TypeError)) throw error;
    process.stderr.write(`sim: ${error.message}\n`);
    process.exitCode = 2;
  }
} else parentPort?.on('message', (batch: Batch) => parentPort?.postMessage(runBatch(batch)));
