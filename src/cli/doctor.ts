/** `quorate doctor`: everything that a takeover will need, looked at before it is needed. */
import type { Command } from 'commander';
import type { StatusDocument } from '../admin/index.ts';
import { systemClock } from '../clock.ts';
import { type Config, loadConfig } from '../config/index.ts';
import type { Entry, Timing } from '../core/index.ts';
import { EXIT, QuorateError } from '../errors.ts';
import { withClient } from './connection.ts';
import { renderReport } from './doctor-text.ts';
import { ExitWith } from './exit-with.ts';
import { paintFor, printJson } from './output.ts';

interface DoctorOptions {
  readonly config: string;
  readonly node?: string;
  readonly json?: boolean;
  readonly armWatchdog?: boolean;
  readonly checks?: readonly string[];
}

/** Marks the commands that it starts, as the executor marks its own: with a mark of another kind. */
const COMMAND_MARK = 'doctor';

export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('check everything that a takeover will need; exit code 1 where something failed')
    .requiredOption('--config <file>', 'config file of the node of this host')
    .option('--node <id>', 'the node, where the config file does not say it')
    .option('--json', 'print one JSON document')
    .option('--checks <name...>', 'only these checks (names in the report, separated by commas)')
    .option(
      '--arm-watchdog',
      'really arm the watchdog, pet it and close it again; refused while an executor runs',
    )
    .action(examine);
}

async function examine(options: DoctorOptions): Promise<void> {
  const config = loadConfig(options.config, { node: options.node });
  const [doctor, executor] = await Promise.all([
    import('../doctor/index.ts'),
    import('../executor/index.ts'),
  ]);
  const names = options.checks?.flatMap((value) => value.split(',')).filter((name) => name !== '');
  const checks = names === undefined ? doctor.CHECKS : doctor.checksNamed(names);
  const armWatchdog = options.armWatchdog === true;
  const pid = executor.runningExecutor(config.dataDir);
  if (armWatchdog && pid !== null)
    throw new QuorateError(
      'refused-unsafe',
      `the watchdog belongs to the executor, process ${pid}: stop the agent of this node before --arm-watchdog`,
    );
  const log = new LogReader(config, options.config);
  const commands = new executor.ChildRunner(`${COMMAND_MARK}/${process.pid}`, systemClock);
  const context = doctor.hostContext({
    config,
    clock: systemClock,
    commands,
    watchdog: { executor: () => executor.runningExecutor(config.dataDir), open: executor.openWatchdog },
    entries: () => log.entries(),
    isLogCurrent: () => log.isCurrent(),
    clusterTiming: () => log.timing(),
    armWatchdog,
  });
  const report = await doctor.runDoctor(context, checks);
  if (options.json === true) printJson(report);
  else process.stdout.write(`${renderReport(config.cluster, report, paintFor(process.stdout)).join('\n')}\n`);
  if (!report.ok) throw new ExitWith(EXIT.failed);
}

/** The log of the running agent; where none answers, that of the directory. Read once. */
class LogReader {
  readonly #config: Config;
  readonly #file: string;
  #reading: Promise<readonly Entry[]> | null = null;

  constructor(config: Config, file: string) {
    this.#config = config;
    this.#file = file;
  }

  entries(): Promise<readonly Entry[]> {
    this.#reading ??= this.#read();
    return this.#reading;
  }

  async timing(): Promise<Timing | null> {
    const bodies = (await this.entries()).map(({ body }) => body);
    return bodies.findLast((body) => body.kind === 'config')?.timing ?? null;
  }

  /** Never rejects: who cannot be asked has no majority that is known of. */
  async isCurrent(): Promise<boolean> {
    try {
      const status = await withClient(this.#options, (client) => client.status());
      return isOfNow(status, (await this.entries()).at(-1));
    } catch {
      return false;
    }
  }

  get #options(): { readonly config: string; readonly node: string } {
    return { config: this.#file, node: this.#config.node };
  }

  async #read(): Promise<readonly Entry[]> {
    try {
      return await withClient(this.#options, (client) => client.entries());
    } catch (error) {
      // An agent that answers has the last word; only without one its files are read, as a copy.
      if (!(error instanceof QuorateError) || error.code !== 'agent-unreachable') throw error;
    }
    const { sha256, verifyDirectory } = await import('../log/index.ts');
    return (await verifyDirectory(this.#config.dataDir, sha256)).entries;
  }
}

/** A node that was just found again has a leader already, and an old log still: each term begins with an entry of its own (E4). */
export function isOfNow(
  { quorum, term, commitIndex }: Pick<StatusDocument, 'quorum' | 'term' | 'commitIndex'>,
  last: Pick<Entry, 'index' | 'term'> | undefined,
): boolean {
  return quorum === true && last !== undefined && last.index >= commitIndex && last.term === term;
}
