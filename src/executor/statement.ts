/**
 * R4: a dead agent's promises are dropped early on the word of its own executor, sent directly to every member until each
 * has acknowledged it, or for two promises: by then they have run out anyway.
 */

import { type Clock, timeoutSignal } from '../clock.ts';
import type { NodeId, Released } from '../core/index.ts';

export type SendStatement = (address: string, statement: Released, signal: AbortSignal) => Promise<void>;

const RETRY_MS = 50;
const ATTEMPT_LIMIT_MS = 1000;

export interface StatementOptions {
  readonly members: ReadonlyMap<NodeId, string>;
  readonly statement: Omit<Released, 'to'>;
  readonly send: SendStatement;
  readonly clock: Clock;
  readonly limitMs: number;
  readonly signal: AbortSignal;
  readonly onFailure: (to: NodeId, error: unknown) => void;
}

/** Resolves with those that acknowledged. */
export async function sendToAll(options: StatementOptions): Promise<NodeId[]> {
  const end = options.clock.now() + options.limitMs;
  const acknowledged: NodeId[] = [];
  await Promise.all(
    [...options.members].map(async ([to, address]) => {
      while (options.clock.now() < end && !options.signal.aborted) {
        const isSent = await attempt(options, to, address);
        if (isSent) {
          acknowledged.push(to);
          return;
        }
        await options.clock.sleep(RETRY_MS, options.signal);
      }
    }),
  );
  return acknowledged;
}

async function attempt(options: StatementOptions, to: NodeId, address: string): Promise<boolean> {
  const limit = timeoutSignal(options.clock, ATTEMPT_LIMIT_MS);
  const signal = AbortSignal.any([options.signal, limit.signal]);
  const sending = options.send(address, { ...options.statement, to }, signal).then(
    () => true,
    (error: unknown) => {
      options.onFailure(to, error);
      return false;
    },
  );
  // The sender may not know the signal: the attempt ends here whatever it does.
  return Promise.race([sending, aborted(signal).then(() => false)]).finally(limit.cancel);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
