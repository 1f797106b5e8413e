/**
 * `npm run sim -- [options]`
 *
 *     --seed N          this seed alone, with its story
 *     --first N         the first seed (1)
 *     --seeds N         how many (100)
 *     --minutes N       as many as this takes, instead of --seeds
 *     --profile NAME    one profile for all, instead of taking turns
 *     --without RULE    one rule switched off (switches.mjs)
 *     --switches [RULE…] every rule switched off in turn, until it is caught: the table of docs/testing.md
 *     --stop-first      end with the first violation
 *     --workers N       how many threads (one for each core)
 *     --verbose         with --seed: also what agents and executors log
 *     --json            one document on stdout
 *
 * Exits 0 without a violation, 1 with one, 2 for words that it does not know.
 */
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { allMarks } from './marks.ts';
import { PROFILES } from './profiles.ts';
import { ProgressBar, type Report, tellFailure, tellReport } from './report.ts';
import { type RunOptions, runSeed } from './run.ts';
import { shrink } from './shrink.ts';
import { type Summary, summarise } from './summary.ts';

/** Failures that are told in full; of the others only the seed. */
const MAX_TOLD = 3;

function work(): void {
  const port = parentPort;
  port?.on(
    'message',
    (options: RunOptions) => void summarise(options).then((summary) => port.postMessage(summary)),
  );
}

interface Words {
  readonly seed: number | null;
  readonly first: number;
  readonly seeds: number;
  /** `performance.now()` after which no further seed begins. */
  readonly endsAt: number | null;
  readonly profile: string | null;
  readonly workers: number;
  readonly stopsFirst: boolean;
  readonly isVerbose: boolean;
  readonly isJson: boolean;
}

function readWords(): Words {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    options: {
      seed: text,
      first: text,
      seeds: text,
      minutes: text,
      profile: text,
      workers: text,
      'stop-first': flag,
      verbose: flag,
      json: flag,
    },
  });
  const whole = (name: string, value: string | undefined, otherwise: number): number => {
    const number = value === undefined ? otherwise : Number(value);
    if (!Number.isSafeInteger(number) || number < 1)
      throw new RangeError(`--${name} takes a whole number from 1 on, not ${value}`);
    return number;
  };
  if (values.profile !== undefined && !(values.profile in PROFILES))
    throw new RangeError(`--profile ${values.profile}: there are ${Object.keys(PROFILES).join(', ')}`);
  const minutes = values.minutes === undefined ? null : Number(values.minutes);
  if (minutes !== null && !(minutes > 0)) throw new RangeError('--minutes takes a number above 0');
  return {
    seed: values.seed === undefined ? null : whole('seed', values.seed, 1),
    first: whole('first', values.first, 1),
    seeds: minutes === null ? whole('seeds', values.seeds, 100) : Number.MAX_SAFE_INTEGER,
    endsAt: minutes === null ? null : performance.now() + minutes * 60_000,
    profile: values.profile ?? null,
    workers: whole('workers', values.workers, availableParallelism()),
    stopsFirst: values['stop-first'],
    isVerbose: values.verbose,
    isJson: values.json,
  };
}

async function runOne({ seed, profile, isVerbose, isJson }: Words): Promise<number> {
  const result = await runSeed({ seed: seed ?? 1, profile, isVerbose });
  const { violation, healedMs, acknowledged, tenures, simulatedMs, hash, story } = result;
  if (isJson) process.stdout.write(`${JSON.stringify({ ...result, marks: [...result.marks].sort() })}\n`);
  else {
    const end =
      violation === null
        ? `well ${((healedMs ?? 0) / 1000).toFixed(1)} s after the last fault`
        : `${violation.rule}: ${violation.what}`;
    const figures = `${acknowledged} writes acknowledged, ${tenures} tenures, ${(simulatedMs / 1000).toFixed(1)} s, hash ${hash}`;
    process.stdout.write(`${story.join('\n')}\n\n${end}\n${figures}\n`);
  }
  return violation === null ? 0 : 1;
}

/** In the order of the seeds, whichever worker was first. */
async function runMany(words: Words): Promise<Summary[]> {
  const summaries: Summary[] = [];
  const bar = new ProgressBar();
  const last = words.first + words.seeds - 1;
  let next = words.first;
  let simulated = 0;
  let violations = 0;
  const mayGoOn = (): boolean =>
    next <= last &&
    !(words.endsAt !== null && performance.now() >= words.endsAt) &&
    !(words.stopsFirst && violations > 0);
  const workers = Array.from({ length: Math.min(words.workers, words.seeds) }, () => {
    const worker = new Worker(new URL(import.meta.url));
    return new Promise<void>((resolve, reject) => {
      const give = (): void => {
        if (!mayGoOn()) return void worker.terminate().then(() => resolve());
        worker.postMessage({ seed: next, profile: words.profile } satisfies RunOptions);
        next += 1;
      };
      worker.on('error', reject);
      worker.on('message', (summary: Summary) => {
        summaries.push(summary);
        simulated += summary.simulatedMs / 1000;
        if (summary.violation !== null || !summary.isReproducible) violations += 1;
        bar.show(summaries.length, words.seeds, simulated, violations);
        give();
      });
      give();
    });
  });
  await Promise.all(workers);
  bar.end();
  return summaries.sort((left, right) => left.seed - right.seed);
}

function violationsOf(summaries: readonly Summary[]): Report['violations'] {
  return summaries.flatMap(({ seed, profile, violation, isReproducible }) => {
    if (violation !== null)
      return [{ seed, rule: violation.rule, at: violation.at, what: violation.what, profile }];
    const what = 'two runs of this seed differ';
    return isReproducible ? [] : [{ seed, rule: 'not-reproducible', at: 0, what, profile }];
  });
}

async function main(): Promise<number> {
  const words = readWords();
  if (words.seed !== null) return runOne(words);
  const began = performance.now();
  const summaries = await runMany(words);
  const wallSeconds = (performance.now() - began) / 1000;
  const simulatedSeconds = summaries.reduce((sum, { simulatedMs }) => sum + simulatedMs / 1000, 0);
  const reached = new Set(summaries.flatMap(({ marks }) => marks));
  const missed = allMarks().filter((mark) => !reached.has(mark));
  const violations = violationsOf(summaries);
  const hash = createHash('sha256');
  for (const summary of summaries) hash.update(`${summary.seed} ${summary.hash}\n`);
  const report: Report = {
    seeds: summaries.length,
    simulatedSeconds: Math.round(simulatedSeconds),
    wallSeconds: Math.round(wallSeconds * 10) / 10,
    violations,
    marks: { reached: allMarks().length - missed.length, missed },
    hash: hash.digest('hex').slice(0, 16),
  };
  if (!(words.stopsFirst && words.isJson)) await tellFailures(violations);
  process.stdout.write(words.isJson ? `${JSON.stringify(report)}\n` : `${tellReport(report, summaries)}\n`);
  return violations.length === 0 ? 0 : 1;
}

async function tellFailures(violations: Report['violations']): Promise<void> {
  for (const { seed, profile, rule } of violations.slice(0, MAX_TOLD)) {
    const failed = await runSeed({ seed, profile });
    if (failed.violation === null) continue;
    const shrunk = await shrink(failed, runSeed);
    process.stderr.write(`\n${tellFailure(failed, shrunk, rule !== 'not-reproducible')}\n`);
  }
}

if (!isMainThread) work();
else {
  try {
    process.exitCode = await main();
  } catch (error) {
    process.stderr.write(`sim: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = error instanceof RangeError || error instanceof TypeError ? 2 : 1;
  }
}
