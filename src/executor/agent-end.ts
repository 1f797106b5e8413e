/**
 * R4: what follows when an agent goes without a farewell. Released and verified, and the agent's process gone: only both
 * together may be stated, because only then can nothing act for this node any more.
 */

import type { Clock } from '../clock.ts';
import type { Epoch, NodeId, Term, Timing } from '../core/index.ts';
import type { LogLevel, Released } from './guard-protocol.ts';
import { killAndWait, type ProcessId } from './processes.ts';
import { clip, words } from './protocol.ts';
import { type SendStatement, sendToAll } from './statement.ts';

const KILL_LIMIT_MS = 10_000;

export interface EndedAgent {
  readonly process: ProcessId;
  readonly members: ReadonlyMap<NodeId, string>;
  readonly timing: Timing;
  /** The last order to take: its term is what the statement speaks about. Null: there was no tenure. */
  readonly lastTake: { readonly epoch: Epoch; readonly term: Term } | null;
}

export interface AgentEndOptions {
  readonly agent: EndedAgent;
  readonly releasing: Promise<Released>;
  readonly node: NodeId;
  readonly clock: Clock;
  readonly killProcess?: (id: ProcessId) => Promise<boolean>;
  readonly sendStatement: SendStatement;
  readonly prepareStatement?: (members: ReadonlyMap<NodeId, string>) => void;
  readonly log: (level: LogLevel, fields: Readonly<Record<string, unknown>>) => void;
}

export async function endOfAgent(options: AgentEndOptions): Promise<void> {
  const { agent, node, clock } = options;
  const { pid } = agent.process;
  // Beside the release: what has to be loaded and connected is there when it can be stated.
  if (agent.lastTake !== null) options.prepareStatement?.(agent.members);
  const kill = options.killProcess ?? ((id) => killAndWait(id, KILL_LIMIT_MS, clock));
  const [released, isGone] = await Promise.all([options.releasing, kill(agent.process)]);
  if (!isGone) return options.log('error', { event: 'agent-not-gone', node, pid });
  if (agent.lastTake === null) return;
  const { epoch, term } = agent.lastTake;
  const failures = new Map<NodeId, string>();
  const acknowledged = await sendToAll({
    members: agent.members,
    statement: {
      kind: 'released',
      from: node,
      term,
      epoch,
      evidence: clip(`agent process ${pid} is gone; ${released.evidence}`),
    },
    send: options.sendStatement,
    clock,
    limitMs: 2 * agent.timing.promiseMs,
    signal: new AbortController().signal,
    onFailure: (to, error) => failures.set(to, words(error)),
  });
  for (const to of acknowledged) failures.delete(to);
  options.log('info', {
    event: 'release-stated',
    node,
    epoch,
    term,
    acknowledged,
    failures: Object.fromEntries(failures),
  });
}
