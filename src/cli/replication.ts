/** `quorate replication discover`: what there is to do for each dataset. Changes nothing. */
import type { Command } from 'commander';
import { type Config, dataNodes, loadConfig, memberOf } from '../config/index.ts';
import { assert, type NodeId } from '../core/index.ts';
import { EXIT, QuorateError } from '../errors.ts';
import {
  type Direction,
  discover,
  otherDataNode,
  READ_LIMIT_MS,
  type Said,
  unpackReading,
} from '../replication/index.ts';
import { withClient } from './connection.ts';
import { ExitWith } from './exit-with.ts';
import { parseNodeOption } from './node-option.ts';
import { paintFor, printJson } from './output.ts';
import { registerDiverged } from './replication-diverged.ts';
import { registerPair } from './replication-pair.ts';
import { registerServe } from './replication-serve.ts';
import { registerReplicationStatus } from './replication-status.ts';
import { renderDiscovery } from './replication-text.ts';

interface DiscoverOptions {
  readonly config: string;
  readonly node?: string;
  readonly from?: string;
  readonly json?: boolean;
}

/** Longer than its agent and its executor take to say that they cannot. */
const ANSWER_LIMIT_MS = READ_LIMIT_MS + 5000;
/** A handshake while this host reads its own pools: a slow one needed more than four seconds. */
const REACH_LIMIT_MS = 10_000;

export function registerReplication(program: Command): void {
  const group = program.command('replication').description('replication of ZFS pools by snapshots');
  group
    .command('discover')
    .description(
      'show what there is to replicate and how, before anything is written; exit code 1 where something could not be read',
    )
    .requiredOption('--config <file>', 'config file of the data node of this host')
    .option('--node <id>', 'the node, where the config file does not say it')
    .option(
      '--from <node>',
      'plan as if this node sent (the holder; this node, where nobody is known to hold)',
    )
    .option('--json', 'print one JSON document')
    .action(async (options: DiscoverOptions) => {
      const config = loadConfig(options.config, { node: options.node });
      await show(config, options, { ownPools, poolsOf, holder });
    });
  registerPair(group);
  registerServe(group);
  registerReplicationStatus(group);
  registerDiverged(group);
}

/** What is asked of the world. */
export interface Questions {
  ownPools(config: Config): Promise<Said>;
  poolsOf(config: Config, node: NodeId): Promise<Said>;
  /** Null: nobody holds, or nobody says who. */
  holder(config: Config): Promise<NodeId | null>;
}

export async function show(
  config: Config,
  options: Pick<DiscoverOptions, 'from' | 'json'>,
  questions: Questions,
): Promise<void> {
  if (config.replication === null)
    throw new QuorateError('replication-not-configured', `${config.file} has no "replication"`);
  const nodes = dataNodes(config).map(({ id }) => id);
  if (!nodes.includes(config.node))
    throw new QuorateError(
      'usage',
      `${config.node} is the witness and has no pools: ask on ${nodes.join(' or ')}`,
    );
  const asked = options.from === undefined ? null : parseNodeOption('--from', options.from);
  if (asked !== null && !nodes.includes(asked))
    throw new QuorateError('usage', `--from: "${asked}" is no data node (${nodes.join(', ')})`);
  const other = otherDataNode(config, config.node);
  const [own, theirs, holder] = await Promise.all([
    questions.ownPools(config),
    questions.poolsOf(config, other),
    asked === null ? questions.holder(config) : null,
  ]);
  const said = new Map([
    [config.node, own],
    [other, theirs],
  ]);
  const document = discover(config, directionOf(asked, holder, config.node), said);
  if (options.json === true) printJson(document);
  else process.stdout.write(`${renderDiscovery(document, paintFor(process.stdout)).join('\n')}\n`);
  if (!document.complete) throw new ExitWith(EXIT.failed);
}

function directionOf(asked: NodeId | null, holder: NodeId | null, self: NodeId): Direction {
  if (asked !== null) return { from: asked, because: 'asked' };
  return holder === null ? { from: self, because: 'assumed' } : { from: holder, because: 'holds' };
}

async function ownPools(config: Config): Promise<Said> {
  const { PoolsReader } = await import('../executor/index.ts');
  return { kind: 'reading', reading: await new PoolsReader(config, { withLeftOut: true }).read() };
}

/** Whatever keeps it from answering: then it is not known what it has. */
async function poolsOf(config: Config, node: NodeId): Promise<Said> {
  const { askFacts, askPools, readTls } = await import('../peer/index.ts');
  const member = memberOf(config, node);
  assert(member !== null, 'a data node of the config');
  try {
    const options = {
      tls: await readTls(config.tls),
      cluster: config.cluster,
      from: config.node,
      to: node,
    };
    // Who does not answer this soon is not waited for as long as a reading may take.
    await askFacts(member.peer, { ...options, times: 0, deadlineMs: REACH_LIMIT_MS });
    const packed = await askPools(member.peer, { ...options, deadlineMs: ANSWER_LIMIT_MS });
    if (packed === null) return { kind: 'unknown', why: 'its agent is of a version that does not say it' };
    const reading = await unpackReading(packed);
    return reading === null
      ? { kind: 'unknown', why: 'its answer is not understood: is it of another version?' }
      : { kind: 'reading', reading };
  } catch (error) {
    if (error instanceof QuorateError) return { kind: 'unknown', why: error.message };
    throw error;
  }
}

async function holder(config: Config): Promise<NodeId | null> {
  try {
    const status = await withClient({ config: config.file, node: config.node }, (client) => client.status());
    return dataNodes(config).find(({ id }) => id === status.holder)?.id ?? null;
  } catch (error) {
    // No agent here, or none that may be asked: the plan says that the direction is assumed.
    if (error instanceof QuorateError) return null;
    throw error;
  }
}
