/** The manual page of a program of commander's, in the macros of man(7). Pure. */
import type { Command } from 'commander';
import { EXIT, EXIT_MEANINGS } from '../../src/errors.ts';
import { VERSION } from '../../src/version.ts';

/** `date`: ISO, or nothing. */
export function manPage(program: Command, date: string): string {
  const lines = [
    `.TH QUORATE 1 "${date}" "quorate ${VERSION}" "Quorate"`,
    '.SH NAME',
    // One line, without a full stop, for whatis(1).
    `quorate \\- ${escaped(sentence(program.description()).replace(/\.$/, '').replace(/^./, lower))}`,
    '.SH SYNOPSIS',
    ...program.commands.flatMap(synopses),
    '.SH DESCRIPTION',
    ...paragraph(program.description()),
    '.SH OPTIONS',
    ...terms(program),
    '.SH COMMANDS',
    ...program.commands.flatMap(sections),
    '.SH EXIT STATUS',
    ...Object.entries(EXIT).flatMap(([name, code]) => [
      '.TP',
      `.B ${code}`,
      escaped(EXIT_MEANINGS[name as keyof typeof EXIT]),
    ]),
    '.SH FILES',
    ...FILES.flatMap(([path, meaning]) => ['.TP', `.I ${escaped(path)}`, escaped(meaning)]),
    '.SH SEE ALSO',
    '.BR systemctl (1),',
    '.BR drbdadm (8),',
    '.BR zpool (8)',
    '.PP',
    escaped('/usr/share/doc/quorate/install.md: from nothing to a running pair.'),
  ];
  return `${lines.join('\n')}\n`;
}

const FILES = [
  ['/etc/quorate/quorate.yaml', 'Config of the node; /usr/share/doc/quorate/configuration.md has every key.'],
  [
    '/var/lib/quorate',
    "The node's log and hard state. Of this node alone; never to be set back to an older copy.",
  ],
] as const;

function sections(command: Command): string[] {
  const inner = command.commands;
  if (inner.length > 0) return inner.flatMap(sections);
  return [`.SS ${escaped(fullName(command))}`, ...paragraph(command.description()), ...terms(command)];
}

function synopses(command: Command): string[] {
  if (command.commands.length > 0) return command.commands.flatMap(synopses);
  const name = fullName(command);
  const usage = command.createHelp().commandUsage(command).slice(name.length).trim();
  return [`.B ${escaped(name)}`, ...(usage === '' ? [] : [escaped(usage)]), '.br'];
}

/** Its arguments and options. */
function terms(command: Command): string[] {
  const help = command.createHelp();
  return [
    ...help
      .visibleArguments(command)
      .map((one) => [help.argumentTerm(one), help.argumentDescription(one)] as const),
    ...help
      .visibleOptions(command)
      .map((one) => [help.optionTerm(one), help.optionDescription(one)] as const),
  ].flatMap(([term, description]) => ['.TP', `.B ${escaped(term)}`, escaped(sentence(description))]);
}

function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}

const paragraph = (text: string): string[] => [escaped(sentence(text))];
const lower = (letter: string): string => letter.toLowerCase();
const sentence = (text: string): string => text.replace(/\s+/g, ' ').trim();

/** A hyphen is one that can be copied; a line that begins with a dot or an apostrophe is no request. */
function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^(?=[.'])/, '\\&');
}
