/**
 * Tells the agent of the calls to the cloud, while somebody looks there: one JSON document a line, on a socket of its own.
 * Not on the channel: an agent or executor of another version need not know of it, and no flood of calls can stand in
 * front of an answer to an order. Nothing is answered, and nobody is waited for: who does not read is told less.
 */
import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { z } from 'zod';
import { systemClock } from '../clock.ts';
import { instant } from '../core/index.ts';
import { readLines } from '../lines.ts';
import type { CloudCall, CloudWatch } from '../resources/index.ts';
import { callsSocket } from './unix-path.ts';

/** One agent looks; a second may while the first one ends. */
const MAX_CONNECTIONS = 2;
const MAX_UNSENT_BYTES = 64 * 1024;
const MAX_NAME = 100;

export const callReportSchema = z.object({
  /** CLOCK_MONOTONIC, ms: one clock for all processes of a host (T3). */
  at: z.number().transform((value) => instant(value)),
  direction: z.enum(['sent', 'received']),
  client: z.string().max(MAX_NAME),
  name: z.string().max(MAX_NAME),
  id: z.number().int(),
  attempts: z.number().int(),
  bytes: z.number().nullable(),
  latencyMs: z.number().nullable(),
  outcome: z.string().max(MAX_NAME).nullable(),
  /** So many before this one were not told, because they were not read. */
  missed: z.number().int(),
});

export type CallReport = z.output<typeof callReportSchema>;

export class CloudCalls implements CloudWatch {
  readonly #server: Server;
  /** How many each has missed since the last that it was told of. */
  readonly #open = new Map<Socket, number>();
  isWatched = false;

  private constructor() {
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** Never rejects: an executor that cannot be watched works as well. `onFailure` is told why. */
  static async listen(path: string, onFailure: (why: string) => void): Promise<CloudCalls> {
    const calls = new CloudCalls();
    try {
      // The executor's lock says that whoever left it there is dead.
      rmSync(path, { force: true });
      await new Promise<void>((resolve, reject) => {
        calls.#server.once('error', reject);
        calls.#server.listen(path, resolve);
      });
      chmodSync(path, 0o600);
    } catch (error) {
      onFailure(error instanceof Error ? error.message : String(error));
    }
    return calls;
  }

  call(seen: CloudCall): void {
    const at = systemClock.now();
    const { client, name, outcome } = seen;
    const clipped = {
      ...seen,
      at,
      client: client.slice(0, MAX_NAME),
      name: name.slice(0, MAX_NAME),
      outcome: outcome?.slice(0, MAX_NAME) ?? null,
    };
    for (const [socket, missed] of this.#open) {
      if (socket.writableLength > MAX_UNSENT_BYTES) {
        this.#open.set(socket, missed + 1);
        continue;
      }
      socket.write(`${JSON.stringify({ ...clipped, missed } satisfies CallReport)}\n`);
      if (missed > 0) this.#open.set(socket, 0);
    }
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#open.keys()) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#open.set(socket, 0);
    this.isWatched = true;
    socket.on('error', () => undefined);
    socket.resume();
    socket.once('close', () => {
      this.#open.delete(socket);
      this.isWatched = this.#open.size > 0;
    });
  }
}

const RETRY_MS = 500;

/**
 * Follows the calls of the executor on `dataDir`, and of its successors, until the returned function is called. An executor
 * of an older version tells of none.
 */
export function followCalls(dataDir: string, onReport: (report: CallReport) => void): () => void {
  let isEnded = false;
  let socket: Socket | null = null;
  let retry: NodeJS.Timeout | undefined;
  const dial = (): void => {
    const mine = connect(callsSocket(dataDir));
    socket = mine;
    mine.on('error', () => undefined);
    mine.once('close', () => {
      if (isEnded) return;
      retry = setTimeout(dial, RETRY_MS);
      retry.unref();
    });
    readLines(mine, {
      onLine: (line) => {
        const report = parseReport(line);
        if (report === null) mine.destroy();
        else if (!isEnded) onReport(report);
      },
      onTooLong: () => mine.destroy(),
    });
  };
  dial();
  return () => {
    isEnded = true;
    clearTimeout(retry);
    socket?.destroy();
  };
}

function parseReport(line: string): CallReport | null {
  try {
    const result = callReportSchema.safeParse(JSON.parse(line));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}
