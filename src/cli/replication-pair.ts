/** `quorate replication pair`: lets the two data nodes log in to each other, for the replication and for nothing else. */
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { type Config, loadConfig, memberOf } from '../config/index.ts';
import { assert, type NodeId } from '../core/index.ts';
import { EXIT, QuorateError } from '../errors.ts';
import type { PairAnswer } from '../peer/index.ts';
import type { Offer, Paired } from '../replication/channels/index.ts';
import { ExitWith } from './exit-with.ts';

interface PairOptions {
  readonly config: string;
  readonly node?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** What it asks of the world; the files are this host's. */
export interface PairQuestions {
  /** The other node's agent does the same there. */
  askPeer(config: Config, peer: NodeId, offer: Offer & { readonly isDryRun: boolean }): Promise<PairAnswer>;
  confirm(question: string): Promise<boolean>;
  readonly command: readonly string[];
}

/** An emulated guest takes ten seconds to make its first call. */
const ANSWER_LIMIT_MS = 30_000;
/** Of a direction: two processes start for it, and two connections are made for the way back. */
const TRY_LIMIT_MS = 60_000;

export function registerPair(group: Command): void {
  group
    .command('pair')
    .description('authorise the two data nodes for each other over SSH, and try both directions')
    .requiredOption('--config <file>', 'config file of the data node of this host')
    .option('--node <id>', 'the node, where the config file does not say it')
    .option('--dry-run', 'show what would be written on both nodes, and write nothing')
    .option('--yes', 'do not ask before writing')
    .action(async (options: PairOptions) => {
      const { ownCommand } = await import('../replication/channels/index.ts');
      const config = loadConfig(options.config, { node: options.node });
      const say = (line: string): void => void process.stdout.write(`${line}\n`);
      await pair(config, options, { askPeer, confirm, command: ownCommand() }, say);
    });
}

export async function pair(
  config: Config,
  options: Pick<PairOptions, 'dryRun' | 'yes'>,
  questions: PairQuestions,
  say: (line: string) => void,
): Promise<void> {
  const { acceptOffer, ownOffer, sshChannelOf } = await import('../replication/channels/index.ts');
  const { otherDataNode } = await import('../replication/index.ts');
  sshChannelOf(config);
  const peer = otherDataNode(config, config.node);
  const parts = { config, peer, command: questions.command };

  // First without writing: what both sides would do, and whether the other one would.
  const shown = await ownOffer(parts, true);
  const theirs = await questions.askPeer(config, peer, { ...shown, isDryRun: true });
  const here = await acceptOffer(parts, theirs, true);
  const changes = tell(config.node, here, say) + tell(peer, theirs, say);
  if (options.dryRun === true) {
    say(changes === 0 ? 'Nothing is to be written.' : 'Nothing was written.');
    return;
  }
  if (changes > 0) {
    if (options.yes !== true && !(await questions.confirm(`Write this on ${config.node} and ${peer}?`)))
      throw new QuorateError('usage', 'nothing was written');
    const own = await ownOffer(parts, false);
    const written = await questions.askPeer(config, peer, { ...own, isDryRun: false });
    await acceptOffer(parts, written, false);
    say('Written.');
  }
  await tryBoth(config, peer, say);
}

/** Returns how many there are. */
function tell(node: NodeId, { changes }: Pick<Paired, 'changes'>, say: (line: string) => void): number {
  if (changes.length === 0) say(`${node}: all is as it should be`);
  for (const change of changes) say(`${node}: ${change}`);
  return changes.length;
}

async function tryBoth(config: Config, peer: NodeId, say: (line: string) => void): Promise<void> {
  const { openSshChannel } = await import('../replication/channels/index.ts');
  const channel = await openSshChannel(config);
  const { signal } = new AbortController();
  const limits = { signal, limitMs: TRY_LIMIT_MS };
  let isWell = true;
  const one = async (from: NodeId, to: NodeId, probe: () => Promise<{ readonly version: string }>) => {
    try {
      const { version } = await probe();
      say(`${from} to ${to}: works (quorate ${version})`);
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      isWell = false;
      say(`${from} to ${to}: FAILED: ${error.message}`);
    }
  };
  await one(config.node, peer, () => channel.probe(limits));
  // Without the way there nobody can be asked to try the way back.
  if (isWell) await one(peer, config.node, () => channel.probeBack(limits));
  else say(`${peer} to ${config.node}: not tried`);
  await channel.close();
  if (!isWell) throw new ExitWith(EXIT.failed);
}

async function askPeer(
  config: Config,
  peer: NodeId,
  offer: Offer & { readonly isDryRun: boolean },
): Promise<PairAnswer> {
  const { askPair, readTls } = await import('../peer/index.ts');
  const member = memberOf(config, peer);
  assert(member !== null, 'a data node of the config');
  return askPair(member.peer, offer, {
    tls: await readTls(config.tls),
    cluster: config.cluster,
    from: config.node,
    to: peer,
    deadlineMs: ANSWER_LIMIT_MS,
  });
}

async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) throw new QuorateError('usage', 'there is nobody to ask: give --yes');
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}
