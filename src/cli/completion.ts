/**
 * `quorate completion bash|zsh`: a script for the shell, made from the commands themselves, so that it knows what they know. It
 * asks no agent: a shell must not wait for one.
 */
import { Argument, type Command, type Option } from 'commander';

export const SHELLS = ['bash', 'zsh'] as const;
type Shell = (typeof SHELLS)[number];

/** `wholeProgram`: every command, registered. */
export function registerCompletion(program: Command, wholeProgram: () => Promise<Command>): void {
  program
    .command('completion')
    .description('print a script that completes commands and options in a shell')
    .addArgument(new Argument('<shell>', 'of which shell').choices(SHELLS))
    .addHelpText('after', '\nbash: source <(quorate completion bash)\nzsh:  source <(quorate completion zsh)')
    .action(async (shell: Shell) => {
      process.stdout.write(completionScript(await wholeProgram(), shell));
    });
}

export function completionScript(program: Command, shell: Shell): string {
  const commands = commandsOf(program, '');
  const lines = [
    ...(shell === 'zsh'
      ? [
          '#compdef quorate',
          'autoload -U +X compinit && compinit',
          'autoload -U +X bashcompinit && bashcompinit',
        ]
      : []),
    '_quorate() {',
    // The word after an option that takes a value is no command.
    `  local path="" word previous="" index current="\${COMP_WORDS[COMP_CWORD]}"`,
    '  for ((index = 1; index < COMP_CWORD; index++)); do',
    `    word="\${COMP_WORDS[index]}"`,
    `    case "$path $word" in ${patterns(commands.map(({ path }) => path))}) path="$path $word" ;; esac`,
    '    previous="$word"',
    '  done',
    '  COMPREPLY=()',
    '  case "$path $previous" in',
    ...commands.flatMap(({ path, options }) => options.flatMap((option) => valueCase(path, option))),
    '  esac',
    '  case "$path" in',
    ...commands.map(
      ({ path, words }) => `    "${path}") COMPREPLY=($(compgen -W "${words.join(' ')}" -- "$current")) ;;`,
    ),
    '  esac',
    '}',
    'complete -F _quorate quorate',
  ];
  return `${lines.join('\n')}\n`;
}

interface Known {
  /** Empty for the program itself, otherwise a space before each word. */
  readonly path: string;
  readonly options: readonly Option[];
  /** That may come next. */
  readonly words: readonly string[];
}

function commandsOf(command: Command, path: string): Known[] {
  const help = command.createHelp();
  const options = help.visibleOptions(command);
  const commands = help.visibleCommands(command);
  const choices = command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices);
  const flags = options.flatMap(({ long }) => (long === undefined ? [] : [long]));
  const known = { path, options, words: [...commands.map((one) => one.name()), ...choices, ...flags] };
  return [known, ...command.commands.flatMap((child) => commandsOf(child, `${path} ${child.name()}`))];
}

const patterns = (paths: readonly string[]): string =>
  paths.flatMap((path) => (path === '' ? [] : [`"${path}"`])).join('|');

/** What stands after an option: a file, one of its choices, or something that only the caller knows. */
function valueCase(path: string, option: Option): string[] {
  if (option.long === undefined || option.isBoolean() || (!option.required && !option.optional)) return [];
  const isPath = /<(?:file|directory|dir)[^>]*>/i.test(option.flags);
  const kind = isPath ? '-f' : `-W "${(option.argChoices ?? []).join(' ')}"`;
  return [`    "${path} ${option.long}") COMPREPLY=($(compgen ${kind} -- "$current")); return ;;`];
}
