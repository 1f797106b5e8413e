/** `quorate members`: who belongs to the cluster (E5). */
import type { Command } from 'commander';
import type { MemberOutcome, MemberStatus, MembersDocument } from '../admin/index.ts';
import { parseAddress } from '../config/index.ts';
import { QuorateError } from '../errors.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { parseNodeOption } from './node-option.ts';
import { type OrderWords, orderOf, withOrder } from './order-options.ts';
import { printJson } from './output.ts';

interface MemberOptions extends ConnectionOptions, OrderWords {
  readonly why?: string;
  readonly json?: boolean;
}
interface AddOptions extends MemberOptions {
  readonly peer: string;
  readonly zone?: string;
  readonly witness?: boolean;
  readonly snapshots?: boolean;
}

export function registerMembers(program: Command): void {
  const group = program.command('members').description('who belongs to the cluster, and who shall');
  withConnection(group.command('list').description('the members as the log has them'))
    .option('--json', 'print one JSON document')
    .action(async (options: MemberOptions) => {
      const document = await withClient(options, (client) => client.members());
      if (options.json === true) printJson(document);
      else print(renderMembers(document));
    });
  order(group, 'add', 'add a new node, without a vote yet: it gets the log')
    .requiredOption('--peer <host:port>', 'where its agent listens for the others (its own `members` entry)')
    .option('--zone <zone>', 'where it stands')
    .option('--witness', 'it votes and never holds (W1)')
    .option('--snapshots', 'its data comes by snapshots, not by a mirror: it is never in sync')
    .action(add);
  order(group, 'promote', 'give a node its vote; waits until it has the log').action(
    (word: string, options: MemberOptions) => change('promote', word, options),
  );
  order(group, 'remove', 'remove a node for good: its id is never used again').action(
    (word: string, options: MemberOptions) => change('remove', word, options),
  );
}

function order(group: Command, name: string, description: string): Command {
  return withOrder(
    withConnection(group.command(name).argument('<node>', 'a node id').description(description)),
    false,
  )
    .option('--why <text>', 'the reason, for the log')
    .option('--json', 'print one JSON document');
}

async function add(word: string, options: AddOptions): Promise<void> {
  const node = parseNodeOption('NODE', word);
  const address = parseAddress(options.peer);
  if (!address.ok) throw new QuorateError('usage', `--peer: ${address.why}`);
  const { peer, zone = '', witness = false, snapshots = false, why = '' } = options;
  const request = { node, peer, zone, witness, snapshots, why, ...orderOf(options) };
  const outcome = await withClient(options, (client) => client.addMember(request));
  if (options.json === true) printJson(outcome);
  else
    print([
      said(outcome, `${node} is a learner (entry ${outcome.index}): it gets the log, and has no vote`),
      `Next: start its agent, then "quorate members promote ${node}".`,
      ...table(outcome.members),
    ]);
}

async function change(what: 'promote' | 'remove', word: string, options: MemberOptions): Promise<void> {
  const node = parseNodeOption('NODE', word);
  const request = { node, why: options.why ?? '', ...orderOf(options) };
  const outcome = await withClient(options, (client) => client.changeMember(what, request));
  if (options.json === true) return printJson(outcome);
  const done =
    what === 'promote'
      ? `${node} votes from now on (entry ${outcome.index})`
      : `${node} is removed, for good (entry ${outcome.index}): its id is never used again`;
  print([said(outcome, done), ...table(outcome.members)]);
}

const said = ({ node, index, alreadyDone }: MemberOutcome, done: string): string =>
  alreadyDone ? `done before, by this request, to ${node} (entry ${index}): nothing done` : done;

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}

export function renderMembers({
  members,
  removed,
  differences,
  leader,
  configIndex,
}: MembersDocument): string[] {
  if (members.length === 0) return ['there is no log yet: "quorate bootstrap", or this node joins'];
  return [
    `${members.length} members since entry ${configIndex}, leader ${leader ?? 'not known here'}`,
    ...table(members),
    ...(removed.length === 0 ? [] : [`removed for good: ${removed.join(' ')}`]),
    ...differences.map((what) => `the config file of this node differs: ${what}`),
  ];
}

const HEAD = ['node', 'kind', 'vote', 'zone', 'address', 'log', 'answers', 'in sync'] as const;

function table(members: readonly MemberStatus[]): string[] {
  const rows = [HEAD, ...members.map(row)];
  const widths = HEAD.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  return rows.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

function row(member: MemberStatus): string[] {
  const { id, kind, hasVote, snapshots, zone, address, matchIndex, hasLog, answers, inSync } = member;
  return [
    id,
    snapshots ? 'snapshots' : kind,
    hasVote ? 'yes' : 'learner',
    zone ?? '-',
    address ?? '?',
    matchIndex === null ? '?' : hasLog === true ? `${matchIndex}` : `${matchIndex}, behind`,
    yesNo(answers),
    kind === 'witness' || !hasVote ? '-' : yesNo(inSync),
  ];
}

const yesNo = (value: boolean | null): string => (value === null ? '?' : value ? 'yes' : 'no');
