/**
 * What this node can say of pools that snapshots keep alike. Pure. Of what it sends by what its replicator has told, of what it has
 * received by the very look that decides whether a takeover would lose too much (`copyLoss`, H2): nobody reads a second truth.
 */
import { type Config, dataNodes, memberOf, replicatedPools } from '../config/index.ts';
import type { NodeId } from '../core/index.ts';
import { lagMs, type PoolCopyFacts, type SendingFacts, TROUBLES, type TroubleFacts } from '../pool-copies.ts';
import { type DatasetState, policyOf, type Round } from '../replication/index.ts';
import { type CopyLoss, isoTime, whyTooMuchIsLost } from '../state/index.ts';

/** Two run at a time; what else is told as under way was so a moment ago. */
const MAX_SENDING = 8;
const MAX_TROUBLE = 10;
/** One round may be missed, and the next one take its time. */
const LATE_PERIODS = 3;

export interface PoolCopySources {
  readonly config: Config;
  /** The latest tenure of the log, open or released; null before the first. */
  readonly tenure: { readonly node: NodeId; readonly released: boolean } | null;
  readonly sent: {
    readonly isSending: boolean;
    /** Nothing is missing of `datasets`. */
    readonly isWhole: boolean;
    readonly round: Round;
    readonly datasets: readonly DatasetState[];
  };
  /** Of the pools of this node, when it was last looked; null: not in this tenure yet, or its executor is gone. */
  readonly losses: readonly CopyLoss[] | null;
  readonly wallMs: number;
}

/** None: no pool of this node is replicated by snapshots, or nobody has ever held. */
export function poolCopiesOf(sources: PoolCopySources): readonly PoolCopyFacts[] {
  const { config, tenure } = sources;
  if (tenure === null || memberOf(config, config.node)?.witness !== false) return [];
  return tenure.node === config.node && !tenure.released ? sentPools(sources) : receivedPools(sources);
}

// ---- the node that sends

function sentPools({ config, sent, wallMs }: PoolCopySources): readonly PoolCopyFacts[] {
  const byPool = new Map<string, DatasetState[]>(replicatedPools(config).map((pool) => [pool, []]));
  for (const one of sent.datasets) {
    const [pool = ''] = one.dataset.split('/', 1);
    const known = byPool.get(pool);
    if (known === undefined) byPool.set(pool, [one]);
    else known.push(one);
  }
  const peer = dataNodes(config).find(({ id }) => id !== config.node)?.id ?? null;
  return [...byPool].map(([pool, datasets]): PoolCopyFacts => {
    const late = datasets.filter((one) => isLate(one, config, wallMs));
    const trouble = troubleOf(datasets, new Set(late));
    return {
      ...{ pool, role: 'source', peer, ...wholeUpTo(datasets, config, sent) },
      byItself: null,
      problem: sent.isSending ? sent.round.problem : null,
      sending: datasets.flatMap(sendingOf).slice(0, MAX_SENDING),
      conflicts: datasets.filter(({ state }) => state === 'conflict').length,
      late: late.length,
      trouble: trouble.slice(0, MAX_TROUBLE),
      omitted: Math.max(0, trouble.length - MAX_TROUBLE),
    };
  });
}

/** The pool is as old as the oldest copy in it. */
function wholeUpTo(
  datasets: readonly DatasetState[],
  { replication, node }: Config,
  { isSending, isWhole, round }: PoolCopySources['sent'],
): Pick<PoolCopyFacts, 'copy' | 'upTo' | 'why'> {
  const unknown = (why: string) => ({ copy: 'unknown' as const, upTo: null, why });
  if ((replication?.send ?? null) === null) return unknown(`${node} sends nothing, by its config`);
  if (!isSending) return unknown('nothing was heard yet of what is sent');
  if (!isWhole) return unknown('not all of it was heard yet since this agent began');
  if (datasets.length === 0)
    return unknown(round.startedAt === null ? 'its first round has not begun' : 'nothing of it is sent');
  const uncopied = datasets.find(({ common, state }) => common === null && state !== 'unknown');
  if (uncopied !== undefined) return { copy: 'none', upTo: null, why: `${uncopied.dataset} has none` };
  let oldestMs = Number.POSITIVE_INFINITY;
  for (const { dataset, common } of datasets) {
    const takenAt = common?.takenAt ?? null;
    // Somebody else's snapshot does not say in its name when it was taken.
    if (takenAt === null) return unknown(`of when the copy of ${dataset} is`);
    oldestMs = Math.min(oldestMs, takenAt);
  }
  return { copy: 'up-to', upTo: isoTime(oldestMs), why: null };
}

