/**
 * The connection to the peer, and what to do where DRBD has given it up: in a split brain both sides have written alone, and
 * whose data is thrown away is decided by a person (O3). What can be said is said: the own data generation, whom the log calls
 * the holder, and the commands. The other side's generation is not known here: the kernel has no connection to ask it.
 */
import { applyEntry, EMPTY_STATE, type Entry, type NodeId } from '../core/index.ts';
import { type DrbdState, parseEvents, standsAlone } from '../resources/index.ts';
import { ask, complaint } from './ask.ts';
import type { CheckContext } from './context.ts';
import { type Finding, failed, ok, unknown, warning } from './report.ts';
import { reason } from './run.ts';

const PAGE = 'docs/runbooks/split-brain.md';

export async function connectionFinding(context: CheckContext, resource: string): Promise<Finding> {
  const subject = `${resource} connection`;
  const told = await ask(context, ['drbdsetup', 'events2', '--now', resource]);
  const state = told.kind === 'said' && told.code === 0 ? parseEvents(told.stdout, resource) : null;
  if (state === null || state.kind === 'absent')
    return unknown(
      subject,
      state === null ? complaint('drbdsetup events2', told) : 'the resource is down',
      `Ask again once "drbdsetup events2 --now ${resource}" shows it.`,
    );
  if (standsAlone(state)) return apart(context, resource, state);
  const words = state.connections.map(({ connName, connection }) => `${connName ?? 'peer'} ${connection}`);
  const isConnected = state.connections.every(({ connection }) => connection === 'Connected');
  return isConnected && words.length > 0
    ? ok(subject, words.join(', '))
    : warning(
        subject,
        `${words.join(', ') || 'none'}: nothing is replicated to a peer that is not connected`,
        'Start the peer, or mend the replication link; DRBD connects by itself.',
      );
}

async function apart(context: CheckContext, resource: string, state: DrbdState): Promise<Finding> {
  const { config } = context;
  const self = config.node;
  const connName = state.connections.find(({ connection }) => connection === 'StandAlone')?.connName ?? null;
  const others = config.members.filter(({ id, witness }) => !witness && id !== self).map(({ id }) => id);
  const named = config.members.find(({ id }) => id === connName);
  const peer = named?.id ?? (others.length === 1 ? others[0] : undefined);
  const disks = state.volumes.map(({ disk }) => disk).join('/');
  const head = `StandAlone, role ${state.role}, disk ${disks}: DRBD replicates nothing and does not connect by itself`;
  const subject = `${resource} connection`;
  if (named?.witness === true)
    return failed(
      subject,
      `${head} to ${named.id}, which has no data`,
      `Run "drbdadm connect ${resource}:${named.id}".`,
    );
  const log = await verdictOf(context);
  const detail = [
    `${head}. Either somebody has disconnected it, or both sides have written alone: a split brain`,
    `Data generation of ${self}: ${await generation(context, resource)}; that of ${peer ?? 'the other node'}: run the doctor there`,
    log.why,
  ].join('. ');
  const keep = log.keep === self || log.keep === peer ? log.keep : null;
  const discard = keep === self ? peer : self;
  if (keep === null || discard === undefined)
    return failed(
      subject,
      detail,
      `Change nothing until a node with a majority ("quorate status") says who is the holder: run the doctor there, then ${PAGE}.`,
    );
  // 9 names its connections, and has one to the witness too; 8.4 has one, without a name while it stands alone.
  const to = (node: NodeId): string => (connName === null ? resource : `${resource}:${node}`);
  return failed(subject, detail, steps({ resource, keep, discard, to }).join('\n'));
}

interface Recovery {
  readonly resource: string;
  /** Whose data stays. */
  readonly keep: NodeId;
  readonly discard: NodeId;
  /** How a command calls the connection to a node. */
  readonly to: (node: NodeId) => string;
}

/** Both versions' tools take these; `--discard-my-data` is refused to a Primary, so that its role is given up before. */
function steps({ resource, keep, discard, to }: Recovery): readonly string[] {
  return [
    `Was it disconnected by hand, and only ${keep} has written since: "drbdadm connect ${to(discard)}" on ${keep}, then "drbdadm connect ${to(keep)}" on ${discard}. DRBD refuses where both have.`,
    `Otherwise keep the data of ${keep}. WHAT ${discard} HAS WRITTEN ALONE IS LOST by what follows. Save it first, on ${discard}, which must not hold (each disk that sh-ll-dev names, to a FILE of its own):`,
    `  drbdadm down ${resource}`,
    `  dd if=$(drbdadm sh-ll-dev ${resource}) of=FILE bs=1M`,
    `  drbdadm up ${resource}`,
    `Then on ${discard} ("unknown connection", code 10, of the first one is no error):`,
    `  drbdadm disconnect ${to(keep)}`,
    `  drbdadm secondary ${resource}`,
    `  drbdadm connect --discard-my-data ${to(keep)}`,
    `Then on ${keep}, if it stands alone too:`,
    `  drbdadm connect ${to(discard)}`,
    `The whole story: ${PAGE}.`,
  ];
}

/**
 * Whose data the cluster has agreed on: the only node in sync, or else the last holder. Nobody, where the log that is read here may be
 * old: on a node that was cut off it still names itself, whoever has held since.
 */
async function verdictOf(
  context: CheckContext,
): Promise<{ readonly keep: NodeId | null; readonly why: string }> {
  let entries: readonly Entry[];
  try {
    entries = await context.entries();
  } catch (error) {
    return { keep: null, why: `Who was the holder is not known here: ${reason(error)}` };
  }
  const { inSync, tenure } = entries.reduce(applyEntry, EMPTY_STATE);
  if (tenure === null) return { keep: null, why: 'The log knows no holder' };
  const [only, ...more] = inSync;
  const isCurrent = await context.isLogCurrent();
  const isHolding = tenure.released ? 'was the last holder' : 'is the holder';
  const agreed = only === undefined || more.length > 0 ? tenure.node : only;
  return {
    keep: isCurrent ? agreed : null,
    why: `The log ${isCurrent ? 'says' : 'of this node, which has no majority now and may be old, says'} that ${tenure.node} ${isHolding} (epoch ${tenure.epoch}), in sync: ${inSync.join(', ') || 'nobody'}`,
  };
}

/** 8.4 prints one line for each volume, 9 also for each peer. */
async function generation(context: CheckContext, resource: string): Promise<string> {
  const told = await ask(context, ['drbdadm', 'get-gi', resource]);
  if (told.kind !== 'said' || told.code !== 0) return complaint('drbdadm get-gi', told);
  const found = [...told.stdout.matchAll(/^([0-9A-F]{16}):([0-9A-F]{16}):([0-9A-F]{16}):/gm)];
  if (found.length === 0) return '"drbdadm get-gi" says nothing that is understood';
  return found
    .map(([, current, bitmap, history]) => `current ${current}, bitmap ${bitmap}, history ${history}`)
    .join(' and ');
}
