/** `quorate release`: everything that this node holds is given up now, whether an agent or executor runs here or not (R1). */
import { connect } from 'node:net';
import { type Command, InvalidArgumentError } from 'commander';
import { agentSocket, loadConfig } from '../config/index.ts';
import { QuorateError } from '../errors.ts';
import type { ReleaseReport } from '../executor/index.ts';
import { type Cell, humanMs, type Paint, paintFor, printJson, table } from './output.ts';

interface ReleaseCommandOptions {
  readonly config: string;
  readonly node?: string;
  readonly timeout?: number;
  readonly killUsers?: boolean;
  readonly json?: boolean;
}

/** Three rounds of the abrupt plan, and never so little that a busy machine makes it fail. */
const LEAST_LIMIT_MS = 10_000;
const ROUNDS = 3;
const MAX_TIMEOUT_S = 3600;
const KNOCK_LIMIT_MS = 500;
/** Wider than a terminal: what was found is what this command is for, and a journal keeps it. */
const EVIDENCE_COLUMNS = 200;

export function registerRelease(program: Command): void {
  program
    .command('release')
    .description('give up everything that is held on this node, with or without a running agent')
    .requiredOption('--config <file>', 'config file of this node')
    .option('--node <id>', 'which member this node is, where the file does not say it')
    .option(
      '--timeout <seconds>',
      'how long to try; three times D, at least 10 s, where absent',
      parseSeconds,
    )
    .option('--kill-users', 'kill the processes that keep a mount busy, whosever they are')
    .option('--json', 'print one JSON document')
    .action(runRelease);
}

async function runRelease(options: ReleaseCommandOptions): Promise<void> {
  // A broken certificate must not keep anything held.
  const config = loadConfig(options.config, { node: options.node, needsTls: false });
  const { releaseAll } = await import('../executor/index.ts');
  const limitMs =
    options.timeout === undefined
      ? Math.max(LEAST_LIMIT_MS, ROUNDS * config.timing.releaseMs)
      : options.timeout * 1000;
  const report = await releaseAll({
    configFile: config.file,
    node: config.node,
    limitMs,
    mayKill: options.killUsers === true,
  });
  const isAgentRunning = await answers(agentSocket(config.dataDir));
  if (options.json === true) printJson({ ...report, isAgentRunning });
  else {
    const { isNearBudget, NEAR_BUDGET_ADVICE } = await import('../executor/index.ts');
    const isNear = report.ms !== null && isNearBudget('abrupt', report.ms, report.releaseMs);
    const advice = isNear ? NEAR_BUDGET_ADVICE : null;
    const lines = renderRelease({ report, isAgentRunning, advice }, paintFor(process.stdout));
    process.stdout.write(`${lines.join('\n')}\n`);
  }
  if (report.outcome !== 'released')
    throw new QuorateError(
      'release-unverified',
      `${whatIsLeft(report)}; ${whoGoesOn(report, isAgentRunning)}`,
    );
  if (!report.isRemembered)
    throw new QuorateError(
      'executor-state-damaged',
      `everything is given up and verified, but ${config.dataDir}/executor-state.json has a bad format or checksum`,
    );
}

function whatIsLeft({ node, resources, totalMs }: ReleaseReport): string {
  const left = resources.filter(({ scope, probe }) => scope === 'local' && probe !== 'not-held');
  const named = left.map(
    ({ name, probe, detail }) => `${name} reads ${probe ?? 'unknown'} (${detail ?? ''})`,
  );
  const what = named.length === 0 ? 'a command of an earlier executor cannot be killed' : named.join(', ');
  return `${node} is not shown to have let go after ${humanMs(totalMs)}: ${what}`;
}

function whoGoesOn({ isWatchdogTicking }: ReleaseReport, isAgentRunning: boolean): string {
  if (isAgentRunning) return "the agent's new executor goes on trying";
  if (isWatchdogTicking === true)
    return 'nobody goes on trying, and the watchdog is about to reset this host';
  return 'nobody goes on trying: run this again, or power the host off';
}

export interface ReleaseView {
  readonly report: ReleaseReport;
  readonly isAgentRunning: boolean;
  /** Where the release came near D: what to do. */
  readonly advice: string | null;
}

export function renderRelease({ report, isAgentRunning, advice }: ReleaseView, paint: Paint): string[] {
  const { node, outcome, ms, totalMs, releaseMs, epoch, replaced, resources } = report;
  const isReleased = outcome === 'released';
  const local = resources.filter(({ scope }) => scope === 'local');
  const cloud = resources.filter(({ scope }) => scope === 'cloud');
  const head = isReleased
    ? `${paint('green', `nothing is held on ${node}`)}: verified after ${humanMs(ms ?? totalMs)} (D is ${humanMs(releaseMs)})`
    : `${paint('red', `NOT VERIFIED on ${node}`)} after ${humanMs(totalMs)} (D is ${humanMs(releaseMs)})`;
  const rows = local.map(({ name, kind, probe, detail, action }): Cell[] => [
    { text: `  ${name}` },
    { text: kind },
    { text: probe ?? 'unknown', colour: probe === 'not-held' ? 'green' : 'red' },
    { text: `${detail ?? ''}${action === null ? '' : ` (${action})`}` },
  ]);
  return [
    head,
    ...table(rows, paint, EVIDENCE_COLUMNS),
    ...(advice === null ? [] : [`${paint('yellow', 'near its budget')}: ${advice}`]),
    ...(epoch === null ? [] : [`epoch ${epoch} is dead for ever`]),
    ...(replaced === null ? [] : [`the executor that ran here, process ${replaced}, was ended`]),
    ...cloud.map(
      ({ name, kind }) => `${name} (${kind}) is left to the next holder: only local facts count (R2)`,
    ),
    ...(isReleased && report.isWatchdogTicking === true
      ? [paint('yellow', 'the watchdog cannot be closed: it resets this host unless an executor pets it')]
      : []),
    isAgentRunning
      ? 'the agent on this node runs on: it may take over again; to keep it away use `quorate switchover`, or stop the agent'
      : 'no agent runs on this node',
  ];
}

/** Whoever listens there is an agent; what it says does not matter. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (isThere: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(isThere);
    };
    const timer = setTimeout(() => end(false), KNOCK_LIMIT_MS);
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

function parseSeconds(value: string): number {
  const seconds = Number(value);
  if (!(seconds >= 1 && seconds <= MAX_TIMEOUT_S))
    throw new InvalidArgumentError(`1 to ${MAX_TIMEOUT_S} seconds`);
  return seconds;
}
