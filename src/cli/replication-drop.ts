/**
 * `quorate replication diverged drop` and `allow`: what a change of roles has kept is destroyed, by a word that is in the log first.
 *
 * The pools are on this host, and the log has one writer, its leader, whose admin service is for its own host: where another node
 * leads, its operator writes the word down (`allow`), and this node finds it in its own copy of the log.
 */
import type { Command } from 'commander';
import type { AdminClient } from '../admin/index.ts';
import type { Config } from '../config/index.ts';
import type { NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import {
  type Dropped,
  drop as dropKept,
  dropWord,
  readAside,
  requireOnlyOwnHolds,
  toDrop,
} from '../replication/index.ts';
import { registerDropping } from '../replication/receiver/index.ts';
import { dropText } from '../state/index.ts';
import { type ConnectionOptions, withClient, withConnection } from './connection.ts';
import { type KeptOptions, type KeptParts, withKeptConfig, withPools } from './kept-pools.ts';
import { printJson } from './output.ts';

interface DropOptions extends KeptOptions {
  readonly confirm?: string;
  readonly dryRun?: boolean;
  readonly why?: string;
}

interface AllowOptions extends ConnectionOptions {
  readonly why?: string;
}

/** Of one entry of the log. */
export const MAX_DROPPED = 12;

/** The part of the agent's service that is needed. */
export type DropLog = Pick<AdminClient, 'allowDrop' | 'entries'>;

export function registerDrop(diverged: Command): void {
  withKeptConfig(
    diverged
      .command('drop')
      .description('destroy what is kept, for good: no other node has it')
      .argument('<dataset|epoch>', 'as "list" names it, or everything of one epoch'),
  )
    .option('--dry-run', 'only say what would be destroyed, how many bytes that are, and the word for it')
    .option('--confirm <word>', 'the word that --dry-run has said: without it nothing is done')
    .option('--why <text>', 'the reason, for the log')
    .action((what: string, options: DropOptions) =>
      withPools(options, async (config, parts) => {
        const found = await lookFor(what, config, parts);
        if (options.dryRun === true) return show(what, found, options);
        requireConfirmed(what, found, options);
        await withClient(options, (client) => drop(config, found, client, options, parts));
      }),
    );
  withConnection(
    diverged
      .command('allow')
      .description('on the leader: write down that a node may drop what it has kept ("drop" says the words)'),
  )
    .argument('<node>', 'the data node that has it')
    .argument('<dataset=guid...>', 'as "drop" on that node says it')
    .option('--why <text>', 'the reason, for the log')
    .action(async (node: string, datasets: string[], options: AllowOptions) => {
      const index = await withClient(options, (client) =>
        client.allowDrop({ node, datasets, why: options.why ?? '' }),
      );
      process.stdout.write(`${node} may drop ${datasets.join(' ')} (entry ${index})\n`);
    });
}

/** Throws where nothing of that name is kept, or it may not go. Changes nothing. */
export async function lookFor(
  what: string,
  { file, replication }: Config,
  parts: KeptParts,
): Promise<readonly Dropped[]> {
  if (replication === null)
    throw new QuorateError('replication-not-configured', `${file} has no "replication"`);
  const pools = await Promise.all(
    replication.pools.map(async (pool) => [pool, await readAside(pool, parts)] as const),
  );
  const found = toDrop(what, new Map(pools));
  if (found.length > MAX_DROPPED)
    throw new QuorateError(
      'usage',
      `${what} means ${found.length} datasets, and one entry of the log names ${MAX_DROPPED}: drop them by their names`,
    );
  for (const one of found) await requireOnlyOwnHolds(one, parts);
  return found;
}

const bytesOf = (found: readonly Dropped[]): number =>
  found.reduce((sum, { usedBytes }) => sum + usedBytes, 0);

const namesOf = ({ snapshots }: Dropped): string => snapshots.map(({ name }) => `@${name}`).join(' ');

const writtenSince = ({ written, isUnreplayed }: Dropped): string =>
  [
    written === 0 ? '' : `, ${written ?? 'unknown'} bytes of them in no snapshot`,
    isUnreplayed ? ', and perhaps what was written last, in its intent log alone' : '',
  ].join('');

const linesOf = (found: readonly Dropped[]): string[] =>
  found.map((one) => `  ${one.dataset}, ${one.usedBytes} bytes${writtenSince(one)}: ${namesOf(one)}`);

function show(what: string, found: readonly Dropped[], { json }: DropOptions): void {
  const confirm = dropWord(what, found);
  if (json === true) return printJson({ dryRun: true, confirm, bytes: bytesOf(found), dropped: found });
  const lines = [
    `would destroy, ${bytesOf(found)} bytes, which no other node has:`,
    ...linesOf(found),
    `Nothing was changed. To do it, and only as long as nothing of this has changed: --confirm ${quoted(confirm)}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Names may have blanks. */
const quoted = (word: string): string => (word.includes(' ') ? `"${word}"` : word);

/** What was shown is what is confirmed: a word of something else, or of how it was before, is none. */
export function requireConfirmed(
  what: string,
  found: readonly Dropped[],
  { confirm }: Pick<DropOptions, 'confirm'>,
): void {
  if (confirm === dropWord(what, found)) return;
  const now = `${bytesOf(found)} bytes that no other node has:${linesOf(found).join(';')}`;
  const again = `"drop ${quoted(what)} --dry-run" says the word`;
  if (confirm?.startsWith(`${what}:`) === true)
    throw new QuorateError(
      'refused-unsafe',
      `${what} is not what it was when "${confirm}" was said. Now it destroys ${now}; ${again}`,
    );
  const said = confirm === undefined ? 'needs --confirm' : `is not confirmed by "${confirm}"`;
  throw new QuorateError('usage', `drop ${what} ${said}: it destroys ${now}; ${again}`);
}

/** The word first, then the deed: the log may say more than was done, never less. One at a time on a node. */
export async function drop(
  config: Pick<Config, 'node' | 'dataDir'>,
  found: readonly Dropped[],
  log: DropLog,
  options: Pick<DropOptions, 'json' | 'why'>,
  parts: KeptParts,
): Promise<void> {
  const registration = await registerDropping(config.dataDir, config.node);
  if (registration === null)
    throw new QuorateError('refused-unsafe', 'another "diverged drop" is at work on this node');
  try {
    await dropAll(config.node, found, log, options, parts);
  } finally {
    await registration.remove();
  }
}

async function dropAll(
  node: NodeId,
  found: readonly Dropped[],
  log: DropLog,
  { json, why = '' }: Pick<DropOptions, 'json' | 'why'>,
  parts: KeptParts,
): Promise<void> {
  const datasets = found.map(({ dataset, guid }) => `${dataset}=${guid}`);
  const index = await wordOf(node, datasets, why, log);
  const done: Dropped[] = [];
  try {
    for (const one of found) {
      await dropKept(one, { ...parts, mayChange: () => true });
      done.push(one);
    }
  } finally {
    if (json === true) printJson({ dryRun: false, index, bytes: bytesOf(done), dropped: done });
    else for (const line of linesOf(done)) process.stdout.write(`destroyed${line.slice(1)}\n`);
  }
}

/** Of the entry that allows it. */
async function wordOf(node: string, datasets: readonly string[], why: string, log: DropLog): Promise<number> {
  try {
    return await log.allowDrop({ node, datasets, why });
  } catch (error) {
    if (!(error instanceof QuorateError) || error.code !== 'not-leader') throw error;
    const said = dropText(node, datasets);
    const entries = await log.entries();
    const found = entries.findLast(({ body }) => body.kind === 'operator' && body.action.startsWith(said));
    if (found !== undefined) return found.index;
    throw new QuorateError(
      'refused-unsafe',
      `${error.message}, and write down there that this may be destroyed: quorate replication diverged allow ${node} ${datasets.map((one) => `"${one}"`).join(' ')} --config FILE; then again here`,
      { cause: error },
    );
  }
}
