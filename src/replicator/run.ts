/** The replicator put together: a channel, an engine, and what it tells the executor. */
import type { Readable, Writable } from 'node:stream';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/index.ts';
import { assert, type Epoch, InvariantError } from '../core/index.ts';
import { EXIT, type ExitCode, QuorateError } from '../errors.ts';
import { readLines } from '../lines.ts';
import {
  Board,
  drbdBelow,
  Engine,
  type LastEnd,
  LocalPool,
  otherDataNode,
  type ReceiverChannel,
  said,
} from '../replication/index.ts';
import type { CommandRunner, KernelFiles } from '../resources/index.ts';
import { orderSchema, type ReplicatorOrder } from './protocol.ts';

export type OpenChannel = (config: Config, signal: AbortSignal) => Promise<ReceiverChannel>;

export interface ReplicatorParts {
  readonly config: Config;
  readonly openChannel: OpenChannel;
  readonly commands: Pick<CommandRunner, 'run'>;
  readonly kernel: KernelFiles;
  readonly clock: Clock;
  readonly orders: Readable;
  readonly reports: Writable;
}

type FirstOrder = Exclude<ReplicatorOrder, { readonly kind: 'run' }>;

/** How often what has changed is told. */
const TELL_MS = 250;
/** An executor that does not read is not waited for: what has changed meanwhile is told together later. */
const MAX_UNSENT_BYTES = 256 * 1024;

/** Resolves with the exit code when the executor has gone, or nothing can be sent. */
export async function runReplicator(parts: ReplicatorParts): Promise<ExitCode> {
  const stop = new AbortController();
  const board = new Board();
  let failure: unknown = null;
  const fail = (error: unknown): void => {
    failure ??= error;
    stop.abort();
  };
  let engine: Engine | null = null;
  const asked: (string | null)[] = [];
  const first = new Promise<FirstOrder | null>((resolve) => {
    stop.signal.addEventListener('abort', () => resolve(null), { once: true });
    listen(parts.orders, {
      onOrder: (order) => {
        if (order.kind !== 'run') resolve(order);
        else if (engine === null) asked.push(order.dataset);
        else engine.ask(order.dataset);
      },
      onEnd: () => stop.abort(),
    });
  });
  const tell = (): void => {
    if (parts.reports.writableLength > MAX_UNSENT_BYTES) return;
    for (const report of board.take()) parts.reports.write(`${JSON.stringify(report)}\n`);
  };
  parts.reports.on('error', () => stop.abort());
  const teller = setInterval(tell, TELL_MS);
  try {
    const order = await first;
    if (order === null) return EXIT.done;
    const channel = await parts.openChannel(parts.config, stop.signal);
    try {
      const isLast = order.kind === 'last';
      const own = { epoch: order.epoch, channel, board, signal: stop.signal, onBroken: fail };
      engine = engineOf(parts, own, isLast);
      if (isLast) {
        const snapshot = await engine.finish(releasedPools(parts.config));
        parts.reports.write(`${JSON.stringify({ last: 'sent', snapshot } satisfies LastEnd)}\n`);
      } else {
        for (const dataset of asked) engine.ask(dataset);
        await engine.run();
      }
    } finally {
      await channel.close();
    }
  } catch (error) {
    if (!stop.signal.aborted) fail(error);
  } finally {
    clearInterval(teller);
  }
  if (failure === null) return EXIT.done;
  // Why nothing is sent is on the board also while there is no process.
  const why = said(failure instanceof Error ? failure.message : String(failure));
  board.setRound({ problem: why });
  tell();
  if ((await first)?.kind === 'last')
    parts.reports.write(`${JSON.stringify({ last: 'failed', why } satisfies LastEnd)}\n`);
  if (failure instanceof InvariantError) return EXIT.invariant;
  return failure instanceof QuorateError ? failure.exitCode : EXIT.failed;
}

function engineOf(
  { config, commands, kernel, clock }: ReplicatorParts,
  own: {
    readonly epoch: Epoch;
    readonly channel: ReceiverChannel;
    readonly board: Board;
    readonly signal: AbortSignal;
    readonly onBroken: (error: unknown) => void;
  },
  isLast: boolean,
): Engine {
  const { replication, node } = config;
  assert(replication !== null && replication.send !== null, 'it is started where something is to be sent');
  const { pools, send } = replication;
  return new Engine({
    ...own,
    ends: { from: node, to: otherDataNode(config, node) },
    // A role that is given up waits for it: then nobody's limit counts.
    replication: { ...replication, send: isLast ? { ...send, bytesPerSecond: null } : send },
    drbdBelow: (pool) => drbdBelow(config, pool),
    local: new LocalPool({ pools, commands, kernel, clock, signal: own.signal }),
    clock,
  });
}

/** What a release of this node gives up, and the other side must have whole. */
const releasedPools = ({ resources }: Config): readonly string[] =>
  resources.flatMap((one) => (one.kind === 'replicated-pool' ? [one.pool] : []));

function listen(orders: Readable, handlers: { onOrder(order: ReplicatorOrder): void; onEnd(): void }): void {
  const read = (line: string): ReplicatorOrder | null => {
    try {
      const result = orderSchema.safeParse(JSON.parse(line));
      return result.success ? result.data : null;
    } catch {
      return null;
    }
  };
  readLines(orders, {
    onLine: (line) => {
      const order = read(line);
      // An executor that is not understood is none.
      if (order === null) handlers.onEnd();
      else handlers.onOrder(order);
    },
    onTooLong: () => handlers.onEnd(),
  });
  for (const event of ['end', 'close', 'error']) orders.once(event, () => handlers.onEnd());
}