/** What is sent only at times of the day that somebody has chosen is never called late. */
function isLate({ dataset, common, periodMs }: DatasetState, config: Config, wallMs: number): boolean {
  const send = config.replication?.send ?? null;
  const takenAt = common?.takenAt ?? null;
  if (send === null || takenAt === null || policyOf(send, dataset).windows.length > 0) return false;
  return lagMs(takenAt, wallMs) > LATE_PERIODS * periodMs;
}

function sendingOf({ dataset, state, progress }: DatasetState): readonly SendingFacts[] {
  if (state !== 'sending' || progress === null) return [];
  const { bytes, totalBytes, bytesPerSecond } = progress;
  return [{ dataset, bytes, totalBytes, bytesPerSecond }];
}

/** Sentences without numbers that change by themselves. */
function troubleOf(
  datasets: readonly DatasetState[],
  late: ReadonlySet<DatasetState>,
): readonly TroubleFacts[] {
  const found = datasets.flatMap((one): TroubleFacts[] => {
    const { dataset, state, why, lastError } = one;
    if (state === 'conflict' || state === 'failed' || state === 'unknown')
      return [{ dataset, kind: state, why }];
    if (!late.has(one)) return [];
    const error = lastError === null ? '' : `; the last that did not work: ${lastError.why}`;
    return [{ dataset, kind: 'late', why: `its copy is older than ${LATE_PERIODS} periods: ${why}${error}` }];
  });
  return TROUBLES.flatMap((kind) => found.filter((one) => one.kind === kind));
}

// ---- the node that receives

function receivedPools({ config, tenure, losses, wallMs }: PoolCopySources): readonly PoolCopyFacts[] {
  const from = tenure === null || tenure.node === config.node ? null : tenure.node;
  return replicatedPools(config).map((pool): PoolCopyFacts => {
    const loss: CopyLoss = losses?.find((one) => one.pool === pool) ?? {
      ...{ kind: 'unknown', pool, why: `${config.node} has not looked yet` },
    };
    return {
      ...{ pool, role: 'target', peer: from, ...receivedCopy(loss) },
      byItself: losses === null ? null : byItself(loss, config, wallMs),
      ...{ problem: null, sending: [], conflicts: 0, late: 0, trouble: [], omitted: 0 },
    };
  });
}

function receivedCopy(loss: CopyLoss): Pick<PoolCopyFacts, 'copy' | 'upTo' | 'why'> {
  switch (loss.kind) {
    case 'nothing':
      return { copy: 'everything', upTo: null, why: null };
    case 'since':
      return { copy: 'up-to', upTo: isoTime(loss.takenAtMs), why: null };
    case 'unknown':
      return { copy: 'unknown', upTo: null, why: loss.why };
  }
}

/** As the gate would say it now: it has grown older since it was looked at. */
function byItself(loss: CopyLoss, { maxDataLossMs }: Config, wallMs: number): PoolCopyFacts['byItself'] {
  const aged = loss.kind === 'since' ? { ...loss, ageMs: lagMs(loss.takenAtMs, wallMs) } : loss;
  if (whyTooMuchIsLost(aged, maxDataLossMs) === null) return 'yes';
  return maxDataLossMs === 0 ? 'never' : 'too-old';
}
