/** Commander, the commands by name, and the way from an error to one line and an exit code. */
import { Command, CommanderError } from 'commander';
import { InvariantError } from '../core/index.ts';
import { EXIT, type ExitCode, QuorateError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { ExitWith } from './exit-with.ts';

/** One file per command, loaded when it is named; all of them for the help. */
const COMMANDS: Readonly<Record<string, (program: Command) => Promise<void>>> = {
  agent: async (program) => (await import('./agent.ts')).registerAgent(program),
  status: async (program) => (await import('./status.ts')).registerStatus(program),
  audit: async (program) => (await import('./audit.ts')).registerAudit(program),
  switchover: async (program) => (await import('./switchover.ts')).registerSwitchover(program),
  pause: async (program) => (await import('./pause.ts')).registerPause(program),
  resume: async (program) => (await import('./pause.ts')).registerResume(program),
  standby: async (program) => (await import('./standby.ts')).registerStandby(program),
  activate: async (program) => (await import('./standby.ts')).registerActivate(program),
  restart: async (program) => (await import('./restart.ts')).registerRestart(program),
  failover: async (program) => (await import('./failover.ts')).registerFailover(program),
  bootstrap: async (program) => (await import('./bootstrap.ts')).registerBootstrap(program),
  members: async (program) => (await import('./members.ts')).registerMembers(program),
  settings: async (program) => (await import('./settings.ts')).registerSettings(program),
  'force-new-cluster': async (program) =>
    (await import('./force-new-cluster.ts')).registerForceNewCluster(program),
  release: async (program) => (await import('./release.ts')).registerRelease(program),
  'fence-peer': async (program) => (await import('./fence-peer-command.ts')).registerFencePeer(program),
  doctor: async (program) => (await import('./doctor.ts')).registerDoctor(program),
  'drbd-config': async (program) => (await import('./drbd-config.ts')).registerDrbdConfig(program),
  replication: async (program) => (await import('./replication.ts')).registerReplication(program),
  inspect: async (program) => (await import('./inspect.ts')).registerInspect(program),
  alerts: async (program) => (await import('./alerts.ts')).registerAlerts(program),
  pki: async (program) => (await import('./pki.ts')).registerPki(program),
  completion: async (program) => (await import('./completion.ts')).registerCompletion(program, wholeProgram),
};

/** The program with all its commands, as the help shows it. */
export async function wholeProgram(): Promise<Command> {
  const program = bareProgram();
  for (const register of Object.values(COMMANDS)) await register(program);
  return program;
}

function bareProgram(): Command {
  return new Command('quorate')
    .description('Decides which one storage server may hold, and moves it when it fails.')
    .version(VERSION)
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeErr: () => {}, outputError: () => {} })
    .configureHelp({ showGlobalOptions: false });
}

async function programFor(word: string): Promise<Command> {
  const register = Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined;
  if (register === undefined) return wholeProgram();
  const program = bareProgram();
  await register(program);
  return program;
}

/** Runs one command line, without the program's name. Resolves with the exit code; never rejects. */
export async function run(words: readonly string[]): Promise<number> {
  try {
    const program = await programFor(words[0] ?? '');
    forEachCommand(program, (command) => command.exitOverride().copyInheritedSettings(program));
    if (words.length === 0) throw new QuorateError('usage', 'no command given');
    await program.parseAsync(words, { from: 'user' });
    return EXIT.done;
  } catch (error) {
    return report(error);
  }
}

function forEachCommand(parent: Command, visit: (command: Command) => void): void {
  for (const command of parent.commands) {
    visit(command);
    forEachCommand(command, visit);
  }
}

/** Says it on stderr, one line for each thing that is wrong, and returns the exit code. */
export function report(error: unknown): number {
  if (error instanceof ExitWith) return error.exitCode;
  if (error instanceof CommanderError) return reportCommander(error);
  if (error instanceof QuorateError) {
    const { problems } = error.context;
    // A config file has many lines that can be wrong, and each problem brings its own remedy.
    if (error.code === 'config-invalid' && Array.isArray(problems))
      for (const problem of problems) complain(`${String(problem)} [${error.code}]`);
    else complain(error.oneLine);
    return error.exitCode;
  }
  const message = error instanceof Error ? error.message : String(error);
  if (process.env.QUORATE_DEBUG !== undefined && error instanceof Error)
    complain(error.stack ?? message, false);
  else complain(`unexpected: ${message}`);
  return error instanceof InvariantError ? EXIT.invariant : EXIT.failed;
}

function reportCommander(error: CommanderError): ExitCode {
  if (error.exitCode === 0) return EXIT.done;
  // Commander has shown the help of a group, as `quorate pki`, and calls that an error.
  const message =
    error.code === 'commander.help' ? 'name one of its commands' : error.message.replace(/^error: /, '');
  complain(new QuorateError('usage', message).oneLine);
  return EXIT.usage;
}

function complain(text: string, isOneLine = true): void {
  process.stderr.write(`quorate: ${isOneLine ? text.replaceAll(/\s*\n\s*/g, ' ') : text}\n`);
}
