/** An agent that says hello: whether it may be obeyed, and with what it begins. */
import type { Epoch } from '../core/index.ts';
import type { ConnectedAgent, ExecutorOptions } from './executor-options.ts';
import type { Keeper } from './keeper.ts';
import { type ProcessId, startTimeOf } from './processes.ts';
import type { Hello } from './protocol.ts';

export interface Arrival {
  readonly agent: ConnectedAgent;
  /** L7: the epoch that was kept for it; null where it has come for none. */
  readonly keptEpoch: Epoch | null;
}

export function arrivalOf(
  hello: Hello,
  options: Pick<ExecutorOptions, 'node' | 'cluster' | 'isRunning'>,
  keeper: Pick<Keeper, 'of'>,
): Arrival | { readonly refusal: string } {
  const { node, cluster, isRunning = (id: ProcessId) => startTimeOf(id.pid) === id.startTime } = options;
  if (hello.node !== node || hello.cluster !== cluster)
    return { refusal: `this is the executor of node ${node} of cluster ${cluster}` };
  if (!isRunning(hello)) return { refusal: 'there is no such process' };
  const kept = hello.adopt === undefined ? null : keeper.of(hello.adopt, isRunning);
  if (kept !== null && 'refusal' in kept) return kept;
  return {
    keptEpoch: kept?.epoch ?? null,
    agent: {
      process: { pid: hello.pid, startTime: hello.startTime },
      members: hello.members,
      timing: hello.timing,
      lastTake: kept?.agent.lastTake ?? null,
      isReady: false,
      isPreparing: false,
      saidBye: false,
      isAdopting: kept !== null,
    },
  };
}
