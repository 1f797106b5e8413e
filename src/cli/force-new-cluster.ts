/** `quorate force-new-cluster`: one data node goes on alone, when the majority is gone for good (O3). */
import { hostname, userInfo } from 'node:os';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { loadConfig } from '../config/index.ts';
import type { NodeId } from '../core/index.ts';
import { QuorateError } from '../errors.ts';
import { whoAnswers } from './answering.ts';
import { parseNodeOption } from './node-option.ts';
import { printJson } from './output.ts';

interface ForceOptions {
  readonly config: string;
  readonly node?: string;
  readonly iHaveFenced: readonly string[];
  readonly yesIKnow?: string;
  readonly why?: string;
  readonly json?: boolean;
}

export function registerForceNewCluster(program: Command): void {
  program
    .command('force-new-cluster')
    .description('go on with this data node alone, when the majority is gone for good; its agent is stopped')
    .requiredOption('--config <file>', "this node's config file")
    .option('--node <id>', 'the node, where the config file does not say it')
    .requiredOption(
      '--i-have-fenced <node...>',
      'every other member: switched off, and not to come back by itself',
    )
    .option('--yes-i-know <cluster>', "the cluster's name, instead of typing it when asked")
    .option('--why <text>', 'the reason, for the log')
    .option('--json', 'print one JSON document')
    .action(run);
}

async function run(options: ForceOptions): Promise<void> {
  const config = loadConfig(options.config, { node: options.node });
  const fenced = [
    ...new Set(
      options.iHaveFenced
        .flatMap((value) => value.split(','))
        .map((value) => parseNodeOption('--i-have-fenced', value)),
    ),
  ];
  const [{ LogStore, sha256 }, { planNewCluster, reasonOf }, { readTls }] = await Promise.all([
    import('../log/index.ts'),
    import('../agent/index.ts'),
    import('../peer/index.ts'),
  ]);
  await readTls(config.tls);
  // The lock of the directory is the proof that no agent runs on it, and none can start meanwhile.
  const { store, recovered } = await LogStore.open(config.dataDir, { digest: sha256 });
  try {
    const why = reasonOf(options.why ?? '') || 'no reason given';
    const order = { fenced, who: `${userName()}@${hostname()}`, why, at: Date.now() };
    const plan = planNewCluster(config, recovered, order);
    const notes = await requireSilence(plan.others, plan.withoutAddress);
    await confirm(options, config.cluster, config.node, fenced, plan.mayLose, notes);
    // Once more, for whatever was typed meanwhile.
    await requireSilence(plan.others, plan.withoutAddress);
    await store.persist([plan.persist]);
    const index = plan.persist.entries.at(-1)?.index ?? null;
    if (options.json === true)
      printJson({ cluster: config.cluster, node: config.node, fenced, index, mayLose: plan.mayLose });
    else
      process.stdout.write(
        `${[
          `${config.node} is the only member of ${config.cluster} (entry ${index}); ${fenced.join(' ')} can never come back`,
          `given up: ${plan.mayLose}`,
          'Start the agent: it holds by itself once its promise is over. Then add new nodes under new ids (quorate members add).',
        ].join('\n')}\n`,
      );
  } finally {
    await store.close();
  }
}

/** An old member that answers can hold with others, or let itself be elected by them: two holders. Unknown counts as an answer. */
async function requireSilence(
  others: ReadonlyMap<NodeId, string>,
  withoutAddress: readonly NodeId[],
): Promise<string[]> {
  const found = await whoAnswers(others);
  const answering = found.filter(({ state }) => state === 'answers' || state === 'unclear');
  if (answering.length > 0) {
    const violations = answering.map(({ node, detail }) => ({
      type: 'OLD_MEMBERS_SILENT' as const,
      subject: node,
      description: detail,
    }));
    const why = answering.map(({ detail }) => detail).join('; ');
    throw new QuorateError('refused-unsafe', `an old member is still there: ${why}`, {
      context: { violations },
    });
  }
  return [
    ...found.map(({ detail }) => detail),
    ...withoutAddress.map((id) => `${id}: its address is not known here, it was not asked`),
  ];
}

async function confirm(
  { yesIKnow }: ForceOptions,
  cluster: string,
  node: NodeId,
  fenced: readonly NodeId[],
  mayLose: string,
  notes: readonly string[],
): Promise<void> {
  const told = [
    `${node} will be the only member of ${cluster}, and hold.`,
    `If any of ${fenced.join(', ')} can still write, there will be two holders: nothing but your word stands against that.`,
    ...notes.map((note) => `  ${note}`),
    `May be lost: ${mayLose}.`,
  ];
  let typed = yesIKnow;
  if (typed === undefined) {
    if (!process.stdin.isTTY)
      throw new QuorateError(
        'usage',
        `without a terminal it needs --yes-i-know ${cluster}. ${told.join(' ')}`,
      );
    process.stderr.write(`${told.join('\n')}\n`);
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    try {
      typed = (await lines.question(`Type the name of the cluster to go on: `)).trim();
    } finally {
      lines.close();
    }
  }
  if (typed !== cluster) throw new QuorateError('usage', `"${typed}" is not "${cluster}": nothing done`);
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid-${process.getuid?.() ?? 'unknown'}`;
  }
}
