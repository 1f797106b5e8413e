/** Puts the driver of the core together: from the log as it was found, for this node. */
import type { Config } from '../config/index.ts';
import { type CoreEvent, type Entry, isToBeForced, type NodeId, type Timing } from '../core/index.ts';
import type { ExecutorClient, ExecutorEvent } from '../executor/index.ts';
import { type RecoveredLog, sha256 } from '../log/index.ts';
import type { AgentParts, Store, Transport } from './agent-parts.ts';
import type { DataLoss } from './data-loss.ts';
import { Driver } from './driver.ts';
import { FENCE_BEFORE_MS } from './fencing.ts';
import type { Heard } from './heard.ts';
import { whyNotUnwatched } from './unwatched.ts';

export interface NewDriverOptions {
  readonly config: Config;
  readonly parts: Pick<AgentParts, 'clock' | 'seed' | 'bootPromiseStart'>;
  readonly timing: Timing;
  readonly recovered: RecoveredLog;
  /** L7: what the executor has kept over the restart of its agent. */
  readonly kept: Extract<ExecutorEvent, { kind: 'kept' }> | null;
  readonly store: Store;
  readonly transport: Transport;
  readonly executor: ExecutorClient;
  readonly heard: Heard;
  readonly dataLoss: DataLoss | null;
  /** R5: before a takeover, where the config wants it; false where it was not confirmed. */
  readonly fenceBefore: () => Promise<boolean>;
  readonly lacking: (format: number) => readonly NodeId[];
  readonly onCommitted: (entry: Entry) => void;
  readonly onRefusedToHold: (why: string) => void;
  readonly onEvent: (event: CoreEvent) => void;
  readonly onStep: () => void;
  readonly onFatal: (error: unknown) => void;
}

export async function newDriver(options: NewDriverOptions): Promise<Driver> {
  const { config, parts, timing, recovered, kept, store, transport, executor, heard, dataLoss } = options;
  const { lacking, onCommitted, onRefusedToHold, onEvent, onStep, onFatal } = options;
  const fencesBefore = config.fencing.ec2Stop === 'before';
  return new Driver({
    core: {
      self: config.node,
      digest: sha256,
      seed: parts.seed,
      timing,
      recovered,
      waitsToBegin: recovered.entries.length <= 1,
      kept,
      ...(fencesBefore ? { preparationMs: FENCE_BEFORE_MS } : {}),
      bootedAt: await parts.bootPromiseStart(),
    },
    clock: parts.clock,
    executor,
    store: { persist: (persists) => heard.counts.timed(store.persist(persists), () => parts.clock.now()) },
    send: (message) => transport.send(message),
    onCommitted,
    lacking,
    whyNotUnwatched: ({ state, self }) => whyNotUnwatched(config, state, isToBeForced(state, self)),
    whyLoss: dataLoss?.why ?? null,
    fence: fencesBefore && config.watchdog.mode === 'automatic' ? options.fenceBefore : null,
    onRefusedToHold,
    onEvent,
    onStep,
    onFatal,
  });
}
